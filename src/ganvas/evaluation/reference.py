"""`Reference`: the real images that others are scored against, as features, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas import metrics
from ganvas.data import ImageSet, load_dataset
from ganvas.data.published_sets import BUNDLED
from ganvas.errors import DataError, DownloadError, NoSplitError
from ganvas.evaluation.protocol import VERSION, Protocol
from ganvas.features import Extractor, default_features, get_extractor
from ganvas.features.cache import TensorSpec, cached_tensor
from ganvas.features.classifier import Classifier, classifier
from ganvas.metrics.knn import kmeans_centers
from ganvas.metrics.memorization import CELLS
from ganvas.utils import memory

MAX_IMAGES = 70_000  # real images compared with; of a larger set, so many are drawn
BYTES = 2**30  # and no more of them than this, which are held while they are compared with
MAX_MANIFOLD_IMAGES = 10_000  # reals that the nearest-neighbor metrics are taken on, as in their papers
MIN_IMAGES = 24  # real images without which no score means anything
Labels = NDArray[np.int64]
_SEED = 0  # of every subset: a protocol is the same everywhere


@dataclass(frozen=True)
class Reference:
    """Features of the real images, and of real images held out from training.

    Attributes:
        images: the real images, a subset of the set if that is larger than `MAX_IMAGES`.
        name: as "mnist train".
        fingerprint: of the whole set.
        extractor: makes the features.
        features: float32 [M, D], of `images`.
        train_features: float32 [S, D]: all features, or a half of them where there is no test split.
        held_out: float32 [U, D]: of the test split, or of the other half.
        held_out_name: as "mnist test".
        held_out_fingerprint: of the set that they are from.
        held_out_images: the images themselves; None where they are a half of `images`.
    """

    images: ImageSet
    name: str
    fingerprint: str
    extractor: Extractor
    features: Tensor
    train_features: Tensor
    held_out: Tensor
    held_out_name: str
    held_out_fingerprint: str
    held_out_images: ImageSet | None = None

    @property
    def halves(self) -> Labels:
        """An order of `images` by which they are halved: each second is of the same half."""
        return _halves(len(self.images))

    @cached_property
    def moments(self) -> metrics.Moments:
        """Mean and covariance of the features."""
        return metrics.moments(self.features)

    @cached_property
    def train_moments(self) -> metrics.Moments:
        """The same of `train_features`."""
        return self.moments if self.train_features is self.features else metrics.moments(self.train_features)

    @cached_property
    def classifier(self) -> Classifier | None:
        """Classifies images by their features; None for a set without labels."""
        return classifier(self.extractor, self.images, self.features)

    @cached_property
    def radii(self) -> Tensor:
        """Distances [m, 5] of those features that the manifold is taken on to their nearest others."""
        reals = subset(self.features, MAX_MANIFOLD_IMAGES)
        return cached_tensor(
            self.key(f"radii-{len(reals)}"),
            TensorSpec((len(reals), 5)),
            lambda: metrics.nearest_neighbors(reals, reals, 5, exclude_self=True)[0],
        )

    @cached_property
    def train_nearest(self) -> Tensor:
        """Distances [S, 1] of `train_features` to their nearest others."""
        train = self.train_features
        return cached_tensor(
            self.key(f"nearest-{len(train)}"),
            TensorSpec((len(train), 1)),
            lambda: metrics.nearest_neighbors(train, train, exclude_self=True)[0],
        )

    @cached_property
    def held_out_nearest(self) -> Tensor:
        """Distances [U, 1] of `held_out` to `train_features`."""
        return cached_tensor(
            self.key(f"held-out-{self.held_out_name}-{len(self.held_out)}"),
            TensorSpec((len(self.held_out), 1)),
            lambda: metrics.nearest_neighbors(self.held_out, self.train_features)[0],
        )

    @cached_property
    def centers(self) -> Tensor:
        """Centers [10, D] of the cells of `train_features` that copying is measured in."""
        return cached_tensor(
            self.key(f"cells-{len(self.train_features)}"),
            TensorSpec((CELLS, self.train_features.shape[1])),
            lambda: kmeans_centers(self.train_features, CELLS, 0),
        )

    def protocol(self, images: int) -> Protocol:
        """How scores of `images` images against this reference are taken."""
        return Protocol(
            features=self.extractor.name,
            features_version=self.extractor.version,
            comparable=self.extractor.comparable,
            images=images,
            reference=self.name,
            reference_images=len(self.features),
            fingerprint=self.fingerprint,
            held_out=self.held_out_name,
            held_out_fingerprint=self.held_out_fingerprint,
            held_out_images=min(images, len(self.held_out)),
            manifold_images=min(MAX_MANIFOLD_IMAGES, len(self.features)),
        )

    def key(self, what: str) -> str:
        """A name in the cache for something that depends on this reference."""
        sets = f"{self.fingerprint[:16]}-{self.held_out_fingerprint[:16]}"
        return f"{self.extractor.name}-{self.extractor.version}-{sets}-v{VERSION}-{what}"


def subset(features: Tensor, most: int) -> Tensor:
    """All rows, or `most` of them, always the same."""
    if len(features) <= most:
        return features
    return features[torch.from_numpy(_index(len(features), most))]


def load_reference(
    data: str | Path | None,
    *,
    split: str = "train",
    images: ImageSet | None = None,
    features: str | None = None,
    size: int | None = None,
    resize: str | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
    device: str = "cpu",
) -> Reference:
    """The training split of a data set as the reference, its test split as held-out images.

    A set without a test split is cut into halves: one stands for the training images, the other for
    held-out ones, when the baseline and the baseline of copying are taken. Features are cached.

    Args:
        data: a data set's name or path, as `ganvas.load_dataset` takes it.
        split: "test" exchanges the roles of the two; "all" is as "train".
        images: that split, if it is loaded already.
        features: name of the feature network; `features.default_features` where None.
        size: side that images are resized to, in pixels.
        resize: how: "crop", "pad" or "resize".
        mmap_threshold: see `ganvas.load_dataset`.
        device: where features are computed.

    Raises:
        DataError: no such set, fewer than 24 images in it, or a damaged split.
    """
    load = partial(load_dataset, data, size=size, resize=resize, mmap_threshold=mmap_threshold)
    train_split, held_out_split = ("test", "train") if split == "test" else ("train", "test")
    if images is None:
        images = _only_or(load, train_split)
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"{images.name}: expected at least {MIN_IMAGES} real images to score against, got {len(images)}"
        )
    held_out_images = None if images.name == BUNDLED else _optional(load, held_out_split)
    extractor = get_extractor(features or default_features(images.image_shape), images=images, device=device)
    computed, chosen = _features(extractor, images)
    if held_out_images is not None and len(held_out_images) >= MIN_IMAGES:
        fingerprint = held_out_images.fingerprint
        held_out, held_out_images = _features(extractor, held_out_images)
        return Reference(
            chosen, f"{images.name} {train_split}", images.fingerprint, extractor, computed,
            computed, held_out,
            f"{held_out_images.name} {held_out_split}", fingerprint, held_out_images,
        )  # fmt: skip
    order = torch.from_numpy(_halves(len(computed)))
    return Reference(
        chosen, images.name, images.fingerprint, extractor, computed,
        computed[order[::2]], computed[order[1::2]],
        f"one half of {images.name} against the other", images.fingerprint,
    )  # fmt: skip


def _only_or(load: Callable[..., ImageSet], split: str) -> ImageSet:
    """A split of the set, or the only one that it has."""
    try:
        return load(split=split)
    except NoSplitError:
        return load(split="all")


def _optional(load: Callable[..., ImageSet], split: str) -> ImageSet | None:
    """A split of the set; None where it has none, or it is not on this machine."""
    try:
        return load(split=split)
    except (NoSplitError, DownloadError):
        return None


def _halves(count: int) -> Labels:
    return np.random.default_rng(_SEED).permutation(count)


def _features(extractor: Extractor, images: ImageSet) -> tuple[Tensor, ImageSet]:
    """Features of at most so many images, from the cache if they are there, and these images."""
    most = min(MAX_IMAGES, max(MIN_IMAGES, BYTES // int(np.prod(images.image_shape))))
    if len(images) > most:
        index = _index(len(images), most)
        labels = None if images.labels is None else images.labels[index]
        part = ImageSet(images.name, images.images[index], labels, images.class_names, images.source)
    else:
        part = images
    name = f"{extractor.name}-{extractor.version}-{images.fingerprint[:16]}-{len(part)}"
    spec = TensorSpec((len(part), extractor.dimensions))
    return cached_tensor(name, spec, lambda: extractor(part.images)), part


def _index(count: int, most: int) -> Labels:
    """Indices of `most` of `count`, ascending: a memory map is then read once through."""
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))

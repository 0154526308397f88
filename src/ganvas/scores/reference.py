"""`Reference`: the real images that others are scored against, as features, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas import memory, metrics
from ganvas.data import ImageSet, load
from ganvas.data.catalog import BUNDLED
from ganvas.errors import DataError, DownloadError, NoSplitError
from ganvas.features import Extractor, default_name, find
from ganvas.features.classifier import Classifier, classifier
from ganvas.metrics.cells import k_means
from ganvas.metrics.memorisation import CELLS
from ganvas.scores.cache import kept
from ganvas.scores.protocol import VERSION, Protocol

MOST = 70_000  # real images compared with; of a larger set, so many are drawn
BYTES = 2**30  # and no more of them than this, which are held while they are compared with
MANIFOLD_MOST = 10_000  # reals that the nearest-neighbour metrics are taken on, as in their papers
FEWEST = 24  # real images without which no score means anything
Labels = NDArray[np.int64]
_SEED = 0  # of every subset: a protocol is the same everywhere


@dataclass(frozen=True)
class Reference:
    """Features of the real images, and of real images that training has not seen.

    Attributes:
        images: the real images, a subset of the set if that is larger than `MOST`.
        name: as "mnist train".
        fingerprint: of the whole set.
        extractor: makes the features.
        features: float32 [M, D], of `images`.
        seen: float32 [S, D]: all features, or a half of them where there is no test split.
        unseen: float32 [U, D]: of the test split, or of the other half.
        unseen_name: as "mnist test".
        unseen_fingerprint: of the set that they are from.
        unseen_images: the images themselves; None where they are a half of `images`.
    """

    images: ImageSet
    name: str
    fingerprint: str
    extractor: Extractor
    features: Tensor
    seen: Tensor
    unseen: Tensor
    unseen_name: str
    unseen_fingerprint: str
    unseen_images: ImageSet | None = None

    @property
    def halves(self) -> Labels:
        """An order of `images` by which they are halved: each second is of the same half."""
        return _halves(len(self.images))

    @cached_property
    def moments(self) -> metrics.Moments:
        """Mean and covariance of the features."""
        return metrics.moments(self.features)

    @cached_property
    def seen_moments(self) -> metrics.Moments:
        """The same of `seen`."""
        return self.moments if self.seen is self.features else metrics.moments(self.seen)

    @cached_property
    def classifier(self) -> Classifier | None:
        """Tells the classes of images by their features; None for a set without labels."""
        return classifier(self.extractor, self.images, self.features)

    @cached_property
    def radii(self) -> Tensor:
        """Distances [m, 5] of those features that the manifold is taken on to their nearest others."""
        reals = drawn(self.features, MANIFOLD_MOST)
        name = self.key(f"radii-{len(reals)}")
        return kept(name, lambda: {"radii": metrics.nearest(reals, reals, 5, exclude_self=True)[0]})["radii"]

    @cached_property
    def seen_nearest(self) -> Tensor:
        """Distances [S, 1] of `seen` to their nearest others."""
        seen, name = self.seen, self.key(f"nearest-{len(self.seen)}")
        return kept(name, lambda: {"nearest": metrics.nearest(seen, seen, exclude_self=True)[0]})["nearest"]

    @cached_property
    def unseen_nearest(self) -> Tensor:
        """Distances [U, 1] of `unseen` to `seen`."""
        name = self.key(f"unseen-{self.unseen_name}-{len(self.unseen)}")
        return kept(name, lambda: {"nearest": metrics.nearest(self.unseen, self.seen)[0]})["nearest"]

    @cached_property
    def centres(self) -> Tensor:
        """Centres [10, D] of the cells of `seen` that copying is judged in."""
        return kept(self.key(f"cells-{len(self.seen)}"), lambda: {"centres": k_means(self.seen, CELLS, 0)})[
            "centres"
        ]

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
            unseen=self.unseen_name,
            unseen_fingerprint=self.unseen_fingerprint,
            unseen_images=min(images, len(self.unseen)),
            manifold_images=min(MANIFOLD_MOST, len(self.features)),
        )

    def key(self, what: str) -> str:
        """A name in the cache for something that depends on this reference."""
        sets = f"{self.fingerprint[:16]}-{self.unseen_fingerprint[:16]}"
        return f"{self.extractor.name}-{self.extractor.version}-{sets}-v{VERSION}-{what}"


def drawn(features: Tensor, most: int) -> Tensor:
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
    fit: str | None = None,
    memory_share: float = memory.SHARE,
    device: str = "cpu",
) -> Reference:
    """The training split of a data set as the reference, its test split as unseen images.

    A set without a test split is cut into halves: one stands for what was seen, the other for what was
    not, when the floor and the baseline of copying are taken. Features are cached.

    Args:
        data: a data set's name or path, as `ganvas.load` takes it.
        split: "test" exchanges the roles of the two; "all" is as "train".
        images: that split, if it is loaded already.
        features: name of the feature network; `features.default_name` where None.
        size: side that images are brought to.
        fit: how.
        memory_share: see `ganvas.load`.
        device: where features are computed.

    Raises:
        DataError: no such set, fewer than 24 images in it, or a damaged split.
    """

    def split_of(name: str) -> ImageSet:
        return load(data, split=name, size=size, fit=fit, memory_share=memory_share)

    seen_split, unseen_split = ("test", "train") if split == "test" else ("train", "test")
    if images is None:
        try:
            images = split_of(seen_split)
        except NoSplitError:  # the set has the other one only
            images = split_of("all")
    if len(images) < FEWEST:
        raise DataError(
            f"{images.name}: expected at least {FEWEST} real images to score against, got {len(images)}"
        )
    try:
        unseen_images = None if images.name == BUNDLED else split_of(unseen_split)
    except (NoSplitError, DownloadError):
        unseen_images = None
    extractor = find(features or default_name(images.image_shape), images=images, device=device)
    found, chosen = _features(extractor, images)
    if unseen_images is not None and len(unseen_images) >= FEWEST:
        fingerprint = unseen_images.fingerprint
        unseen, unseen_images = _features(extractor, unseen_images)
        return Reference(
            chosen, f"{images.name} {seen_split}", images.fingerprint, extractor, found, found, unseen,
            f"{unseen_images.name} {unseen_split}", fingerprint, unseen_images,
        )  # fmt: skip
    order = torch.from_numpy(_halves(len(found)))
    return Reference(
        chosen, images.name, images.fingerprint, extractor, found, found[order[::2]], found[order[1::2]],
        f"one half of {images.name} against the other", images.fingerprint,
    )  # fmt: skip


def _halves(count: int) -> Labels:
    return np.random.default_rng(_SEED).permutation(count)


def _features(extractor: Extractor, images: ImageSet) -> tuple[Tensor, ImageSet]:
    """Features of at most so many images, from the cache if they are there, and these images."""
    most = min(MOST, max(FEWEST, BYTES // int(np.prod(images.image_shape))))
    if len(images) > most:
        index = _index(len(images), most)
        labels = None if images.labels is None else images.labels[index]
        part = ImageSet(images.name, images.images[index], labels, images.class_names, images.source)
    else:
        part = images
    name = f"{extractor.name}-{extractor.version}-{images.fingerprint[:16]}-{len(part)}"
    return kept(name, lambda: {"features": extractor(part.images)})["features"], part


def _index(count: int, most: int) -> Labels:
    """Indices of `most` of `count`, ascending: a memory map is then read once through."""
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))

"""`Reference`: the real images that others are scored against, as features, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganvas import memory, metrics
from ganvas.data import ImageSet, load
from ganvas.errors import DataError, DownloadError
from ganvas.features import Extractor, default_name, find
from ganvas.features.classifier import Classifier, classifier
from ganvas.metrics.cells import k_means
from ganvas.metrics.memorisation import CELLS
from ganvas.scores.cache import kept
from ganvas.scores.protocol import Protocol

MOST = 70_000  # real images compared with; of a larger set, so many are drawn
MANIFOLD_MOST = 10_000  # reals that the nearest-neighbour metrics are taken on, as in their papers
FEWEST = 24  # real images without which no score means anything
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
    """

    images: ImageSet
    name: str
    fingerprint: str
    extractor: Extractor
    features: Tensor
    seen: Tensor
    unseen: Tensor
    unseen_name: str

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
            unseen_images=min(images, len(self.unseen)),
            manifold_images=min(MANIFOLD_MOST, len(self.features)),
        )

    def key(self, what: str) -> str:
        """A name in the cache for something that depends on this reference."""
        return f"{self.extractor.name}-{self.extractor.version}-{self.fingerprint[:16]}-{what}"


def drawn(features: Tensor, most: int) -> Tensor:
    """All rows, or `most` of them, always the same."""
    if len(features) <= most:
        return features
    return features[torch.from_numpy(_index(len(features), most))]


def load_reference(
    data: str | Path | None,
    *,
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
        features: name of the feature network; `features.default_name` where None.
        size: side that images are brought to.
        fit: how.
        memory_share: see `ganvas.load`.
        device: where features are computed.

    Raises:
        DataError: no such set, or fewer than 24 images in it.
    """
    how = {"size": size, "fit": fit, "memory_share": memory_share}
    train = load(data, split="train", **how)  # type: ignore[arg-type]
    if len(train) < FEWEST:
        raise DataError(
            f"{train.name}: expected at least {FEWEST} real images to score against, got {len(train)}"
        )
    try:
        test: ImageSet | None = load(
            data if train.name != "mnist-5k" else "mnist-5k", split="test", **how  # type: ignore[arg-type]
        )  # fmt: skip
    except (DataError, DownloadError):  # there is none
        test = None
    extractor = find(features or default_name(train.image_shape), images=train, device=device)
    found, images = _features(extractor, train)
    if test is not None and len(test) >= FEWEST:
        unseen, _ = _features(extractor, test)
        return Reference(
            images, f"{train.name} train", train.fingerprint, extractor, found, found, unseen,
            f"{test.name} test",
        )  # fmt: skip
    order = torch.from_numpy(np.random.default_rng(_SEED).permutation(len(found)))
    seen, unseen = found[order[::2]], found[order[1::2]]
    return Reference(
        images, train.name, train.fingerprint, extractor, found, seen, unseen,
        f"one half of {train.name} against the other",
    )  # fmt: skip


def _features(extractor: Extractor, images: ImageSet) -> tuple[Tensor, ImageSet]:
    """Features of at most `MOST` images, from the cache if they are there, and these images."""
    if len(images) > MOST:
        index = _index(len(images), MOST)
        labels = None if images.labels is None else images.labels[index]
        part = ImageSet(images.name, images.images[index], labels, images.class_names, images.source)
    else:
        part = images
    name = f"{extractor.name}-{extractor.version}-{images.fingerprint[:16]}-{len(part)}"
    return kept(name, lambda: {"features": extractor(part.images)})["features"], part


def _index(count: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of `most` of `count`, ascending: a memory map is then read once through."""
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))

"""How well a classifier tells real images that has learned from generated ones, and from real ones."""

from __future__ import annotations

import math

import numpy as np
import torch

from ganvas import metrics
from ganvas.data import ImageSet
from ganvas.images import Pixels
from ganvas.metrics import Estimate
from ganvas.scores.cache import kept
from ganvas.scores.reference import Labels, Reference

EPOCHS = 5


def class_accuracy(images: Pixels, labels: Labels, reference: Reference) -> tuple[Estimate, float] | None:
    """The classification accuracy score of labelled images, and what as many real images reach.

    Args:
        images: uint8 [N, C, H, W], generated.
        labels: int64 [N], the classes that were asked for.
        reference: the real images: its unseen ones are those to be told.

    Returns:
        The accuracy with its standard error over the images told, and the floor, both of as many images as
        there are of the scarcer kind; None where the real images have no labels, or the unseen ones other
        classes. Without a test split the images told are a half of the set, which the generator has seen.
    """
    real, unseen = reference.images, reference.unseen_images
    if unseen is None:  # no test split: the halves that the floors are taken on
        order = reference.halves
        real, unseen = _part(real, order[::2]), _part(real, order[1::2])
    if real.labels is None or unseen.labels is None or real.class_names != unseen.class_names:
        return None

    count = min(len(images), len(real))  # of either kind as many: more of one would teach more

    def accuracy(shown: Pixels, kinds: Labels) -> float:
        assert unseen.labels is not None
        return metrics.classification_accuracy(
            torch.from_numpy(np.array(shown)),
            torch.from_numpy(np.array(kinds)),
            torch.from_numpy(np.array(unseen.images)),
            torch.from_numpy(np.array(unseen.labels)),
            classes=real.num_classes,
            epochs=EPOCHS,
        )

    def floor() -> dict[str, torch.Tensor]:
        assert real.labels is not None
        rows = np.sort(np.random.default_rng(0).permutation(len(real))[:count])
        return {"accuracy": torch.tensor(accuracy(real.images[rows], real.labels[rows]), dtype=torch.float64)}

    found = accuracy(images[:count], labels[:count])
    spread = math.sqrt(found * (1 - found) / len(unseen))
    name = reference.key(f"class-accuracy-{reference.unseen_name}-{count}-{EPOCHS}")
    return Estimate(found, spread), float(kept(name, floor)["accuracy"])


def _part(images: ImageSet, rows: Labels) -> ImageSet:
    labels = None if images.labels is None else images.labels[rows]
    return ImageSet(images.name, images.images[rows], labels, images.class_names, images.source)

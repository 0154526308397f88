"""Classification accuracy score: a classifier trained on generated images, tested on real ones."""

from __future__ import annotations

import math

import numpy as np
import torch

from ganvas import metrics
from ganvas.data import ImageSet
from ganvas.evaluation.cache import cached
from ganvas.evaluation.reference import Labels, Reference
from ganvas.metrics import Estimate
from ganvas.utils.images import ImageArray

EPOCHS = 5


def classification_accuracy_score(
    images: ImageArray, labels: Labels, reference: Reference
) -> tuple[Estimate, float] | None:
    """The classification accuracy score of labeled images, and what as many real images reach.

    Args:
        images: uint8 [N, C, H, W], generated.
        labels: int64 [N], the classes that were asked for.
        reference: the real images: the classifier is tested on its held-out ones.

    Returns:
        The accuracy with its standard error over the test images, and the baseline, both of as many images as
        there are of the scarcer kind; None where the real images have no labels, or the held_out ones other
        classes. Without a test split the test images are a half of the set, which the generator has seen.
    """
    real, held_out = reference.images, reference.held_out_images
    if held_out is None:  # no test split: the halves that the baselines are taken on
        order = reference.halves
        real, held_out = _part(real, order[::2]), _part(real, order[1::2])
    if real.labels is None or held_out.labels is None or real.class_names != held_out.class_names:
        return None

    count = min(len(images), len(real))  # of either kind as many: more of one would teach more

    def accuracy(inputs: ImageArray, targets: Labels) -> float:
        assert held_out.labels is not None
        return metrics.classification_accuracy(
            torch.from_numpy(np.array(inputs)),
            torch.from_numpy(np.array(targets)),
            torch.from_numpy(np.array(held_out.images)),
            torch.from_numpy(np.array(held_out.labels)),
            classes=real.num_classes,
            epochs=EPOCHS,
        )

    def baseline() -> dict[str, torch.Tensor]:
        assert real.labels is not None
        rows = np.sort(np.random.default_rng(0).permutation(len(real))[:count])
        return {"accuracy": torch.tensor(accuracy(real.images[rows], real.labels[rows]), dtype=torch.float64)}

    accuracy_of_fakes = accuracy(images[:count], labels[:count])
    stderr = math.sqrt(accuracy_of_fakes * (1 - accuracy_of_fakes) / len(held_out))
    name = reference.key(f"class-accuracy-{reference.held_out_name}-{count}-{EPOCHS}")
    return Estimate(accuracy_of_fakes, stderr), float(cached(name, baseline)["accuracy"])


def _part(images: ImageSet, rows: Labels) -> ImageSet:
    labels = None if images.labels is None else images.labels[rows]
    return ImageSet(images.name, images.images[rows], labels, images.class_names, images.source)

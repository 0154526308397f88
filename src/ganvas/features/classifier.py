"""Classify images by their features: what the histogram of modes counts.

gv1 knows the classes of MNIST and Fashion-MNIST. For any other labeled set a linear discriminant is
computed from the reference's own features: Fisher 1936; Hastie, Tibshirani and Friedman 2009, section 4.3,
with the covariance shrunk as in Friedman 1989.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganvas.data import ImageSet
from ganvas.errors import DataError
from ganvas.features import gv1
from ganvas.features.extractor import Extractor

SHRINKAGE = 0.1
"""The fraction of the covariance that is replaced by a sphere of the same trace."""
_PIECE = 4096


@dataclass(frozen=True)
class Classifier:
    """Features float32 [N, D] -> classes int64 [N], each an index into `class_names`.

    Attributes:
        kind: "gv1 head" or "linear discriminant".
        class_names: the reference's.
        expected: float64 [K], the fractions of the classes among the reference's labels.
        scores: features [n, D] -> a score for each class [n, K]; the highest wins.
    """

    kind: str
    class_names: tuple[str, ...]
    expected: npt.NDArray[np.float64]
    scores: Callable[[Tensor], Tensor]

    def __call__(self, features: Tensor) -> Tensor:
        """The most likely class of each image, int64 [N] on the CPU."""
        with torch.no_grad():
            pieces = features.detach().cpu().split(_PIECE)
            return torch.cat([self.scores(piece).argmax(1) for piece in pieces])


def classifier(extractor: Extractor, reference: ImageSet, features: Tensor) -> Classifier | None:
    """A classifier of the reference's classes by features of `extractor`; None where it has no labels.

    Args:
        extractor: with "gv1" the network's own head is used where it knows the set's classes.
        reference: the labeled set.
        features: its features, float32 [N, D], in its order.

    Raises:
        DataError: not one row of features for each image.
    """
    if reference.labels is None:
        return None
    if len(features) != len(reference):
        raise DataError(
            f"{reference.name}: expected features of all {len(reference)} images, got {len(features)}"
        )
    counts = np.bincount(reference.labels, minlength=reference.num_classes)
    fractions = counts / counts.sum()
    first = _first_class(extractor, reference)
    if first is not None:
        return Classifier("gv1 head", reference.class_names, fractions, _head(first))
    scores = linear_discriminant(features, torch.from_numpy(reference.labels), reference.num_classes)
    return Classifier("linear discriminant", reference.class_names, fractions, scores)


def _first_class(extractor: Extractor, reference: ImageSet) -> int | None:
    """The index of the set's first class among those of gv1; None where gv1 does not know them."""
    # A user's folder may have the name of a published set, but hardly its size and number of classes too.
    known = reference.num_classes == 10 and reference.image_shape == (1, gv1.SIDE, gv1.SIDE)
    return gv1.FIRST_CLASS.get(reference.name) if known and extractor.name == gv1.NAME else None


def _head(first: int) -> Callable[[Tensor], Tensor]:
    return lambda features: gv1.network().logits(features)[:, first : first + 10]


def linear_discriminant(features: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Fit a linear discriminant in float64, in closed form.

    With the means m, the fractions p and the shrunk common covariance S of the classes, the score of x for
    class k is x' S^-1 m_k - m_k' S^-1 m_k / 2 + log p_k. Classes without an image are never chosen.

    Args:
        features: float32 [N, D].
        labels: int64 [N], each below `classes`.
        classes: K.

    Returns:
        Features [n, D] -> scores float64 [n, K].
    """
    features = features.detach().cpu()
    size = features.shape[1]
    means = torch.zeros(classes, size, dtype=torch.float64)
    covariance = torch.zeros(size, size, dtype=torch.float64)
    counts = torch.bincount(labels, minlength=classes)
    for k in counts.nonzero().flatten().tolist():
        own = features[labels == k].double()
        means[k] = own.mean(0)
        covariance += (own - means[k]).T @ (own - means[k])
    covariance /= len(features)
    sphere = covariance.trace() / size
    if sphere == 0:  # each class is one point: all directions count the same
        sphere = torch.ones_like(sphere)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere * torch.eye(size, dtype=torch.float64)
    # Centered first, for precision: the scores of all classes change by the same amount.
    center = features.double().mean(0)
    weights = torch.linalg.solve(covariance, (means - center).T)
    offsets = -0.5 * ((means - center).T * weights).sum(0) + (counts.double() / counts.sum()).log()
    return lambda x: (x.double() - center) @ weights + offsets

"""Which modes of the data a generator covers, by the predicted classes of its fakes.

Source: Metz et al. 2017, arXiv 1611.02163 (stacked MNIST); Lin et al. 2018, PacGAN, arXiv 1712.04086, for
its protocol: 26,000 samples, and a mode counts if one sample falls in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.metrics import common

STACKED_SAMPLES = 26_000
"""Number of samples in the stacked MNIST protocol, on which the number of covered modes depends."""

# A class with fewer than this fraction of its expected samples counts as missing: the errors of a classifier
# put a few samples in every class.
COVERED = 0.1


@dataclass(frozen=True)
class Modes:
    """The distribution of samples over modes.

    Attributes:
        histogram: fraction of the samples in each mode.
        covered: number of modes covered.
        kl: Σ q log(q/p) of the fractions q to the expected fractions p, in nats; 0 if they are equal,
            infinite if a sample is of a mode that is not expected.
        missing: the modes with an expected fraction that are not covered.
    """

    histogram: tuple[float, ...]
    covered: int
    kl: float
    missing: tuple[int, ...]


def mode_coverage(classes: Tensor, count: int, expected: Sequence[float] | None = None) -> Modes:
    """Compute the distribution of samples over `count` classes.

    A class is covered if at least max(1, a tenth of the samples expected of it) fall in it.

    Args:
        classes: int64 [N], each within [0, count).
        count: number of classes.
        expected: each class's fraction in the data, or its number there; None for equal fractions.

    Raises:
        DataError: not classes, none, out of range; expected fractions of another number, or not fractions.
        UserError: count below 1.
    """
    return _modes(classes, count, expected, COVERED)


def stacked_modes(classes: Tensor, expected: Sequence[float] | None = None) -> Modes:
    """Compute the distribution of samples of three digits over the 1,000 triples, by PacGAN's protocol.

    A mode is covered if one sample falls in it. Mode number 100 a + 10 b + c is the triple (a, b, c).

    Args:
        classes: int64 [N, 3], each within [0, 10), N to be `STACKED_SAMPLES` for comparable numbers.
        expected: each triple's fraction in the data; None for equal fractions.

    Raises:
        DataError: as `mode_coverage`.
    """
    digits = common.check_labels(classes, "classes", width=3, below=10)
    return _modes(digits @ digits.new_tensor([100, 10, 1]), 1000, expected, 0.0)


def _modes(classes: Tensor, count: int, expected: Sequence[float] | None, covered: float) -> Modes:
    common.check_int(count, "count", at_least=1)
    result = common.check_labels(classes, "classes", below=count)
    weights = [1.0] * count if expected is None else [float(fraction) for fraction in expected]
    fractions = torch.tensor(weights, dtype=torch.float64)
    if (
        len(fractions) != count
        or not fractions.isfinite().all()
        or (fractions < 0).any()
        or fractions.sum() == 0
    ):
        raise DataError(
            f"expected: expected {count} fractions, none below 0, got {len(fractions)} that sum to "
            f"{fractions.sum().item():g}; pass one for each class"
        )
    fractions = fractions / fractions.sum()
    counts = result.cpu().bincount(minlength=count).double()
    histogram = counts / len(result)
    expected_modes = fractions > 0
    covered_modes = expected_modes & (counts >= (covered * len(result) * fractions).clamp(min=1))
    present = histogram > 0
    kl = (histogram[present] * (histogram[present] / fractions[present]).log()).sum()
    return Modes(
        histogram=tuple(histogram.tolist()),
        covered=int(covered_modes.sum()),
        kl=max(0.0, kl.item()),  # by rounding it may be negative for equal fractions
        missing=tuple((expected_modes & ~covered_modes).nonzero().flatten().tolist()),
    )

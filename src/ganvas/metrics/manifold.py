"""Fidelity and diversity from nearest neighbors: precision, recall, density, coverage.

Source: Kynkäänniemi et al. 2019, arXiv 1904.06991, section 3 (precision and recall, k = 3); Naeem et al.
2020, arXiv 2002.09797, section 3 (density and coverage, k = 5). Around each sample is a ball up to
its k-th nearest neighbor in its own set; the union of the balls is the estimated manifold of the set.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.metrics import common
from ganvas.metrics.common import Estimate, mean_of
from ganvas.metrics.knn import nearest_neighbors, squared_distances

# The precision of |x|² + |y|² - 2 x·y in float32, as a fraction of |x|² + |y|². Samples that close to the
# surface of a ball count as inside, as a copy of a sample whose neighbors are copies too must.
SLACK = 1e-6


@dataclass(frozen=True)
class Manifold:
    """The four scores, with standard errors of the mean over samples, the other set fixed.

    Attributes:
        precision: fraction of fakes within a real's ball.
        recall: fraction of reals within a fake's ball.
        density: mean number of reals' balls that contain a fake, divided by k; may exceed 1.
        coverage: fraction of reals whose ball contains a fake.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def manifold_scores(
    fake: Tensor,
    real: Tensor,
    *,
    k_precision: int = 3,
    k_density: int = 5,
    real_radii: Tensor | None = None,
) -> Manifold:
    """Precision, recall, density and coverage of fakes float32 [N, D] among reals float32 [M, D].

    Recall depends on N, density and coverage on N/M: compare scores of equal N and M only.

    Args:
        fake: float32 [N, D].
        real: float32 [M, D].
        k_precision: k of precision and recall, below N and M.
        k_density: k of density and coverage, below M.
        real_radii: the reals' distances to their nearest others, float32 [M, K], K at least both k:
            `nearest_neighbors(real, real, K, exclude_self=True)[0]`, most of the work and the same for all
            fakes.

    Raises:
        DataError: not features, too few, not finite, of different networks; radii of another set.
        UserError: a k out of range.
    """
    x, y = common.check_features(fake, "fake"), common.check_features(real, "real")
    common.check_same_width(x.shape[1], y.shape[1], "fake and real")
    common.check_int(k_precision, "k_precision", at_least=1, at_most=min(len(x), len(y)) - 1)
    common.check_int(k_density, "k_density", at_least=1, at_most=len(y) - 1)
    k = max(k_precision, k_density)
    if real_radii is None:
        real_radii = nearest_neighbors(y, y, k, exclude_self=True)[0]
    if real_radii.ndim != 2 or len(real_radii) != len(y) or real_radii.shape[1] < k:
        raise DataError(
            f"real_radii: expected [{len(y)}, {k} or more], got {list(real_radii.shape)}; "
            f"compute them from these reals"
        )
    fake_balls = nearest_neighbors(x, x, k_precision, exclude_self=True)[0][:, -1:].square()  # [N, 1]
    precision_balls = real_radii[:, k_precision - 1].square()  # [M]
    density_balls = real_radii[:, k_density - 1].square()

    precise, dense = [], []  # of fakes, block by block
    recalled = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    covered = torch.zeros_like(recalled)
    inside = torch.empty(0, dtype=y.dtype, device=y.device)
    for rows, squared in squared_distances(x, y, slack=SLACK):
        # Comparisons as floats: PyTorch sums floats ten times as fast as booleans.
        inside = inside.resize_(squared.shape)
        torch.le(squared, density_balls, out=inside)
        dense.append(inside.sum(dim=1))
        covered |= squared.amin(dim=0) <= density_balls
        recalled |= torch.sub(squared, fake_balls[rows], out=inside).amin(dim=0) <= 0
        precise.append(torch.sub(squared, precision_balls, out=inside).amin(dim=1) <= 0)
    return Manifold(
        precision=mean_of(torch.cat(precise)),
        recall=mean_of(recalled),
        density=mean_of(torch.cat(dense).double() / k_density),
        coverage=mean_of(covered),
    )


def precision_recall(fake: Tensor, real: Tensor, k: int = 3) -> tuple[Estimate, Estimate]:
    """Precision and recall alone; see `manifold_scores`."""
    result = manifold_scores(fake, real, k_precision=k, k_density=k)
    return result.precision, result.recall


def density_coverage(fake: Tensor, real: Tensor, k: int = 5) -> tuple[Estimate, Estimate]:
    """Density and coverage alone; see `manifold_scores`."""
    result = manifold_scores(fake, real, k_precision=1, k_density=k)
    return result.density, result.coverage

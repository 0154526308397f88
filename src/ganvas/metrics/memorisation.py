"""Are fakes copies of training samples: authenticity, data-copying, and near copies.

Source: Alaa et al. 2022, arXiv 2102.08921 (authenticity); Meehan et al. 2020, arXiv 2004.05675 (C_T). All
compare distances to the nearest training sample. None of them sees what it means by itself: print beside
each what half of the unseen samples scores in the fakes' place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.metrics import checks
from ganvas.metrics.cells import cell_of, k_means
from ganvas.metrics.estimate import Estimate, mean_of
from ganvas.metrics.neighbours import nearest

# Meehan et al. leave out cells with few fakes (their τ); below 20 the ranks are not yet normal.
FEWEST = 20
CELLS = 10
# A cell should hold some more of both kinds than that.
PER_CELL = 50
NEAR = 0.01  # the quantile of unseen samples' distances below which a fake is a near copy


@dataclass(frozen=True)
class Memorisation:
    """How much of the training set a generator gives back.

    Attributes:
        authenticity: share of fakes whose nearest training sample has another training sample nearer to it
            than the fake; 0 for copies. Its spread is the standard error of the mean over fakes.
        copying: C_T, a z-score: below about -3 fakes are nearer to training samples than unseen samples are
            (copying), above about 3 they are farther (underfitting); near 0 for an honest generator. NaN
            where no cell holds enough fakes.
        copies: share of fakes as near to a training sample as the nearest hundredth of unseen samples; 0.01
            for an honest generator. Its spread is the standard error of the mean over fakes.
    """

    authenticity: Estimate
    copying: float
    copies: Estimate


def memorisation(
    fake: Tensor,
    train: Tensor,
    unseen: Tensor,
    *,
    cells: int = CELLS,
    seed: int = 0,
    train_nearest: Tensor | None = None,
    unseen_nearest: Tensor | None = None,
    centres: Tensor | None = None,
) -> Memorisation:
    """Compare fakes' distances to the training samples with those of unseen samples.

    Authenticity: with i the training sample nearest to fake j, A_j = 1 if d(i, j) > d(i, i') for the
    training sample i' nearest to i.

    C_T = Σ_π P(π) Z_π / Σ_π P(π) over cells π of the training set's k-means that hold at least 20 fakes,
    P(π) the share of unseen samples in π, and Z_π = (U - mn/2) / σ the z-score of the Mann-Whitney U of
    the m fakes' distances over the n unseen samples' in π; ties count half, and shrink σ.

    Args:
        fake: float32 [N, D].
        train: float32 [M, D], what the generator was trained on.
        unseen: float32 [L, D], of the same distribution, and not trained on.
        cells: of the k-means; fewer where N or L is below 50 a cell.
        seed: of the k-means.
        train_nearest: distances of the training samples to their nearest others, float32 [M, K], of which
            only the first column is used: `nearest(train, train, K, exclude_self=True)`, most of the work.
        unseen_nearest: distances of the unseen samples to the training samples, float32 [L, 1], as
            `nearest(unseen, train)` gives them.
        centres: of the cells, float32 [cells, D], as `k_means(train, cells, seed)` gives them; used where
            there are enough samples for all of them.

    Raises:
        DataError: not features, fewer than 2, not finite, of different networks; distances of another set.
        UserError: fewer than 1 cell.
    """
    x, t = checks.features(fake, "fake"), checks.features(train, "train")
    u = checks.features(unseen, "unseen")
    checks.same_width(x.shape[1], t.shape[1], "fake and train")
    checks.same_width(u.shape[1], t.shape[1], "unseen and train")
    checks.whole(cells, "cells", at_least=1)
    if train_nearest is None:
        train_nearest = nearest(t, t, exclude_self=True)[0]
    if unseen_nearest is None:
        unseen_nearest = nearest(u, t)[0]
    _check_distances(train_nearest, len(t), "train_nearest")
    _check_distances(unseen_nearest, len(u), "unseen_nearest")
    to_train, nearest_train = (found.flatten() for found in nearest(x, t))
    unseen_to_train = unseen_nearest[:, 0]
    near = unseen_to_train.double().quantile(NEAR)
    cells = max(1, min(cells, len(x) // PER_CELL, len(u) // PER_CELL, len(t)))
    if centres is None or len(centres) != cells:
        centres = k_means(t, cells, seed)
    return Memorisation(
        authenticity=mean_of(to_train > train_nearest[nearest_train, 0]),
        copying=_data_copying(to_train, cell_of(x, centres), unseen_to_train, cell_of(u, centres), cells),
        # An equal distance counts: where duplicates of training samples are unseen samples, it is 0.
        copies=mean_of(to_train.double() <= near),
    )


def _check_distances(distances: Tensor, count: int, name: str) -> None:
    if distances.ndim != 2 or len(distances) != count:
        raise DataError(
            f"{name}: expected [{count}, 1 or more], got {list(distances.shape)}; "
            f"compute it from these samples"
        )


def _data_copying(
    fake: Tensor, fake_cells: Tensor, unseen: Tensor, unseen_cells: Tensor, cells: int
) -> float:
    """C_T from distances to the nearest training sample, and cells."""
    weighted, weight = 0.0, 0
    for cell in range(cells):
        of_fakes, of_unseen = fake[fake_cells == cell], unseen[unseen_cells == cell]
        if len(of_fakes) >= FEWEST and len(of_unseen):
            weighted += len(of_unseen) * mann_whitney(of_fakes, of_unseen)
            weight += len(of_unseen)
    return weighted / weight if weight else math.nan


def mann_whitney(a: Tensor, b: Tensor) -> float:
    """The z-score of how often a number of `a` [m] exceeds one of `b` [n]; 0 where all are equal."""
    m, n = len(a), len(b)
    _, inverse, numbers = torch.cat([a, b]).unique(return_inverse=True, return_counts=True)
    numbers = numbers.double()
    ranks = numbers.cumsum(0) - (numbers - 1) / 2  # of equal numbers: the mean of their ranks
    exceeds = ranks[inverse[:m]].sum() - m * (m + 1) / 2
    ties = ((numbers**3 - numbers).sum() / ((m + n) * (m + n - 1))).item()
    variance = m * n / 12 * (m + n + 1 - ties)
    return (exceeds.item() - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0

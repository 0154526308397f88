"""Whether fakes are copies of training samples: authenticity, data-copying, and near copies.

Source: Alaa et al. 2022, arXiv 2102.08921 (authenticity); Meehan et al. 2020, arXiv 2004.05675 (C_T). All
compare distances to the nearest training sample. None of them means
much alone: print beside each the score of half of the held-out samples in place of the fakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.metrics import common
from ganvas.metrics.common import Estimate, mean_of
from ganvas.metrics.knn import assign_clusters, kmeans_centers, nearest_neighbors

# Meehan et al. leave out cells with few fakes (their τ); below 20 the ranks are not yet normal.
MIN_FAKES = 20
CELLS = 10
# Cells with somewhat more samples of both kinds than that on average.
PER_CELL = 50
NEAR = 0.01  # the quantile of held-out samples' distances below which a fake is a near copy


@dataclass(frozen=True)
class Memorization:
    """How much of the training set a generator reproduces.

    Attributes:
        authenticity: fraction of fakes whose nearest training sample has another training sample nearer to it
            than the fake; 0 for copies. Its standard error is the standard error of the mean over fakes.
        copying: C_T, a z-score: below about -3 fakes are nearer to training samples than held-out samples are
            (copying), above about 3 they are farther (underfitting); near 0 for an honest generator. NaN
            where no cell has enough fakes.
        copies: fraction of fakes as near to a training sample as the nearest 1% of held-out samples; 0.01
            for an honest generator. Its standard error is the standard error of the mean over fakes.
    """

    authenticity: Estimate
    copying: float
    copies: Estimate


def memorization_scores(
    fake: Tensor,
    train: Tensor,
    held_out: Tensor,
    *,
    cells: int = CELLS,
    seed: int = 0,
    train_nearest: Tensor | None = None,
    held_out_nearest: Tensor | None = None,
    centers: Tensor | None = None,
) -> Memorization:
    """Compare fakes' distances to the training samples with those of held-out samples.

    Authenticity: with i the training sample nearest to fake j, A_j = 1 if d(i, j) > d(i, i') for the
    training sample i' nearest to i.

    C_T = Σ_π P(π) Z_π / Σ_π P(π) over cells π of the training set's k-means that have at least 20 fakes,
    P(π) the fraction of held-out samples in π, and Z_π = (U - mn/2) / σ the z-score of the Mann-Whitney U of
    the m fakes' distances over the n held-out samples' in π; ties count half, and shrink σ.

    Args:
        fake: float32 [N, D].
        train: float32 [M, D], what the generator was trained on.
        held_out: float32 [L, D], of the same distribution, and not trained on.
        cells: of the k-means; fewer where N or L is below 50 a cell.
        seed: of the k-means.
        train_nearest: distances of the training samples to their nearest others, float32 [M, K], of which
            the first column is used: `nearest_neighbors(train, train, K, exclude_self=True)[0]`, most of the
            work.
        held_out_nearest: distances of the held-out samples to the training samples, float32 [L, 1]:
            `nearest_neighbors(held_out, train)[0]`.
        centers: of the cells, float32 [cells, D]: `kmeans_centers(train, cells, seed)`; used where there are
            enough samples for all of them.

    Raises:
        DataError: not features, fewer than 2, not finite, of different networks; distances of another set.
        UserError: fewer than 1 cell.
    """
    x, t, u = map(common.check_features, (fake, train, held_out), ("fake", "train", "held_out"))
    common.check_same_width(x.shape[1], t.shape[1], "fake and train")
    common.check_same_width(u.shape[1], t.shape[1], "held_out and train")
    common.check_int(cells, "cells", at_least=1)
    if train_nearest is None:
        train_nearest = nearest_neighbors(t, t, exclude_self=True)[0]
    if held_out_nearest is None:
        held_out_nearest = nearest_neighbors(u, t)[0]
    _check_distances(train_nearest, len(t), "train_nearest")
    _check_distances(held_out_nearest, len(u), "held_out_nearest")
    to_train, nearest_train = (result.flatten() for result in nearest_neighbors(x, t))
    held_out_to_train = held_out_nearest[:, 0]
    cells = max(1, min(cells, len(x) // PER_CELL, len(u) // PER_CELL, len(t)))
    if centers is None or len(centers) != cells:
        centers = kmeans_centers(t, cells, seed)
    clusters = assign_clusters(x, centers), assign_clusters(u, centers)
    return Memorization(
        authenticity=mean_of(to_train > train_nearest[nearest_train, 0]),
        copying=_data_copying(to_train, clusters[0], held_out_to_train, clusters[1], cells),
        # An equal distance counts: where duplicates of training samples are held-out samples, it is 0.
        copies=mean_of(to_train.double() <= held_out_to_train.double().quantile(NEAR)),
    )


def _check_distances(distances: Tensor, count: int, name: str) -> None:
    if distances.ndim != 2 or len(distances) != count:
        raise DataError(
            f"{name}: expected [{count}, 1 or more], got {list(distances.shape)}; "
            f"compute it from these samples"
        )


def _data_copying(
    fake: Tensor, fake_cells: Tensor, held_out: Tensor, held_out_cells: Tensor, cells: int
) -> float:
    """C_T from distances to the nearest training sample, and cells."""
    weighted, weight = 0.0, 0
    for cell in range(cells):
        of_fakes, of_held_out = fake[fake_cells == cell], held_out[held_out_cells == cell]
        if len(of_fakes) >= MIN_FAKES and len(of_held_out):
            weighted += len(of_held_out) * mann_whitney(of_fakes, of_held_out)
            weight += len(of_held_out)
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

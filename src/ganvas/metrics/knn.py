"""Nearest neighbors by Euclidean distance in little memory, and k-means, which is built on them.

Brute force on purpose: in 100 dimensions and more no index prunes enough to beat a matrix multiplication, and
scores must not depend on an approximation. Source of k-means: Lloyd 1982; its initial centers: k-means++,
Arthur and Vassilvitskii 2007.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.metrics import common

BLOCK_BYTES = 128 * 2**20  # of squared distances held at a time
GROUP = 16  # references of which only the nearest is looked at first
SPARE = 4  # more candidates than asked for, to be ranked by exact distances
LLOYD_STEPS = 25  # clusters need to be sensible, not optimal
SAMPLES = 20_000  # at most, to compute the centers from


def nearest_neighbors(
    queries: Tensor, references: Tensor, k: int = 1, *, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """The k nearest references of every query.

    Candidates are found by a matrix multiplication, as |x|² + |y|² - 2 x·y, whose rounding hides
    distances below a thousandth of the features' lengths; the distances of the k and a few more are then
    computed by subtraction, so that a duplicate is at exactly 0.

    Args:
        queries: float32 [N, D].
        references: float32 [M, D].
        k: 1 to M, or to M - 1 with `exclude_self`.
        exclude_self: queries are the references; leave out each one's distance to itself.

    Returns:
        Distances float32 [N, k], ascending, and indices of references int64 [N, k]. Of equal distances the
        lower index comes first.

    Raises:
        DataError: not features, none, not finite, or of different networks; `exclude_self` with queries that
            are not the references.
        UserError: k out of range.
    """
    x = common.check_features(queries, "queries", at_least=1)
    y = common.check_features(references, "references", at_least=1)
    common.check_same_width(x.shape[1], y.shape[1], "queries and references")
    if exclude_self and len(x) != len(y):
        raise DataError(
            f"queries: expected the {len(y)} references themselves, got {len(x)}; leave out `exclude_self`"
        )
    common.check_int(k, "k", at_least=1, at_most=len(y) - exclude_self)

    wanted = min(k + SPARE, len(y))
    distances, indices = [], []
    for rows, squared in squared_distances(x, y, padded=True):
        if exclude_self:
            squared[:, rows].fill_diagonal_(torch.inf)
        candidates = _smallest(squared, wanted)
        # Padding comes last among the candidates, and is not of the first k.
        differences = x[rows].unsqueeze(1) - y[candidates.clamp(max=len(y) - 1)]
        exact = torch.linalg.vector_norm(differences, dim=2)
        outside = squared.gather(1, candidates).isinf()
        result, order = exact.masked_fill(outside, torch.inf).sort(dim=1, stable=True)
        distances.append(result[:, :k])
        indices.append(candidates.gather(1, order)[:, :k])
    return torch.cat(distances), torch.cat(indices)


def squared_distances(
    x: Tensor, y: Tensor, *, padded: bool = False, slack: float = 0.0
) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of checked features x [N, D] to y [M, D], a block of x's rows at a time.

    Both are centered first, since rounding is proportional to |x|² + |y|². Two more columns let one product
    compute the whole sum, [-2x, 1, |x|²]·[y, |y|², 1], which saves two passes over every block.

    Args:
        x: float32 [N, D].
        y: float32 [M, D].
        padded: add columns of infinity up to a multiple of `GROUP`.
        slack: subtract this fraction of |x|² + |y|² from each, for comparisons that forgive rounding.

    Yields:
        The rows and their block, float32 [rows, M]. It is overwritten by the next, and may be changed.
    """
    center = y.mean(dim=0, dtype=torch.float64).to(y.dtype)
    x, y = x - center, y - center
    width = -len(y) % GROUP * padded + len(y)
    left = torch.empty(len(x), x.shape[1] + 2, dtype=x.dtype, device=x.device)
    left[:, :-2], left[:, -2], left[:, -1] = -2 * x, 1, (1 - slack) * x.square().sum(dim=1)
    right = torch.zeros(width, y.shape[1] + 2, dtype=y.dtype, device=y.device)
    right[: len(y), :-2], right[: len(y), -2], right[:, -1] = y, (1 - slack) * y.square().sum(dim=1), 1
    right[len(y) :, -2] = torch.inf
    rows = max(1, min(len(x), BLOCK_BYTES // (width * x.element_size())))
    block = torch.empty(rows, width, dtype=x.dtype, device=x.device)
    for start in range(0, len(x), rows):
        part = slice(start, min(start + rows, len(x)))
        yield part, torch.mm(left[part], right.T, out=block[: part.stop - start])


def _smallest(squared: Tensor, count: int) -> Tensor:
    """Columns int64 [rows, count] of the smallest numbers of a padded block, in ascending order of columns.

    The smallest of a row are in the groups with the smallest minima; so one pass that takes minima of
    groups leaves a sixteenth of the columns to select from.
    """
    rows, width = squared.shape
    groups = width // GROUP
    if groups <= count:
        return squared.topk(count, dim=1, largest=False, sorted=False).indices.sort(dim=1).values
    # A group is every `groups`-th column: the minimum then runs over whole vectors.
    least = squared.view(rows, GROUP, groups).amin(dim=1)
    chosen = least.topk(count, dim=1, largest=False, sorted=False).indices  # [rows, count]
    members = torch.arange(GROUP, device=squared.device) * groups
    columns = (chosen.unsqueeze(2) + members).flatten(1)  # [rows, count * GROUP]
    best = squared.gather(1, columns).topk(count, dim=1, largest=False, sorted=False).indices
    return columns.gather(1, best).sort(dim=1).values


def kmeans_centers(features: Tensor, count: int, seed: int) -> Tensor:
    """k-means centers [count, D] of checked features [N, D], N >= count; a function of the seed."""
    source = torch.Generator().manual_seed(seed)
    x = features[torch.randperm(len(features), generator=source)[:SAMPLES].to(features.device)]
    centers = x[:1]
    distances = nearest_neighbors(x, centers)[0].flatten()
    while len(centers) < count:
        # The next center is a sample, with a probability proportional to its squared distance to the nearest.
        weights = distances.double().square().cpu()
        if weights.sum() == 0:  # fewer distinct samples than clusters
            weights = torch.ones_like(weights)
        chosen = torch.multinomial(weights, 1, generator=source).to(x.device)
        centers = torch.cat([centers, x[chosen]])
        distances = torch.minimum(distances, nearest_neighbors(x, x[chosen])[0].flatten())
    for _ in range(LLOYD_STEPS):
        clusters = assign_clusters(x, centers)
        sizes = clusters.bincount(minlength=count).unsqueeze(1)
        sums = torch.zeros_like(centers).index_add_(0, clusters, x)
        moved = torch.where(sizes > 0, sums / sizes.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def assign_clusters(features: Tensor, centers: Tensor) -> Tensor:
    """Clusters int64 [N]: the index of the nearest center of each sample."""
    return nearest_neighbors(features, centers)[1].flatten()

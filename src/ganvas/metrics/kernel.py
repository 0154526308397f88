"""The kernel distance of two sets of features: KID.

Source: Binkowski et al. 2018, arXiv 1801.01401, section 4 and appendix D: the unbiased squared maximum mean
discrepancy with the kernel k(x, y) = (x·y/D + 1)³, averaged over random subsets. Unlike FID's, its mean
does not depend on N.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganvas.metrics import common
from ganvas.metrics.common import Estimate


def kid(fake: Tensor, real: Tensor, *, subsets: int = 100, size: int = 1000, seed: int = 0) -> Estimate:
    """The mean over `subsets` pairs of subsets, each of `size` fakes and reals drawn without repetition.

    MMD²_u = [Σ_{i≠j} k(x_i, x_j) + Σ_{i≠j} k(y_i, y_j)] / n(n - 1) - 2 Σ_{i,j} k(x_i, y_j) / n², in float64;
    its expectation is 0 for equal distributions, so it may be negative.

    The standard error is the standard deviation over the subsets, divided by √subsets. Subsets of a small set
    overlap, and are all the same where a set has no more than `size` samples: the standard error is then too
    small.

    Args:
        fake: float32 [N, D].
        real: float32 [M, D].
        subsets: their number, at least 2.
        size: samples of each set in a subset; all of the smaller set, where it has fewer.
        seed: of the subsets.

    Raises:
        DataError: not features, fewer than 2, not finite, or of different networks.
        UserError: fewer than 2 subsets, or a size below 2.
    """
    common.check_int(subsets, "subsets", at_least=2)
    common.check_int(size, "size", at_least=2)
    x, y = common.check_features(fake, "fake"), common.check_features(real, "real")
    common.check_same_width(x.shape[1], y.shape[1], "fake and real")
    size = min(size, len(x), len(y))
    source = torch.Generator().manual_seed(seed)
    result = torch.tensor(
        [_mmd(_subset(x, size, source), _subset(y, size, source)) for _ in range(subsets)],
        dtype=torch.float64,
    )
    return Estimate(result.mean().item(), (result.std(correction=1) / subsets**0.5).item())


def _subset(features: Tensor, size: int, source: torch.Generator) -> Tensor:
    """`size` samples in float64 over √D, with 1 as a last feature: a product of two then is x·y/D + 1."""
    rows = torch.randperm(len(features), generator=source)[:size].to(features.device)
    chosen = features[rows].double() / features.shape[1] ** 0.5
    return torch.cat([chosen, chosen.new_ones(size, 1)], dim=1)


def _mmd(x: Tensor, y: Tensor) -> float:
    """MMD²_u of two subsets of n samples each."""
    n = len(x)
    within = sum(_cubes(s, s) - s.square().sum(dim=1).pow(3).sum().item() for s in (x, y))
    return within / (n * (n - 1)) - 2 * _cubes(x, y) / n**2


def _cubes(x: Tensor, y: Tensor) -> float:
    """Σ_{i,j} (x_i·y_j)³, with as few passes over the products as possible."""
    products = (x @ y.T).flatten()
    return torch.dot(products.square(), products).item()

"""The Fréchet distance of two sets of features, each modeled as a Gaussian: FID, and FID at infinite N.

Source: Heusel et al. 2017, arXiv 1706.08500, equation 6 (there of Inception's features, here of those of
any network); Chong and Forsyth 2020, arXiv 1911.07023, for infinite N. Everything is computed in float64.

FID is biased upwards, by about D²/4N + D/N for each of two samples of one Gaussian in D dimensions: never
compare across N or networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.metrics import common
from ganvas.metrics.common import Estimate

CHUNK = 8192  # samples at a time in float64: 8 MB of 128 features


@dataclass(frozen=True)
class Moments:
    """What FID keeps of a set of features.

    Attributes:
        mean: float64 [D].
        covariance: float64 [D, D], the sum of squares divided by N - 1.
        count: N.
    """

    mean: Tensor
    covariance: Tensor
    count: int


@dataclass(frozen=True)
class _Sums:
    """Sums over samples minus a common center; those of a union are the sums of those of its parts."""

    count: int
    first: Tensor  # float64 [D]
    second: Tensor  # float64 [D, D]

    def minus(self, other: _Sums) -> _Sums:
        """The sums without those of a part."""
        return _Sums(self.count - other.count, self.first - other.first, self.second - other.second)

    def moments(self, center: Tensor) -> Moments:
        """Mean and covariance of the samples."""
        mean = self.first / self.count
        covariance = (self.second - torch.outer(self.first, mean)) / (self.count - 1)
        return Moments(center + mean, covariance, self.count)


def moments(features: Tensor) -> Moments:
    """Mean and covariance of features float32 [N, D], N >= 2, read in chunks.

    Raises:
        DataError: not features, fewer than 2, or not finite.
    """
    result = common.check_features(features, "features")
    center = _mean(result)
    return _sums(result, center).moments(center)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^½) of two Gaussians, at least 0.

    The trace of (C_a C_b)^½ is that of (C_a^½ C_b C_a^½)^½, which is symmetric, so that its
    eigenvalues are real and no imaginary part is dropped.

    Raises:
        DataError: moments of different numbers of features.
    """
    common.check_same_width(len(a.mean), len(b.mean), "a and b")
    return _distance(a, b, _root(a.covariance))


def fid(fake: Tensor, real: Tensor | Moments, *, groups: int = 20) -> Estimate:
    """The Fréchet distance of fakes to reals, both float32 [N, D], or the reals as moments.

    The standard error is a delete-group jackknife over the fakes: one group of `groups` is left out in turn,
    and stderr² = (g - 1)/g Σ (FID without group i - their mean)². It estimates how FID varies with
    other fakes of the same generator; the reals are fixed. Not the bootstrap: its samples have duplicates, so
    fewer distinct fakes, and FID's bias grows as those get fewer: all its values would be above FID itself.
    Close to 0, where FID is quadratic, the jackknife overestimates by up to a factor of 2; elsewhere it is
    accurate. With fewer than 4 fakes the standard error is NaN.

    Raises:
        DataError: not features, fewer than 2, not finite, or of different networks.
        UserError: fewer than 2 groups.
    """
    common.check_int(groups, "groups", at_least=2)
    result = common.check_features(fake, "fake")
    distance = _distance_to(real, result.shape[1])
    center = _mean(result)
    total = _sums(result, center)
    value = distance(total.moments(center))
    groups = min(groups, len(result) // 2)  # at least 2 fakes per group
    if groups < 2:
        return Estimate(value, math.nan)
    # Every g-th fake, not N/g consecutive ones: some generators return fakes sorted by class, and leaving
    # out a class is not leaving out a random fraction.
    parts = (_sums(result[i::groups], center) for i in range(groups))
    without = torch.tensor(
        [distance(total.minus(part).moments(center)) for part in parts], dtype=torch.float64
    )
    stderr = ((groups - 1) * without.var(correction=0)).sqrt()
    return Estimate(value, stderr.item())


def fid_infinity(fake: Tensor, real: Tensor | Moments, *, points: int = 10, seed: int = 0) -> float:
    """FID as the number of fakes grows without end: the line through FID at N, N/2 ... N/points, at 1/N = 0.

    Chong and Forsyth 2020, section 3: FID_N is near FID_∞ + slope/N. FID at N/i is the mean over i disjoint
    parts of the fakes in random order, so that every point uses all fakes. The relation is not linear
    where a part has few more samples than features: points with fewer than two samples a feature are left
    out, except N and N/2. The bias of few reals remains; the result may be negative.

    Raises:
        DataError: not features, fewer than 4 fakes, not finite, or of different networks.
        UserError: fewer than 2 points.
    """
    common.check_int(points, "points", at_least=2)
    result = common.check_features(fake, "fake", at_least=4)
    count, width = result.shape
    distance = _distance_to(real, width)
    points = max(2, min(points, count // (2 * width)))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(result.device)
    center = _mean(result)
    means = []
    for parts in range(1, points + 1):
        sums = (_sums(result[part], center) for part in order.tensor_split(parts))
        means.append(sum(distance(s.moments(center)) for s in sums) / parts)
    inverse = torch.arange(1, points + 1, dtype=torch.float64)  # 1/N in units of 1/count
    y = torch.tensor(means, dtype=torch.float64)
    slope = ((inverse - inverse.mean()) * (y - y.mean())).sum() / (inverse - inverse.mean()).square().sum()
    return float(y.mean() - slope * inverse.mean())


def _distance_to(real: Tensor | Moments, width: int) -> Callable[[Moments], float]:
    """A function that computes the distance to the reals; the root of their covariance is computed once."""
    target = real if isinstance(real, Moments) else moments(common.check_features(real, "real"))
    common.check_same_width(width, len(target.mean), "fake and real")
    root = _root(target.covariance)
    return lambda others: _distance(target, others, root)


def _distance(a: Moments, b: Moments, root: Tensor) -> float:
    """As `frechet_distance`, with `root` the square root of a's covariance."""
    product = root @ b.covariance @ root
    # By rounding, the smallest eigenvalues of a singular product may be negative.
    mixed = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    means = (a.mean - b.mean).square().sum()
    return max(0.0, float(means + a.covariance.trace() + b.covariance.trace() - 2 * mixed))


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance [D, D]."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def _mean(features: Tensor) -> Tensor:
    return features.sum(dim=0, dtype=torch.float64) / len(features)


def _sums(features: Tensor, center: Tensor) -> _Sums:
    """Sums in chunks, minus the center, since sums of raw squares would cancel where means are large."""
    width = features.shape[1]
    first, second = center.new_zeros(width), center.new_zeros(width, width)
    for chunk in features.split(CHUNK):
        x = chunk.double() - center
        first += x.sum(dim=0)
        second.addmm_(x.T, x)
    return _Sums(len(features), first, second)

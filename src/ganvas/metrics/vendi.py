"""The effective number of different samples in a set.

Source: Friedman and Dieng 2023, arXiv 2210.02410, definition 3.1, with the cosine of features as similarity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganvas.metrics import common


def vendi_score(features: Tensor, *, size: int | None = None) -> float:
    """exp(-Σ λ log λ) over the eigenvalues λ of K/N, K the cosines of features float32 [N, D].

    1 where all samples have the same direction, N where all are orthogonal; at most D + 1, and larger for
    larger N: compare sets of equal N. K/N [N, N] has the eigenvalues of the Gram matrix [D, D] of
    the scaled features, besides zeros; those are computed, in float64.

    Samples whose features are all 0 have no direction; they count as equal to each other only.

    Args:
        features: float32 [N, D].
        size: use the first `size` samples, 1 to N; None for all.

    Raises:
        DataError: not features, none, not finite.
        UserError: size out of range.
    """
    result = common.check_features(features, "features", at_least=1)
    if size is not None:
        common.check_int(size, "size", at_least=1, at_most=len(result))
        result = result[:size]
    gram = torch.zeros(result.shape[1] + 1, result.shape[1] + 1, dtype=torch.float64, device=result.device)
    for chunk in result.split(8192):
        x = chunk.double()
        lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        zero = lengths == 0
        x = torch.cat([x / lengths.masked_fill(zero, 1), zero.double()], dim=1)
        gram.addmm_(x.T, x)
    fractions = torch.linalg.eigvalsh(gram / len(result)).clamp(min=0)
    return float(torch.special.entr(fractions).sum().exp())

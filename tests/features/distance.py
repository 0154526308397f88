"""The Frechet distance from its definition, so that these tests depend on no other package of ganvas."""

import torch


def frechet(a, b):
    """Between Gaussians fitted to features [N, D] and [M, D]: Heusel et al. 2017, arXiv 1706.08500."""
    a, b = a.double(), b.double()
    first, second = torch.cov(a.T), torch.cov(b.T)
    cross = torch.linalg.eigvals(first @ second).real.clamp_min(0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross)

"""A metric: the sliced Wasserstein distance of the features.

    ganvas train mlp --data mnist-5k --plugin examples/metric.py

`ganvas evaluate RUN --plugin examples/metric.py` takes it, too. Along a line, the Wasserstein distance of
two sets of numbers is that of the sorted numbers; here the lines are the axes of a random rotation of the
feature space, the same in every call. Sets that are moved apart by v are |v| / sqrt(D) apart.

Source: Bonneel, Rabin, Peyre and Pfister 2015, doi 10.1007/s10851-014-0506-3, the sliced Wasserstein
distance; Deshpande, Zhang and Schwing 2018, arXiv 1803.11188, for generators.
"""

import torch
from torch import Tensor

import ganvas


@ganvas.register.metric(
    "sliced_wasserstein",
    title="Sliced Wasserstein",
    better="lower",
    meaning="how far the features must be moved, along random lines",
)
def sliced_wasserstein(fake: Tensor, real: Tensor) -> float:
    """Features [N, D] of generated and [M, D] of real images -> root of the mean squared distance."""
    size = fake.shape[1]
    rng = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(size, size, generator=rng, dtype=torch.float64)).Q.to(fake)
    count = min(len(fake), len(real))
    moved = _quantiles(fake @ rotation, count) - _quantiles(real @ rotation, count)
    return moved.square().mean().sqrt().item()


def _quantiles(values: Tensor, count: int) -> Tensor:
    """`count` quantiles [count, D] of each column of values [N, D]: all, in order, where count is N."""
    rows = (torch.arange(count, device=values.device) * 2 + 1) * len(values) // (2 * count)
    return values.sort(0).values[rows]

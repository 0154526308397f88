"""Cells of feature space, by k-means.

Source: Lloyd 1982; Arthur and Vassilvitskii 2007 (k-means++) for the first centres.
"""

import torch
from torch import Tensor

from ganvas.metrics.neighbours import nearest

STEPS = 25  # of Lloyd; cells need be sensible, not the best there are
SAMPLES = 20_000  # at most, to find the centres from


def k_means(features: Tensor, cells: int, seed: int) -> Tensor:
    """Centres [cells, D] of checked features [N, D], N >= cells, the same for a seed."""
    source = torch.Generator().manual_seed(seed)
    x = features[torch.randperm(len(features), generator=source)[:SAMPLES].to(features.device)]
    centres = x[:1]
    apart = nearest(x, centres)[0].flatten()
    while len(centres) < cells:
        # A sample becomes the next centre with a probability by its squared distance to the nearest one.
        weights = apart.double().square().cpu()
        if weights.sum() == 0:  # fewer different samples than cells
            weights = torch.ones_like(weights)
        chosen = torch.multinomial(weights, 1, generator=source).to(x.device)
        centres = torch.cat([centres, x[chosen]])
        apart = torch.minimum(apart, nearest(x, x[chosen])[0].flatten())
    for _ in range(STEPS):
        owners = cell_of(x, centres)
        numbers = owners.bincount(minlength=cells).unsqueeze(1)
        sums = torch.zeros_like(centres).index_add_(0, owners, x)
        moved = torch.where(numbers > 0, sums / numbers.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def cell_of(features: Tensor, centres: Tensor) -> Tensor:
    """Cells int64 [N]: the nearest centre of each sample."""
    return nearest(features, centres)[1].flatten()

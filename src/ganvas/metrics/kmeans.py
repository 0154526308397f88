"""Cells of feature space, by k-means.

Source: Lloyd 1982; Arthur and Vassilvitskii 2007 (k-means++) for the first centers.
"""

import torch
from torch import Tensor

from ganvas.metrics.knn import nearest_neighbors

STEPS = 25  # of Lloyd; cells need be sensible, not the best there are
SAMPLES = 20_000  # at most, to find the centers from


def kmeans_centers(features: Tensor, cells: int, seed: int) -> Tensor:
    """Centers [cells, D] of checked features [N, D], N >= cells, the same for a seed."""
    source = torch.Generator().manual_seed(seed)
    x = features[torch.randperm(len(features), generator=source)[:SAMPLES].to(features.device)]
    centers = x[:1]
    apart = nearest_neighbors(x, centers)[0].flatten()
    while len(centers) < cells:
        # A sample becomes the next center with a probability by its squared distance to the nearest one.
        weights = apart.double().square().cpu()
        if weights.sum() == 0:  # fewer different samples than cells
            weights = torch.ones_like(weights)
        chosen = torch.multinomial(weights, 1, generator=source).to(x.device)
        centers = torch.cat([centers, x[chosen]])
        apart = torch.minimum(apart, nearest_neighbors(x, x[chosen])[0].flatten())
    for _ in range(STEPS):
        owners = assign_clusters(x, centers)
        numbers = owners.bincount(minlength=cells).unsqueeze(1)
        sums = torch.zeros_like(centers).index_add_(0, owners, x)
        moved = torch.where(numbers > 0, sums / numbers.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def assign_clusters(features: Tensor, centers: Tensor) -> Tensor:
    """Cells int64 [N]: the nearest center of each sample."""
    return nearest_neighbors(features, centers)[1].flatten()

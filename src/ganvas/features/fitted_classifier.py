"""The task of fitted-classifier: tell the user's classes apart.

As in gv1 there is no augmentation, since features that forgive a shift or noise could not see them in a
generator; dropout on the features (Srivastava et al. 2014, JMLR 15) stands against learning by memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.features.fitting import DIMENSIONS, FittedNetwork, empty_module

_DROPPED = 0.3


class Classes:
    """Cross-entropy of the classes, from features of which a fraction is dropped.

    Args:
        labels: int64 [n], a class for each image.
    """

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels
        self.head = empty_module(lambda: nn.Linear(DIMENSIONS, int(labels.max()) + 1))

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:
        """See `fitting.Task`."""
        features = F.relu(network(x))
        kept = torch.rand(features.shape, generator=source) >= _DROPPED
        return F.cross_entropy(self.head(features * kept / (1 - _DROPPED)), self.labels[chosen])

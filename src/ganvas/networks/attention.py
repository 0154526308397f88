"""Self-attention over the places of a map.

Source: Zhang et al. 2019, arXiv 1805.08318 (SAGAN), equations 1 to 3: queries and keys of an eighth of the
channels, values of a half (as in its authors' code; an eighth in the text), and a share `gamma` of what is
found, which begins at 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.networks.layers import SameConv2d


class SelfAttention(nn.Module):
    """[N, C, H, W] -> the same: each place plus `gamma` times what it finds at all others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = SameConv2d(channels, few, 1, 1, bias=False)
        self.key = SameConv2d(channels, few, 1, 1, bias=False)
        self.value = SameConv2d(channels, half, 1, 1, bias=False)
        self.out = SameConv2d(half, channels, 1, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_rows(layer(x)) for layer in (self.query, self.key, self.value))
        if torch.is_grad_enabled():  # penalties derive it twice
            found = F.softmax(query @ key.transpose(1, 2), dim=-1) @ value  # unscaled, as in the paper
        else:  # never all places by all places in memory
            found = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        side = x.shape[2], x.shape[3]
        attended: Tensor = self.out(found.transpose(1, 2).unflatten(2, side))
        return x + self.gamma * attended


def _rows(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H * W, C]."""
    return x.flatten(2).transpose(1, 2)

"""Self-attention over the pixels of a feature map.

Source: Zhang et al. 2019, arXiv 1805.08318 (SAGAN), equations 1 to 3: queries and keys have an eighth of the
channels, values a half (as in the authors' code; an eighth in the paper), and the result is scaled by a
learned `gamma` that starts at 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.networks.layers import SameConv2d


class SelfAttention(nn.Module):
    """[N, C, H, W] -> the same shape: x plus `gamma` times attention over all pixels of the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        eighth, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = SameConv2d(channels, eighth, 1, 1, bias=False)
        self.key = SameConv2d(channels, eighth, 1, 1, bias=False)
        self.value = SameConv2d(channels, half, 1, 1, bias=False)
        self.out = SameConv2d(half, channels, 1, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_rows(layer(x)) for layer in (self.query, self.key, self.value))
        if torch.is_grad_enabled():  # in primitives: penalties need double backward
            attended = F.softmax(query @ key.transpose(1, 2), dim=-1) @ value  # unscaled, as in the paper
        else:  # never holds the H * W by H * W matrix in memory
            attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        size = x.shape[2], x.shape[3]
        projected: Tensor = self.out(attended.transpose(1, 2).unflatten(2, size))
        return x + self.gamma * projected


def _rows(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H * W, C]."""
    return x.flatten(2).transpose(1, 2)

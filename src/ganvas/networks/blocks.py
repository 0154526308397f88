"""Building blocks that the network families share: norms, activations, residual blocks, resampling and
self-attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.networks.init import SelfInitialized
from ganvas.networks.layers import Dropout, KerasBatchNorm, Linear, SameConv2d, Sigmoid, Tanh
from ganvas.networks.spec import BatchNorm

if TYPE_CHECKING:
    from ganvas.networks.resnet import Block

Size = tuple[int, int]


def batch_norm_layers(spec: BatchNorm | None, channels: int) -> list[nn.Module]:
    """Return a list of one batch norm, or an empty list without a spec."""
    return [KerasBatchNorm(channels, spec.momentum, spec.epsilon)] if spec else []


def dropout_layers(rate: float) -> list[nn.Module]:
    """Return a list of one dropout layer, or an empty list at rate 0."""
    return [Dropout(rate)] if rate else []


def activation(negative_slope: float) -> nn.Module:
    """Return leaky ReLU, or ReLU if the slope is 0."""
    return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()


def output_activation(pixel_range: tuple[int, int]) -> nn.Module:
    """Return the generator's last activation: sigmoid for the pixel range (0, 1), tanh for (-1, 1)."""
    return Sigmoid() if pixel_range == (0, 1) else Tanh()


class Residual(nn.Module):
    """x -> shortcut(x) + branch(x); the shortcut is the identity by default."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.branch(x)
        return y


class Upsample(nn.Module):
    """[N, C, H, W] -> [N, C, *size], by bilinear or nearest-neighbor interpolation."""

    def __init__(self, size: Size, bilinear: bool) -> None:
        super().__init__()
        self.size, self.bilinear = size, bilinear

    def forward(self, x: Tensor) -> Tensor:
        if self.bilinear:
            return F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return F.interpolate(x, self.size, mode="nearest")


class Downsample(nn.Module):
    """[N, C, H, W] -> [N, C, ceil(H / 2), ceil(W / 2)]: means of 2x2 pixels, which is bilinear resampling."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


class LearnedBasis(nn.Module, SelfInitialized):
    """z [N, Z] -> [N, C, h, w]: a learned map whose channels are scaled by a linear function of z."""

    def __init__(self, inputs: int, channels: int, size: Size) -> None:
        super().__init__()
        self.scale = Linear(inputs, channels, bias=False)
        self.basis = nn.Parameter(torch.zeros(channels, *size))

    def initialize(self, rng: torch.Generator) -> None:
        """Draw the learned map from N(0, 1)."""
        nn.init.normal_(self.basis, generator=rng)

    def forward(self, z: Tensor) -> Tensor:
        scale: Tensor = self.scale(z)
        return scale[:, :, None, None] * self.basis


class SumPool(nn.Module):
    """[N, C, H, W] -> [N, C]: the sum over all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


class DepthwisePool(nn.Module):
    """[N, C, h, w] -> [N, C]: a learned weighted sum over the pixels of each channel."""

    def __init__(self, channels: int, size: Size) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, size, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y.flatten(1)


class SelfAttention(nn.Module):
    """[N, C, H, W] -> the same shape: x plus `gamma` times attention over all pixels of the image.

    Queries and keys have an eighth of the channels, values a half (as in the authors' code; an eighth in the
    paper); the learned `gamma` starts at 0. Source: Zhang et al. 2019, arXiv 1805.08318 (SAGAN), equations 1
    to 3.
    """

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


def residual_stage(
    block: Block,
    inputs: int,
    outputs: int,
    resample: Sequence[nn.Module],
    negative_slope: float,
    batch_norm: BatchNorm | None,
    stages: int,
    *,
    down: bool = False,
) -> list[nn.Module]:
    """Return the modules of one stage: a change of size and channels, and `block.count` blocks.

    Args:
        block: the kind of block and its settings.
        inputs: channels before the stage.
        outputs: channels after it.
        resample: what changes the size of the map, if anything.
        negative_slope: of leaky ReLU.
        batch_norm: for basic blocks.
        stages: of the whole network; the depth sets the initial weights of bottleneck blocks.
        down: whether the map gets smaller.
    """
    project = [] if inputs == outputs else [SameConv2d(inputs, outputs, 1, 1, bias=False)]
    if block.kind == "bottleneck":
        depth = block.count * stages
        change = [*resample, *project] if down else [*project, *resample]  # project on the smaller map
        return [*change, *(_bottleneck(block, outputs, negative_slope, depth) for _ in range(block.count))]
    first = _basic(inputs, outputs, negative_slope, batch_norm, resample, project, down=down)
    rest = [_basic(outputs, outputs, negative_slope, batch_norm, [], []) for _ in range(block.count - 1)]
    return [first, *rest]


def _basic(
    inputs: int,
    outputs: int,
    negative_slope: float,
    batch_norm: BatchNorm | None,
    resample: Sequence[nn.Module],
    project: Sequence[nn.Module],
    *,
    down: bool = False,
) -> Residual:
    """Two 3x3 convolutions; the map grows before the first of them, or shrinks after the second."""
    up, shrink = ([], resample) if down else (resample, [])
    return Residual(
        nn.Sequential(
            *batch_norm_layers(batch_norm, inputs), activation(negative_slope), *up,
            SameConv2d(inputs, outputs, 3, 1),
            *batch_norm_layers(batch_norm, outputs), activation(negative_slope),
            SameConv2d(outputs, outputs, 3, 1), *shrink,
        ),
        nn.Sequential(*up, *project, *shrink),
    )  # fmt: skip


def _bottleneck(block: Block, width: int, negative_slope: float, depth: int) -> Residual:
    """1x1, grouped 3x3 and 1x1 convolutions, in a network of `depth` blocks; the branch starts at 0.

    Source of the initial weights: Zhang et al. 2019, arXiv 1901.09321 (Fixup).
    """
    inner = block.expansion * width
    first = SameConv2d(width, inner, 1, 1)
    second = SameConv2d(inner, inner, 3, 1, groups=block.groups)
    last = SameConv2d(inner, width, 1, 1, bias=False)
    gain = math.sqrt(2 / (1 + negative_slope**2)) * depth ** (-1 / 4)
    first.gain, second.gain, last.gain = gain, gain, 0.0
    return Residual(
        nn.Sequential(first, activation(negative_slope), second, activation(negative_slope), last)
    )

"""The modules behind the residual specs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.networks.attention import SelfAttention
from ganvas.networks.layers import Logit, SameConv2d, ToMap, strided_sides
from ganvas.networks.modules import activation, norm, to_pixels
from ganvas.networks.products import Linear
from ganvas.networks.residual import Block, ResidualDiscriminator, ResidualGenerator
from ganvas.networks.spec import BatchNorm, ImageShape
from ganvas.networks.spectral import Drawn, normalise

Sides = tuple[int, int]


class Residual(nn.Module):
    """What the branch makes of x, plus x itself, by way of the shortcut where there is one."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.shortcut(x) + self.branch(x)
        return added


class Resized(nn.Module):
    """[N, C, H, W] -> [N, C, *sides]: bilinear, or each pixel as often as needed."""

    def __init__(self, sides: Sides, bilinear: bool) -> None:
        super().__init__()
        self.sides, self.bilinear = sides, bilinear

    def forward(self, x: Tensor) -> Tensor:
        if self.bilinear:
            return F.interpolate(x, self.sides, mode="bilinear", align_corners=False)
        return F.interpolate(x, self.sides, mode="nearest")


class Halved(nn.Module):
    """[N, C, H, W] -> sides halved, rounded up: means of 2x2 pixels, which is bilinear resampling."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


class Basis(nn.Module, Drawn):
    """z [N, Z] -> [N, C, h, w]: a learned map, each channel scaled by a linear function of z."""

    def __init__(self, inputs: int, channels: int, sides: Sides) -> None:
        super().__init__()
        self.scale = Linear(inputs, channels, bias=False)
        self.basis = nn.Parameter(torch.zeros(channels, *sides))

    def draw(self, source: torch.Generator) -> None:
        """N(0, 1)."""
        nn.init.normal_(self.basis, generator=source)

    def forward(self, z: Tensor) -> Tensor:
        scale: Tensor = self.scale(z)
        return scale[:, :, None, None] * self.basis


class Summed(nn.Module):
    """[N, C, H, W] -> [N, C]: the sum over all places."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


class Weighed(nn.Module):
    """[N, C, h, w] -> [N, C]: each channel's places by weights of its own (a depthwise convolution)."""

    def __init__(self, channels: int, sides: Sides) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, sides, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weighed: Tensor = self.layer(x)
        return weighed.flatten(1)


def residual_generator(
    spec: ResidualGenerator, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]
) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    channels, height, width = image_shape
    plain, before = spec.block.kind == "basic", spec.widths[0]
    sides = _sides(height, width, spec.widths, spec.attention)[::-1]
    layers: list[nn.Module] = [Basis(latent_size, before, sides[0])]
    if plain:
        layers = [Linear(latent_size, before * math.prod(sides[0])), ToMap(before, *sides[0])]
    for i, (outputs, now) in enumerate(zip(spec.widths, sides, strict=True)):
        resize = [Resized(now, bilinear=not plain)] if i else []
        layers += _stage(spec.block, before, outputs, resize, spec.slope, spec.batch_norm, len(sides))
        if spec.attention in now:
            layers += [SelfAttention(outputs)]
        before = outputs
    if plain:
        layers += [*norm(spec.batch_norm, before), activation(spec.slope)]
    layers += [SameConv2d(before, channels, 3 if plain else 1, 1)]
    return nn.Sequential(*layers, to_pixels(pixel_range))


def residual_discriminator(
    spec: ResidualDiscriminator, image_shape: ImageShape, classes: int
) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    channels, height, width = image_shape
    plain, before = spec.block.kind == "basic", spec.widths[0]
    sides = _sides(height, width, spec.widths, spec.attention)
    layers: list[nn.Module] = [SameConv2d(channels, before, 3 if plain else 1, 1)]
    for i, (outputs, now) in enumerate(zip(spec.widths, sides, strict=True)):
        resize = [Halved()] if i else []
        layers += _stage(spec.block, before, outputs, resize, spec.slope, None, len(sides), down=True)
        if spec.attention in now:
            layers += [SelfAttention(outputs)]
        before = outputs
    layers += [activation(spec.slope), Summed()] if plain else [Weighed(before, sides[-1])]
    network = nn.Sequential(*layers, Logit(before, classes))
    if spec.spectral_norm:
        normalise(network)
    return network


def _sides(height: int, width: int, widths: Sequence[int], attention: int | None) -> list[Sides]:
    """Of the maps on the way down, one a stage.

    Raises:
        RecipeError: attention is wanted at a side that none of them has.
    """
    strides = [2] * (len(widths) - 1)
    sides = list(zip(strided_sides(height, strides), strided_sides(width, strides), strict=True))
    if attention is not None and not any(attention in pair for pair in sides):
        known = ", ".join(str(side) for side in dict.fromkeys(sum(sides, ())))
        raise RecipeError(f"attention {attention}: no map has this side; there are {known}")
    return sides


def _stage(
    block: Block,
    inputs: int,
    outputs: int,
    resize: Sequence[nn.Module],
    slope: float,
    batch_norm: BatchNorm | None,
    stages: int,
    *,
    down: bool = False,
) -> list[nn.Module]:
    """Blocks, before or in the first of which the map changes its sides and channels."""
    narrow = [] if inputs == outputs else [SameConv2d(inputs, outputs, 1, 1, bias=False)]
    if block.kind == "bottleneck":
        depth = block.count * stages
        change = [*resize, *narrow] if down else [*narrow, *resize]  # channels on the smaller map
        return [*change, *(_bottleneck(block, outputs, slope, depth) for _ in range(block.count))]
    first = _basic(inputs, outputs, slope, batch_norm, resize, narrow, down=down)
    rest = [_basic(outputs, outputs, slope, batch_norm, [], []) for _ in range(block.count - 1)]
    return [first, *rest]


def _basic(
    inputs: int,
    outputs: int,
    slope: float,
    batch_norm: BatchNorm | None,
    resize: Sequence[nn.Module],
    narrow: Sequence[nn.Module],
    *,
    down: bool = False,
) -> Residual:
    """Two 3x3 convolutions; the map grows before the first of them, or shrinks after the second."""
    up, shrink = ([], resize) if down else (resize, [])
    return Residual(
        nn.Sequential(
            *norm(batch_norm, inputs), activation(slope), *up, SameConv2d(inputs, outputs, 3, 1),
            *norm(batch_norm, outputs), activation(slope), SameConv2d(outputs, outputs, 3, 1), *shrink,
        ),
        nn.Sequential(*up, *narrow, *shrink),
    )  # fmt: skip


def _bottleneck(block: Block, width: int, slope: float, depth: int) -> Residual:
    """1x1, grouped 3x3, 1x1; its first weights, in a network of `depth` blocks, make the branch 0.

    Source of the weights: Zhang et al. 2019, arXiv 1901.09321 (Fixup).
    """
    inner = block.expansion * width
    first = SameConv2d(width, inner, 1, 1)
    second = SameConv2d(inner, inner, 3, 1, groups=block.groups)
    last = SameConv2d(inner, width, 1, 1, bias=False)
    gain = math.sqrt(2 / (1 + slope**2)) * depth ** (-1 / 4)
    first.gain, second.gain, last.gain = gain, gain, 0.0
    return Residual(nn.Sequential(first, activation(slope), second, activation(slope), last))

"""Residual networks: stages of blocks with shortcuts, between which the map doubles (or halves) its sides.

There are two kinds of blocks. `basic`: two 3x3 convolutions, as in the ResNet of Miyato et al. 2018, arXiv
1802.05957, table 4 (after Gulrajani et al. 2017). `bottleneck`: 1x1, grouped 3x3 and 1x1 convolutions without
norms, the last of them zero at the start, with bilinear resampling between stages and a learned map as G's
first layer (Huang et al. 2024, arXiv 2501.05441, section 3: R3GAN). Any image size works, as for DCGANs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganvas.errors import RecipeError
from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    GeneratorSpec,
    ImageShape,
    Init,
    NegativeSlope,
    SpectralNormalized,
    Widths,
)
from ganvas.utils.config import FrozenConfig
from ganvas.utils.conv_arithmetic import strided_sides

if TYPE_CHECKING:
    from torch import nn

Side = Annotated[
    int, Field(ge=1, le=256, description="side of the map that gets self-attention; none where null")
]


class Block(FrozenConfig):
    """The residual blocks of a stage."""

    kind: Literal["basic", "bottleneck"] = Field(
        "basic",
        description="basic: two 3x3 convolutions. bottleneck: 1x1, grouped 3x3 and 1x1 convolutions without "
        "norms, which need the rule kaiming_normal",
    )
    count: int = Field(1, ge=1, le=64, description="blocks in a stage")
    expansion: int = Field(2, ge=1, le=16, description="a bottleneck's inner channels, as a factor")
    groups: int = Field(1, ge=1, le=1024, description="groups of a bottleneck's 3x3 convolution")


def _check(widths: Widths, block: Block, init: Init) -> None:
    if not widths:
        raise ValueError("widths: expected the channels of at least one stage")
    if block.kind == "bottleneck" and init.rule != "kaiming_normal":
        raise ValueError(f"bottleneck blocks start at 0, which {init.rule} does not: use kaiming_normal")
    for width in widths:
        if block.kind == "bottleneck" and width * block.expansion % block.groups:
            raise ValueError(
                f"{width * block.expansion} channels in a block cannot be split into {block.groups} groups"
            )


class ResNetGenerator(GeneratorSpec):
    """z -> a small map -> stages of blocks, each on a map of twice the side of the one before -> image.

    Only basic blocks can have batch norm.
    """

    kind: Literal["resnet"] = "resnet"
    init: Init = Field(Init(rule="kaiming_normal"), description="the initial weights and biases")
    widths: Widths = Field(description="channels of each stage, the smallest map first")
    block: Block = Field(Block(), description="the blocks of each stage")
    negative_slope: NegativeSlope = 0.0
    batch_norm: BatchNorm | None = Field(None, description="in basic blocks; none where null")
    attention: Side | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self.widths, self.block, self.init)
        if self.block.kind == "bottleneck" and self.batch_norm is not None:
            raise ValueError("bottleneck blocks have no batch norm: set batch_norm to null")
        return self

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import (
            LearnedBasis,
            SelfAttention,
            Upsample,
            activation,
            batch_norm_layers,
            output_activation,
            residual_stage,
        )
        from ganvas.networks.layers import Linear, Reshape, SameConv2d

        channels, height, width = image_shape
        basic, inputs = self.block.kind == "basic", self.widths[0]
        sizes = _stage_sizes(height, width, self.widths, self.attention)[::-1]
        modules: list[nn.Module]
        if basic:
            modules = [Linear(latent_size, inputs * math.prod(sizes[0])), Reshape(inputs, *sizes[0])]
        else:
            modules = [LearnedBasis(latent_size, inputs, sizes[0])]
        for i, (outputs, size) in enumerate(zip(self.widths, sizes, strict=True)):
            resample = [Upsample(size, bilinear=not basic)] if i else []
            modules += residual_stage(
                self.block, inputs, outputs, resample, self.negative_slope, self.batch_norm, len(sizes)
            )
            if self.attention in size:
                modules += [SelfAttention(outputs)]
            inputs = outputs
        if basic:
            modules += [*batch_norm_layers(self.batch_norm, inputs), activation(self.negative_slope)]
        modules += [SameConv2d(inputs, channels, 3 if basic else 1, 1)]
        return nn.Sequential(*modules, output_activation(pixel_range))


class ResNetDiscriminator(DiscriminatorSpec):
    """Image -> stages of blocks, each on a map of half the side of the one before -> logit."""

    kind: Literal["resnet"] = "resnet"
    init: Init = Field(Init(rule="kaiming_normal"), description="the initial weights and biases")
    widths: Widths = Field(description="channels of each stage, the largest map first")
    block: Block = Field(Block(), description="the blocks of each stage")
    negative_slope: NegativeSlope = 0.2
    attention: Side | None = None
    spectral_norm: SpectralNormalized = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self.widths, self.block, self.init)
        if self.block.kind == "bottleneck" and self.spectral_norm:
            raise ValueError("bottleneck blocks start at 0, which has no spectral norm: use basic blocks")
        return self

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import (
            DepthwisePool,
            Downsample,
            SelfAttention,
            SumPool,
            activation,
            residual_stage,
        )
        from ganvas.networks.layers import Logit, SameConv2d, apply_spectral_norm

        channels, height, width = image_shape
        basic, inputs = self.block.kind == "basic", self.widths[0]
        sizes = _stage_sizes(height, width, self.widths, self.attention)
        modules: list[nn.Module] = [SameConv2d(channels, inputs, 3 if basic else 1, 1)]
        for i, (outputs, size) in enumerate(zip(self.widths, sizes, strict=True)):
            resample = [Downsample()] if i else []
            modules += residual_stage(
                self.block, inputs, outputs, resample, self.negative_slope, None, len(sizes), down=True
            )
            if self.attention in size:
                modules += [SelfAttention(outputs)]
            inputs = outputs
        if basic:
            modules += [activation(self.negative_slope), SumPool()]
        else:
            modules += [DepthwisePool(inputs, sizes[-1])]
        network = nn.Sequential(*modules, Logit(inputs, classes))
        if self.spectral_norm:
            apply_spectral_norm(network)
        return network


def _stage_sizes(
    height: int, width: int, widths: Sequence[int], attention: int | None
) -> list[tuple[int, int]]:
    """Height and width of the map of each stage, the largest first.

    Raises:
        RecipeError: no map has the side that attention is wanted at.
    """
    strides = [2] * (len(widths) - 1)
    sizes = list(zip(strided_sides(height, strides), strided_sides(width, strides), strict=True))
    if attention is not None and not any(attention in size for size in sizes):
        sides = ", ".join(str(side) for side in dict.fromkeys(sum(sizes, ())))
        raise RecipeError(f"attention {attention}: no map has this side; there are {sides}")
    return sizes

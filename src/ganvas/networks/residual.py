"""Specs of residual networks: maps that double (or halve) their sides stage by stage, blocks with shortcuts.

Two kinds of blocks. `basic`: two 3x3 convolutions, as the ResNet of spectral normalisation's paper (Miyato
et al. 2018, arXiv 1802.05957, table 4, after Gulrajani et al. 2017). `bottleneck`: 1x1, grouped 3x3, 1x1,
without any norm, its last layer beginning at 0, bilinear resampling between stages, a learned map as G's
first layer (Huang et al. 2024, arXiv 2501.05441, section 3: R3GAN). Any image size works, as in the
convolutional family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    GeneratorSpec,
    ImageShape,
    Slope,
    Values,
    Weights,
    Widths,
)

if TYPE_CHECKING:
    from torch import nn

Side = Annotated[int, Field(ge=1, le=256, description="of the map that is looked over by self-attention")]


class Block(Values):
    """What a stage consists of: `count` blocks.

    A bottleneck is `expansion` times as wide within, its 3x3 convolution in `groups` groups.
    """

    kind: Literal["basic", "bottleneck"] = "basic"
    count: int = Field(1, ge=1, le=64)
    expansion: int = Field(2, ge=1, le=16)
    groups: int = Field(1, ge=1, le=1024)


def _check(widths: Widths, block: Block, weights: Weights) -> None:
    if not widths:
        raise ValueError("widths: expected the channels of at least one stage")
    if block.kind == "bottleneck" and weights.rule != "scaled_normal":
        raise ValueError(f"bottleneck blocks begin at 0, which {weights.rule} does not: use scaled_normal")
    for width in widths:
        if block.kind == "bottleneck" and width * block.expansion % block.groups:
            raise ValueError(
                f"{width * block.expansion} channels within a block cannot be cut into {block.groups} groups"
            )


class ResidualGenerator(GeneratorSpec):
    """z -> a small map -> stages of blocks, each but the first on a map of twice the side -> image.

    `widths` are the channels of each stage, the smallest map first. Basic blocks have batch norm, if any.
    """

    kind: Literal["residual"] = "residual"
    weights: Weights = Weights(rule="scaled_normal")
    widths: Widths
    block: Block = Block()
    slope: Slope = 0.0
    batch_norm: BatchNorm | None = None
    attention: Side | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self.widths, self.block, self.weights)
        if self.block.kind == "bottleneck" and self.batch_norm is not None:
            raise ValueError("bottleneck blocks have no batch norm: set batch_norm to null")
        return self

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from ganvas.networks.residual_modules import residual_generator

        return residual_generator(self, image_shape, latent_size, pixel_range)


class ResidualDiscriminator(DiscriminatorSpec):
    """Image -> stages of blocks, each but the last followed by halving the sides -> logit.

    `widths` are the channels of each stage, the largest map first.
    """

    kind: Literal["residual"] = "residual"
    weights: Weights = Weights(rule="scaled_normal")
    widths: Widths
    block: Block = Block()
    slope: Slope = 0.2
    attention: Side | None = None
    spectral_norm: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self.widths, self.block, self.weights)
        if self.block.kind == "bottleneck" and self.spectral_norm:
            raise ValueError(
                "bottleneck blocks begin at 0, which has no norm: spectral_norm is for basic ones"
            )
        return self

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from ganvas.networks.residual_modules import residual_discriminator

        return residual_discriminator(self, image_shape, classes)

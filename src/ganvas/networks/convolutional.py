"""Specs of the DCGAN family: a dense layer to a small map, strided convolutions up; the mirror image down.

Source: Radford et al. 2016, arXiv 1511.06434, in the shapes that the classic tutorials gave it. Any image
size works: the sides of the maps are those that TensorFlow's "same" convolutions pass through on the way
down (28 -> 14 -> 7, 30 -> 15 -> 8), and the generator walks them backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    GeneratorSpec,
    ImageShape,
    Rate,
    Slope,
    Values,
    Width,
    Widths,
)

if TYPE_CHECKING:
    from torch import nn


Side = Annotated[int, Field(ge=1, le=256)]


class Convolution(Values):
    """One strided convolution, padded as TensorFlow's "same"."""

    channels: Width
    kernel: Side
    stride: Side = 1

    @model_validator(mode="after")
    def _covers_its_stride(self) -> Self:
        if self.kernel < self.stride:
            raise ValueError(f"kernel {self.kernel} is smaller than stride {self.stride}")
        return self


class ToImage(Values):
    """The layer that ends in the image's channels: transposed, or a plain convolution of stride 1."""

    kernel: Side
    stride: Side = 1
    transposed: bool = True

    @model_validator(mode="after")
    def _can_grow(self) -> Self:
        if self.kernel < self.stride:
            raise ValueError(f"kernel {self.kernel} is smaller than stride {self.stride}")
        if self.stride > 1 and not self.transposed:
            raise ValueError("a plain convolution cannot enlarge: stride must be 1")
        return self


class ConvolutionalGenerator(GeneratorSpec):
    """z -> dense layers -> a small map of `base` channels -> transposed convolutions -> image.

    Every layer but the last is followed by batch norm (if any) and leaky ReLU; the last ends in tanh for
    the pixel range [-1, 1] and in a sigmoid for [0, 1].
    """

    kind: Literal["convolutional"] = "convolutional"
    hidden: Widths = ()
    base: Width = 256
    layers: tuple[Convolution, ...] = ()
    to_image: ToImage
    slope: Slope = 0.2
    bias: bool = True
    batch_norm: BatchNorm | None = None

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from ganvas.networks.modules import convolutional_generator

        return convolutional_generator(self, image_shape, latent_size, pixel_range)


class ConvolutionalDiscriminator(DiscriminatorSpec):
    """Image -> strided convolutions -> flatten -> dense layers -> logit.

    Each layer is followed by batch norm (if any; `batch_norm_first` says whether the first layer has it
    too), leaky ReLU and dropout.
    """

    kind: Literal["convolutional"] = "convolutional"
    layers: tuple[Convolution, ...]
    hidden: Widths = ()
    slope: Slope = 0.2
    dropout: Rate = 0.0
    spectral_norm: bool = False
    batch_norm: BatchNorm | None = None
    batch_norm_first: bool = False

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from ganvas.networks.modules import convolutional_discriminator

        return convolutional_discriminator(self, image_shape, classes)

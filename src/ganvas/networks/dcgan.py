"""The DCGAN family: a dense layer to a small map and transposed convolutions; in D, strided convolutions.

Source: Radford et al. 2016, arXiv 1511.06434, in the variants of the classic tutorials. Any image size works:
the maps of the discriminator have the sizes of TensorFlow's "same" convolutions (28 -> 14 -> 7,
30 -> 15 -> 8), and those of the generator have the same sizes in reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganvas.networks.spec import (
    MAX_LAYERS,
    BatchNorm,
    DiscriminatorSpec,
    DropoutRate,
    GeneratorSpec,
    HiddenLayers,
    ImageShape,
    NegativeSlope,
    SpectralNormalized,
    Width,
)
from ganvas.utils.config import FrozenConfig
from ganvas.utils.conv_arithmetic import strided_sides

if TYPE_CHECKING:
    from torch import nn


KernelSize = Annotated[int, Field(ge=1, le=256, description="side of the kernel, in pixels")]
Stride = Annotated[int, Field(ge=1, le=256, description="in both directions, at most the kernel's side")]


class ConvLayer(FrozenConfig):
    """One strided convolution with TensorFlow's "same" padding; transposed in the generator."""

    channels: Width = Field(description="output channels")
    kernel: KernelSize
    stride: Stride = 1

    @model_validator(mode="after")
    def _covers_its_stride(self) -> Self:
        if self.kernel < self.stride:
            raise ValueError(f"kernel {self.kernel} is smaller than stride {self.stride}")
        return self


class OutputLayer(FrozenConfig):
    """The layer that makes the image: a transposed convolution, or a plain one of stride 1."""

    kernel: KernelSize
    stride: Stride = 1
    transposed: bool = Field(True, description="a transposed convolution; a plain one has stride 1")

    @model_validator(mode="after")
    def _can_grow(self) -> Self:
        if self.kernel < self.stride:
            raise ValueError(f"kernel {self.kernel} is smaller than stride {self.stride}")
        if self.stride > 1 and not self.transposed:
            raise ValueError("a plain convolution cannot enlarge: stride must be 1")
        return self


class DCGANGenerator(GeneratorSpec):
    """z -> dense layers -> a small map of `base_channels` channels -> transposed convolutions -> image.

    Every layer but the last is followed by batch norm (if any) and leaky ReLU; the last by tanh for the pixel
    range [-1, 1] and by a sigmoid for [0, 1].
    """

    kind: Literal["dcgan"] = "dcgan"
    hidden: HiddenLayers = ()
    base_channels: Width = Field(256, description="channels of the first, smallest map")
    layers: tuple[ConvLayer, ...] = Field(
        (), max_length=MAX_LAYERS, description="the transposed convolutions, but for the last"
    )
    output_layer: OutputLayer = Field(description="the convolution that makes the image")
    negative_slope: NegativeSlope = 0.2
    bias: bool = Field(True, description="whether dense and convolutional layers have biases")
    batch_norm: BatchNorm | None = Field(None, description="after every layer but the last; none where null")

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import activation, batch_norm_layers, output_activation
        from ganvas.networks.layers import Linear, Reshape, SameConv2d, SameConvTranspose2d

        channels, height, width = image_shape
        last = self.output_layer
        strides = [layer.stride for layer in self.layers] + [last.stride]
        heights = strided_sides(height, strides[::-1])[::-1]
        widths = strided_sides(width, strides[::-1])[::-1]
        modules: list[nn.Module] = []
        inputs = latent_size
        for outputs in (*self.hidden, heights[0] * widths[0] * self.base_channels):
            modules += [Linear(inputs, outputs, bias=self.bias), *batch_norm_layers(self.batch_norm, outputs)]
            modules += [activation(self.negative_slope)]
            inputs = outputs
        modules += [Reshape(self.base_channels, heights[0], widths[0])]
        inputs = self.base_channels
        for layer, h, w in zip(self.layers, heights[1:], widths[1:], strict=False):
            outputs, kernel, stride = layer.channels, layer.kernel, layer.stride
            modules += [SameConvTranspose2d(inputs, outputs, kernel, stride, h, w, self.bias)]
            modules += [*batch_norm_layers(self.batch_norm, outputs), activation(self.negative_slope)]
            inputs = outputs
        kernel, stride = last.kernel, last.stride
        if last.transposed:
            modules += [SameConvTranspose2d(inputs, channels, kernel, stride, height, width, self.bias)]
        else:
            modules += [SameConv2d(inputs, channels, kernel, stride, self.bias)]
        return nn.Sequential(*modules, output_activation(pixel_range))


class DCGANDiscriminator(DiscriminatorSpec):
    """Image -> strided convolutions -> flatten -> dense layers -> logit.

    Each layer is followed by batch norm (if any), leaky ReLU and dropout.
    """

    kind: Literal["dcgan"] = "dcgan"
    layers: tuple[ConvLayer, ...] = Field(max_length=MAX_LAYERS, description="the convolutions, in order")
    hidden: HiddenLayers = ()
    negative_slope: NegativeSlope = 0.2
    dropout: DropoutRate = 0.0
    spectral_norm: SpectralNormalized = False
    batch_norm: BatchNorm | None = Field(None, description="after every layer but the first and the logit")
    batch_norm_first: bool = Field(False, description="batch norm after the first layer, too")

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import activation, batch_norm_layers, dropout_layers
        from ganvas.networks.layers import Flatten, Linear, Logit, SameConv2d, apply_spectral_norm

        inputs, height, width = image_shape
        strides = [layer.stride for layer in self.layers]
        modules: list[nn.Module] = []
        for i, layer in enumerate(self.layers):
            modules += [SameConv2d(inputs, layer.channels, layer.kernel, layer.stride)]
            if i or self.batch_norm_first:
                modules += batch_norm_layers(self.batch_norm, layer.channels)
            modules += [activation(self.negative_slope), *dropout_layers(self.dropout)]
            inputs = layer.channels
        modules += [Flatten()]
        inputs *= strided_sides(height, strides)[-1] * strided_sides(width, strides)[-1]
        for outputs in self.hidden:
            modules += [Linear(inputs, outputs), *batch_norm_layers(self.batch_norm, outputs)]
            modules += [activation(self.negative_slope), *dropout_layers(self.dropout)]
            inputs = outputs
        network = nn.Sequential(*modules, Logit(inputs, classes))
        if self.spectral_norm:
            apply_spectral_norm(network)
        return network

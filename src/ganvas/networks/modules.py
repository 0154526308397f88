"""The modules behind the specs: plain sequences of layers.

z is float32 [N, Z]; images are float32 [N, C, H, W] in the pixel range; logits are float32 [N],
or [N, K] where K classes are told.
"""

from __future__ import annotations

from torch import nn

from ganvas.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from ganvas.networks.dense import DenseDiscriminator, DenseGenerator
from ganvas.networks.layers import (
    Dropout,
    Flatten,
    KerasBatchNorm,
    Logit,
    SameConv2d,
    SameConvTranspose2d,
    Sigmoid,
    Tanh,
    ToMap,
    strided_sides,
)
from ganvas.networks.products import Linear
from ganvas.networks.spec import BatchNorm, ImageShape
from ganvas.networks.spectral import normalise


def norm(spec: BatchNorm | None, channels: int) -> list[nn.Module]:
    """A batch norm, or nothing."""
    return [KerasBatchNorm(channels, spec.momentum, spec.epsilon)] if spec else []


def activation(slope: float) -> nn.Module:
    """Leaky ReLU, or ReLU where the slope is 0."""
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _drop(rate: float) -> list[nn.Module]:
    return [Dropout(rate)] if rate else []


def to_pixels(pixel_range: tuple[int, int]) -> nn.Module:
    """The generator's last layer."""
    return Sigmoid() if pixel_range == (0, 1) else Tanh()


def convolutional_generator(
    spec: ConvolutionalGenerator,
    image_shape: ImageShape,
    latent_size: int,
    pixel_range: tuple[int, int],
) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    channels, height, width = image_shape
    strides = [layer.stride for layer in spec.layers] + [spec.to_image.stride]
    heights = strided_sides(height, strides[::-1])[::-1]
    widths = strided_sides(width, strides[::-1])[::-1]
    layers: list[nn.Module] = []
    inputs = latent_size
    for outputs in (*spec.hidden, heights[0] * widths[0] * spec.base):
        layers += [Linear(inputs, outputs, bias=spec.bias), *norm(spec.batch_norm, outputs)]
        layers += [activation(spec.slope)]
        inputs = outputs
    layers += [ToMap(spec.base, heights[0], widths[0])]
    inputs = spec.base
    for layer, h, w in zip(spec.layers, heights[1:], widths[1:], strict=False):
        n, kernel, stride = layer.channels, layer.kernel, layer.stride
        layers += [SameConvTranspose2d(inputs, n, kernel, stride, h, w, spec.bias)]
        layers += [*norm(spec.batch_norm, n), activation(spec.slope)]
        inputs = n
    last = spec.to_image
    if last.transposed:
        layers += [SameConvTranspose2d(inputs, channels, last.kernel, last.stride, height, width, spec.bias)]
    else:
        layers += [SameConv2d(inputs, channels, last.kernel, last.stride, spec.bias)]
    return nn.Sequential(*layers, to_pixels(pixel_range))


def convolutional_discriminator(
    spec: ConvolutionalDiscriminator, image_shape: ImageShape, classes: int
) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    inputs, height, width = image_shape
    strides = [layer.stride for layer in spec.layers]
    layers: list[nn.Module] = []
    for i, layer in enumerate(spec.layers):
        layers += [SameConv2d(inputs, layer.channels, layer.kernel, layer.stride)]
        if i or spec.batch_norm_first:
            layers += norm(spec.batch_norm, layer.channels)
        layers += [activation(spec.slope), *_drop(spec.dropout)]
        inputs = layer.channels
    layers += [Flatten()]
    inputs *= strided_sides(height, strides)[-1] * strided_sides(width, strides)[-1]
    for outputs in spec.hidden:
        layers += [Linear(inputs, outputs), *norm(spec.batch_norm, outputs)]
        layers += [activation(spec.slope), *_drop(spec.dropout)]
        inputs = outputs
    network = nn.Sequential(*layers, Logit(inputs, classes))
    if spec.spectral_norm:
        normalise(network)
    return network


def dense_generator(
    spec: DenseGenerator, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]
) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    channels, height, width = image_shape
    layers: list[nn.Module] = []
    inputs = latent_size
    for outputs in spec.hidden:
        layers += [Linear(inputs, outputs), activation(spec.slope)]
        layers += norm(spec.batch_norm, outputs)
        inputs = outputs
    layers += [Linear(inputs, channels * height * width), to_pixels(pixel_range)]
    return nn.Sequential(*layers, ToMap(channels, height, width))


def dense_discriminator(spec: DenseDiscriminator, image_shape: ImageShape, classes: int) -> nn.Sequential:
    """Build `spec` for images of `image_shape`."""
    channels, height, width = image_shape
    layers: list[nn.Module] = [Flatten()]
    inputs = channels * height * width
    for outputs in spec.hidden:
        layers += [Linear(inputs, outputs), activation(spec.slope), *_drop(spec.dropout)]
        inputs = outputs
    network = nn.Sequential(*layers, Logit(inputs, classes))
    if spec.spectral_norm:
        normalise(network)
    return network

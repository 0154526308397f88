"""The fully connected GAN.

Source: Goodfellow et al. 2014, arXiv 1406.2661, in the variant of the Keras tutorial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    DropoutRate,
    GeneratorSpec,
    HiddenLayers,
    ImageShape,
    NegativeSlope,
    SpectralNormalized,
)

if TYPE_CHECKING:
    from torch import nn


class MLPGenerator(GeneratorSpec):
    """z -> dense layers, each with leaky ReLU and then batch norm (if any) -> all pixels at once."""

    kind: Literal["mlp"] = "mlp"
    hidden: HiddenLayers = (256, 512, 1024)
    negative_slope: NegativeSlope = 0.2
    batch_norm: BatchNorm | None = Field(
        BatchNorm(momentum=0.8), description="after each hidden layer; none where null"
    )

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import activation, batch_norm_layers, output_activation
        from ganvas.networks.layers import Linear, Reshape

        channels, height, width = image_shape
        modules: list[nn.Module] = []
        inputs = latent_size
        for outputs in self.hidden:
            modules += [Linear(inputs, outputs), activation(self.negative_slope)]
            modules += batch_norm_layers(self.batch_norm, outputs)
            inputs = outputs
        modules += [Linear(inputs, channels * height * width), output_activation(pixel_range)]
        return nn.Sequential(*modules, Reshape(channels, height, width))


class MLPDiscriminator(DiscriminatorSpec):
    """All pixels at once -> dense layers, each with leaky ReLU and dropout -> logit."""

    kind: Literal["mlp"] = "mlp"
    hidden: HiddenLayers = (512, 256)
    negative_slope: NegativeSlope = 0.2
    dropout: DropoutRate = 0.0
    spectral_norm: SpectralNormalized = False

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from torch import nn

        from ganvas.networks.blocks import activation, dropout_layers
        from ganvas.networks.layers import Flatten, Linear, Logit, apply_spectral_norm

        channels, height, width = image_shape
        modules: list[nn.Module] = [Flatten()]
        inputs = channels * height * width
        for outputs in self.hidden:
            modules += [Linear(inputs, outputs), activation(self.negative_slope)]
            modules += dropout_layers(self.dropout)
            inputs = outputs
        network = nn.Sequential(*modules, Logit(inputs, classes))
        if self.spectral_norm:
            apply_spectral_norm(network)
        return network

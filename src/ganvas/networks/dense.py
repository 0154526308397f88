"""Specs of the fully connected GAN.

Source: Goodfellow et al. 2014, arXiv 1406.2661, in the shape of the Keras tutorial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    GeneratorSpec,
    ImageShape,
    Rate,
    Slope,
    Widths,
)

if TYPE_CHECKING:
    from torch import nn


class DenseGenerator(GeneratorSpec):
    """z -> dense layers, each with leaky ReLU and then batch norm (if any) -> all pixels at once."""

    kind: Literal["dense"] = "dense"
    hidden: Widths = (256, 512, 1024)
    slope: Slope = 0.2
    batch_norm: BatchNorm | None = BatchNorm(momentum=0.8)

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """See `GeneratorSpec.build`."""
        from ganvas.networks.modules import dense_generator

        return dense_generator(self, image_shape, latent_size, pixel_range)


class DenseDiscriminator(DiscriminatorSpec):
    """All pixels at once -> dense layers, each with leaky ReLU and dropout -> logit."""

    kind: Literal["dense"] = "dense"
    hidden: Widths = (512, 256)
    slope: Slope = 0.2
    dropout: Rate = 0.0
    spectral_norm: bool = False

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """See `DiscriminatorSpec.build`."""
        from ganvas.networks.modules import dense_discriminator

        return dense_discriminator(self, image_shape, classes)

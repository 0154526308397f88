"""Networks: specs that describe them (no torch needed), and the modules behind the specs."""

from ganvas.networks.convolutional import (
    Convolution,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ToImage,
)
from ganvas.networks.dense import DenseDiscriminator, DenseGenerator
from ganvas.networks.residual import Block, ResidualDiscriminator, ResidualGenerator
from ganvas.networks.spec import (
    BatchNorm,
    DiscriminatorSpec,
    GeneratorSpec,
    ImageShape,
    Values,
    Weights,
)

__all__ = [
    "BatchNorm",
    "Block",
    "Convolution",
    "ConvolutionalDiscriminator",
    "ConvolutionalGenerator",
    "DenseDiscriminator",
    "DenseGenerator",
    "DiscriminatorSpec",
    "GeneratorSpec",
    "ImageShape",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "ToImage",
    "Values",
    "Weights",
]

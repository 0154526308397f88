"""Networks: specs that describe them (without importing torch), and the modules that specs build."""

from ganvas.networks.dcgan import ConvLayer, DCGANDiscriminator, DCGANGenerator, OutputLayer
from ganvas.networks.mlp import MLPDiscriminator, MLPGenerator
from ganvas.networks.resnet import Block, ResNetDiscriminator, ResNetGenerator
from ganvas.networks.spec import BatchNorm, DiscriminatorSpec, GeneratorSpec, ImageShape, Init

__all__ = [
    "BatchNorm",
    "Block",
    "ConvLayer",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DiscriminatorSpec",
    "GeneratorSpec",
    "ImageShape",
    "Init",
    "MLPDiscriminator",
    "MLPGenerator",
    "OutputLayer",
    "ResNetDiscriminator",
    "ResNetGenerator",
]

"""Base classes of network specs: frozen, validated settings with one method, `build`.

A spec has the widths and kernel sizes, the data has the image's shape; `build` takes the shape and
returns the modules. Specs do not import torch before `build`, so recipes can be listed, validated and
printed quickly.

To add a network, subclass `GeneratorSpec` or `DiscriminatorSpec` with a new `kind`; defining the class
registers it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganvas.errors import RecipeError
from ganvas.registry import Registry
from ganvas.utils.config import FrozenConfig, KindConfig

if TYPE_CHECKING:
    from torch import nn

ImageShape = tuple[int, int, int]  # channels, height, width
NegativeSlope = Annotated[float, Field(ge=0, le=1, description="leaky ReLU's slope below 0; 0 is ReLU")]
DropoutRate = Annotated[float, Field(ge=0, lt=1, description="fraction of activations dropped")]
Width = Annotated[int, Field(ge=1, le=2**20)]
MAX_LAYERS = 64
Widths = Annotated[tuple[Width, ...], Field(max_length=MAX_LAYERS)]
HiddenLayers = Annotated[Widths, Field(description="widths of the dense layers, in order")]
SpectralNormalized = Annotated[
    bool, Field(description="spectral norm on every dense and convolutional layer (arXiv 1802.05957)")
]


class BatchNorm(FrozenConfig):
    """Keras's batch norm: `moving = momentum * moving + (1 - momentum) * batch`, biased variance."""

    momentum: float = Field(0.99, ge=0, le=1, description="of the moving mean and variance")
    epsilon: float = Field(1e-3, gt=0, description="added to the variance")


class Init(FrozenConfig):
    """The distribution of the initial weights.

    `glorot_uniform`: Keras's default, U(-l, l) with l = sqrt(6 / (fan_in + fan_out)), biases 0.
    `truncated_normal`: N(0, `std`) truncated at two standard deviations, biases 0; the biases of dense
    layers start at the layer's width where `linear_bias` is "width" (the TensorFlow 1 DCGAN's quirk).
    `kaiming_normal`: N(0, gain / sqrt(fan_in)), where the gain depends on the layer's role in the
    network, biases 0.
    """

    rule: Literal["glorot_uniform", "truncated_normal", "kaiming_normal"] = Field(
        "glorot_uniform", description="the distribution of the weights"
    )
    std: float = Field(0.02, gt=0, description="standard deviation under truncated_normal")
    linear_bias: Literal["zero", "width"] = Field(
        "zero", description="the biases of dense layers under truncated_normal: 0, or the layer's width"
    )


class NetworkSpec(KindConfig):
    """Settings of one network; `kind` names the subclass in JSON."""

    init: Init = Field(Init(), description="the initial weights and biases")


class GeneratorSpec(NetworkSpec):
    """A network that maps z float32 [N, Z] to images float32 [N, C, H, W] in a pixel range.

    In conditional training the last entries of z are the one-hot class (Mirza and Osindero 2014, arXiv
    1411.1784); `latent_size` includes them, so a network needs no code for classes.
    """

    kinds: ClassVar[Registry[type[KindConfig]]] = Registry("generator")

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """Return the network from z [N, latent_size] to images of `image_shape` in `pixel_range`."""
        raise NotImplementedError


class DiscriminatorSpec(NetworkSpec):
    """A network that maps images float32 [N, C, H, W] to logits float32 [N].

    In conditional training it returns one logit per class, float32 [N, K], of which the one of the image's
    class is used: the projection of Miyato and Koyama 2018 (arXiv 1802.05637, equation 3), with the shared
    part added to each class's row.
    """

    kinds: ClassVar[Registry[type[KindConfig]]] = Registry("discriminator")

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Return the network for images of `image_shape`; `classes` is 0 in unconditional training."""
        raise NotImplementedError

    def build_conditional(self, image_shape: ImageShape, classes: int) -> nn.Module:
        """Return `build` with classes, or without if there are none: a `build` need not take classes.

        Raises:
            RecipeError: there are classes and `build` does not take them.
        """
        if not classes:
            return self.build(image_shape)
        if "classes" not in inspect.signature(self.build).parameters:
            raise RecipeError(
                f"classes {classes}: the discriminator {self.kind!r} has a build() without the parameter "
                f"'classes'; add it, and return one logit per class"
            )
        return self.build(image_shape, classes)

"""What describes a network: plain frozen values, checked when they enter, with one method that builds.

A spec knows the widths and kernels; the data knows the image's shape. `build` brings both together. Specs
import no torch, so that recipes can be listed, checked and printed at once; the file that holds the modules
is imported by `build` alone.

A network of one's own is a subclass with a `kind` of its own: defining the class makes its kind known.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ganvas.errors import RecipeError, nearest

if TYPE_CHECKING:
    from torch import nn

ImageShape = tuple[int, int, int]  # channels, height, width
Slope = Annotated[float, Field(ge=0, le=1, description="leaky ReLU's slope below 0; 0 is ReLU")]
Rate = Annotated[float, Field(ge=0, lt=1, description="share of activations dropped")]
Width = Annotated[int, Field(ge=1, le=2**20)]
Widths = tuple[Width, ...]


class Values(BaseModel):
    """Frozen, typed, serialisable; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, value: object, info: ValidationInfo) -> object:
        """Pydantic reads true as 1; in a recipe that is a slip."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        entries = value if isinstance(value, list | tuple) else [value]
        if annotation is not bool and any(isinstance(entry, bool) for entry in entries):
            raise ValueError("expected no true or false here")
        return value


class BatchNorm(Values):
    """Keras's batch norm: `moving = momentum * moving + (1 - momentum) * batch`, biased variance."""

    momentum: float = Field(0.99, ge=0, le=1)
    epsilon: float = Field(1e-3, gt=0)


class Weights(Values):
    """The rule that draws the first weights.

    `glorot_uniform`: Keras's default, U(-l, l) with l = sqrt(6 / (fan_in + fan_out)), biases 0.
    `truncated_normal`: N(0, `deviation`) redrawn beyond two deviations, biases 0; the biases of linear
    layers start at the layer's width where `linear_bias` is "width" (the TensorFlow 1 DCGAN's quirk).
    `scaled_normal`: N(0, gain / sqrt(fan_in)), with the gain that the layer's place in the network asks for,
    biases 0.
    """

    rule: Literal["glorot_uniform", "truncated_normal", "scaled_normal"] = "glorot_uniform"
    deviation: float = Field(0.02, gt=0)
    linear_bias: Literal["zero", "width"] = "zero"


class NetworkSpec(Values):
    """One player's network as values; `kind` names the subclass in JSON."""

    kind: str = ""
    weights: Weights = Weights()
    kinds: ClassVar[dict[str, type[NetworkSpec]]]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Make the kind of a new subclass known to its player."""
        kind = cls.model_fields["kind"].default
        if kind:
            cls.kinds[kind] = cls

    @model_validator(mode="wrap")
    @classmethod
    def _by_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Read a dictionary as the subclass that its `kind` names."""
        if cls.model_fields["kind"].default or not isinstance(value, dict):
            return handler(value)
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in cls.kinds:
            raise ValueError(f"no network kind {kind!r}; {nearest(str(kind), cls.kinds)}")
        return cls.kinds[kind].model_validate(value)  # type: ignore[return-value]


class GeneratorSpec(NetworkSpec):
    """A network that maps z float32 [N, Z] to images float32 [N, C, H, W] in a pixel range.

    Where classes are given, they are the last entries of z: 1 at the image's class, 0 elsewhere (Mirza and
    Osindero 2014, arXiv 1411.1784). The network need not know.
    """

    kinds: ClassVar[dict[str, type[NetworkSpec]]] = {}

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """Return the network for images of `image_shape`, z of `latent_size` numbers."""
        raise NotImplementedError


class DiscriminatorSpec(NetworkSpec):
    """A network that maps images float32 [N, C, H, W] to logits float32 [N].

    Where classes are given, it has a logit for each, float32 [N, K], of which the one of the image's own
    class counts: the projection of Miyato and Koyama 2018 (arXiv 1802.05637, equation 3), the part that all
    classes share being added to each class's row.
    """

    kinds: ClassVar[dict[str, type[NetworkSpec]]] = {}

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Return the network for images of `image_shape` of so many classes; 0 where none are told."""
        raise NotImplementedError

    def told(self, image_shape: ImageShape, classes: int) -> nn.Module:
        """`build` with classes, where there are any: a network of one's own need not know of them.

        Raises:
            RecipeError: there are, and it does not.
        """
        if not classes:
            return self.build(image_shape)
        if "classes" not in inspect.signature(self.build).parameters:
            raise RecipeError(
                f"classes {classes}: the discriminator {self.kind!r} has a build() that takes no classes; "
                f"let it take them, and give a logit for each"
            )
        return self.build(image_shape, classes)

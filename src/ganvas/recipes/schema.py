"""`Recipe`: all that a training run is made of, as frozen values.

A recipe is validated when it is read (unknown keys are refused with the nearest name), round-trips through
JSON, and is stored in every checkpoint. It holds no code: a name like `objective` is looked up in its
registry when training starts. docs/recipes.md is generated from the descriptions here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from ganvas.errors import RecipeError, did_you_mean, shorten
from ganvas.networks import DiscriminatorSpec, GeneratorSpec
from ganvas.recipes.durations import Duration
from ganvas.recipes.optimizers import Optimizer
from ganvas.recipes.overrides import set_by_path
from ganvas.utils.config import FrozenConfig, KindConfig


def _check_pixel_range(value: tuple[int, int]) -> tuple[int, int]:
    if value not in ((-1, 1), (0, 1)):
        raise ValueError("expected [-1, 1] or [0, 1]")
    return value


class Penalty(FrozenConfig):
    """A regularization term of the discriminator's loss; see `ganvas.training.penalties`."""

    kind: str = Field(description="r1, r2, wgan_gp, dragan, or a registered one")
    weight: float = Field(gt=0, description="factor on the penalty")
    final_weight: float | None = Field(
        None,
        gt=0,
        description="weight at the end of the run, approached by equal ratios; constant where null",
    )
    interval: int = Field(
        1,
        ge=1,
        le=10**9,
        description="steps between two; the penalty counts so many times (lazy regularization)",
    )


class Augment(FrozenConfig):
    """Differentiable augmentation of all that D sees; see `ganvas.training.augmentation`.

    Without `target` every image is augmented (DiffAugment, Zhao et al. 2020, arXiv 2006.10738). With it each
    augmentation has a probability that rises while D overfits and falls while it does not (ADA, Karras et al.
    2020, arXiv 2006.06676).
    """

    color: float = Field(
        1.0, ge=0, le=1, description="strength of brightness, saturation and contrast; 1 is the paper's"
    )
    translation: float = Field(0.125, ge=0, le=0.5, description="largest shift, as a fraction of each side")
    cutout: float = Field(0.5, ge=0, le=0.9, description="side of the cut-out, as a fraction of each side")
    affine: bool = Field(False, description="flips, rotation, scale and stretch; needs a target")
    target: float | None = Field(
        None, gt=-1, lt=1, description="ADA's target for the mean sign of D's logits of real images, as 0.6"
    )

    @model_validator(mode="after")
    def _does_not_leak(self) -> Self:
        if self.affine and self.target is None:
            raise ValueError(
                "affine changes every image where there is no target, and G would learn these changes; "
                "give a target, as 0.6"
            )
        return self


class Latent(FrozenConfig):
    """The distribution of z."""

    size: int = Field(100, ge=1, le=2**20, description="numbers in z")
    distribution: Literal["normal", "uniform"] = Field("normal", description="N(0, 1) or U(-1, 1)")


class DataOrder(FrozenConfig):
    """How real images are drawn into batches."""

    order: Literal["shuffle", "shuffle_once", "with_replacement"] = Field(
        "shuffle",
        description="shuffle anew each epoch, shuffle once for all epochs, or draw each image with "
        "replacement (an epoch is then as many batches as fit into the set)",
    )
    drop_last: bool = Field(False, description="leave out the last, smaller batch of an epoch")


class Update(FrozenConfig):
    """Which player is updated when; see `ganvas.training.updates`."""

    rule: str = Field(
        "simultaneous",
        description="simultaneous: one forward pass, both gradients taken before either update. "
        "alternating: D on real and fake images, then G through the updated D. "
        "alternating_joint: the same, D's batch half real and half fake. "
        "alternating_separate: a D step on real images, one on fakes, then G. Or a registered one",
    )
    generator_mode: Literal["train", "eval"] = Field(
        "train", description="G's mode when it generates D's fakes; simultaneous is always train"
    )
    reuse_latents: bool = Field(
        False, description="update G on the z that made D's fakes; alternating_joint always draws new z"
    )


class Grid(FrozenConfig):
    """The grids of samples saved while training."""

    rows: int = Field(4, ge=1, le=100, description="images in a column")
    columns: int = Field(4, ge=1, le=100, description="images in a row")
    interval: Duration = Field("1 epoch", description="between two grids")
    latents: Literal["fixed", "new"] = Field("fixed", description="the same z for every grid, or new z")
    invert: bool = Field(False, description="invert the pixels, as dark digits on white")


class AccuracyProbe(FrozenConfig):
    """D's accuracy, measured now and then on real and fake images in inference mode."""

    images: int = Field(100, ge=1, le=100_000, description="real images, and as many fake ones")
    interval: Duration = Field(description="between two measurements")


class Scores(FrozenConfig):
    """Scores while training and at its end."""

    interval: Duration | None = Field(
        None,
        description="between two scores; where null, each epoch, or so many epochs that scoring takes a "
        "twentieth of the time",
    )
    images: int = Field(2_000, ge=24, le=100_000, description="images a score while training")
    final: int = Field(10_000, ge=24, le=100_000, description="images of the score at the end")


# No recipe is larger. What is gets refused before anything walks through it.
_MAX_ENTRIES, _MAX_DEPTH, _MAX_LETTERS = 10_000, 16, 1_000


def _check_bounds(values: object) -> None:
    """Refuse values from outside that are too many, nested too deep, too long or too large to be a recipe's.

    Raises:
        ValueError: the message says which bound.
    """
    entries, stack = 0, [(values, "", 0)]
    while stack:
        value, path, depth = stack.pop()
        where = f"{shorten(path)}: " if path else ""
        if isinstance(value, str):
            if len(value) > _MAX_LETTERS:
                raise ValueError(f"{where}expected at most {_MAX_LETTERS:,} letters, got {len(value):,}")
            if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError(f"{where}expected text in valid Unicode, got {shorten(value)!r}")
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"{where}expected integers between -2^63 and 2^63, got a larger one")
        elif isinstance(value, Mapping | list | tuple):
            entries += len(value)
            if depth == _MAX_DEPTH:
                raise ValueError(f"{where}expected values nested at most {_MAX_DEPTH} deep")
            if entries > _MAX_ENTRIES:
                raise ValueError(f"{where}expected at most {_MAX_ENTRIES:,} values in a recipe, got more")
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, child in items:
                stack += [(key, path, depth), (child, f"{path}.{key}" if path else str(key), depth + 1)]


# Keys that do not decide what is learned.
_NOT_TRAINING = {
    "name", "summary", "source", "data", "split", "image_size", "length", "checkpoint_interval",
    "keep_last", "keep_interval", "log_interval", "grid", "accuracy_probe", "generator_interval",
    "animation", "tensorboard", "scores", "health", "precision",
}  # fmt: skip


class Recipe(FrozenConfig):
    """All that a training run is made of. `ganvas recipes show NAME` prints one as JSON."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, description="letters, digits and _ . -"
    )
    summary: str = Field("", description="one line for people")
    source: str = Field("", description="the tutorial or paper that the values come from")

    data: str = Field("mnist", description="the data set where none is named")
    split: Literal["train", "test", "all"] = Field("train", description="which part of the data set")
    image_size: int | None = Field(
        None, ge=8, le=256, description="the image size that the networks were designed for, if any"
    )
    pixel_range: Annotated[tuple[int, int], AfterValidator(_check_pixel_range)] = Field(
        (-1, 1), description="what pixels are scaled to: [-1, 1] (tanh) or [0, 1] (sigmoid)"
    )
    data_order: DataOrder = Field(DataOrder(), description="how real images are drawn")
    batch_size: int = Field(256, ge=1, le=2**24, description="images per batch")

    latent: Latent = Field(Latent(), description="the distribution of z")
    classes: int = Field(0, ge=0, le=2**16, description="classes to condition on; 0: unconditional")
    condition_on: Literal["labels", "clusters"] = Field(
        "labels", description="what the classes are: labels, or clusters of the pixels, which need no labels"
    )
    generator: SerializeAsAny[GeneratorSpec] = Field(description="the generator's network")
    discriminator: SerializeAsAny[DiscriminatorSpec] = Field(description="the discriminator's network")
    objective: str = Field(
        "non_saturating",
        description="non_saturating, saturating, least_squares, hinge, wasserstein, relativistic, or a "
        "registered one",
    )
    penalties: tuple[Penalty, ...] = Field((), max_length=16, description="regularization terms of D's loss")
    augment: Augment | None = Field(None, description="augmentation of all that D sees, for small sets")
    generator_optimizer: SerializeAsAny[Optimizer] = Field(description="G's optimizer and schedule")
    discriminator_optimizer: SerializeAsAny[Optimizer] = Field(description="D's optimizer and schedule")
    update: Update = Field(Update(), description="which player is updated when")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of the generator's exponential moving average; none where null"
    )

    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32",
        description="of matrix multiplications; auto is bf16 where the hardware has it; runs record it",
    )
    length: Duration = Field(description="of the run, as '15 epochs' or '200 steps'")
    checkpoint_interval: Duration = Field("5 epochs", description="between two checkpoints")
    keep_last: int = Field(3, ge=1, le=10**6, description="how many of the newest checkpoints are kept")
    keep_interval: Duration | None = Field(None, description="checkpoints at its multiples are kept for good")
    log_interval: Duration = Field("10 steps", description="between two lines of metrics.jsonl")
    grid: Grid = Field(Grid(), description="the grids of samples saved while training")
    accuracy_probe: AccuracyProbe | None = Field(None, description="D's accuracy, measured now and then")
    scores: Scores | None = Field(Scores(), description="scores while training; none where null")
    health: Literal["warn", "stop", "off"] = Field(
        "warn", description="what happens when a health check finds something wrong"
    )
    generator_interval: Duration | None = Field(
        None, description="between two saves of the generator alone, its epoch in the name"
    )
    animation: Literal["all", "subsampled"] = Field(
        "all", description="frames of the GIF: all grids, or fewer and fewer as training slows down"
    )
    tensorboard: bool = Field(False, description="write TensorBoard event files")

    @model_validator(mode="before")
    @classmethod
    def _is_bounded(cls, values: object) -> object:
        _check_bounds(values)
        return values

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.update.rule == "alternating_joint" and self.batch_size < 2:
            raise ValueError("alternating_joint needs a batch_size of 2 or more")
        if self.classes == 1:
            raise ValueError("expected 2 classes or more, or 0 for none")
        adaptive = self.augment is not None and self.augment.target is not None
        if adaptive and self.objective in ("wasserstein", "relativistic"):
            raise ValueError(
                f"augment.target follows the sign of D's logits, which {self.objective} leaves open; take "
                f"another objective, or no target"
            )
        return self

    @property
    def conditioned_on_clusters(self) -> bool:
        """Whether training is conditioned on clusters of the pixels."""
        return self.classes > 0 and self.condition_on == "clusters"

    @property
    def generator_input_size(self) -> int:
        """The size of the generator's input: z and a one-hot class."""
        return self.latent.size + self.classes

    @property
    def real_batch_size(self) -> int:
        """Real images in a discriminator's batch."""
        return self.batch_size // 2 if self.update.rule == "alternating_joint" else self.batch_size

    def training_settings(self) -> frozenset[tuple[str, str]]:
        """The keys, with their values, that decide what is learned; the rest is data, logging and text."""
        values = self.model_dump(mode="json", exclude=_NOT_TRAINING)
        return frozenset((key, json.dumps(value, sort_keys=True)) for key, value in values.items())

    def to_json(self) -> str:
        """The recipe as JSON; `parse_recipe(json.loads(...))` gives it back."""
        return self.model_dump_json(indent=2)

    def with_overrides(self, overrides: Mapping[str, Any]) -> Recipe:
        """A copy with values replaced, each named by its path.

        >>> recipe.with_overrides({"batch_size": 64, "discriminator.dropout": 0})  # doctest: +SKIP

        Raises:
            RecipeError: a key that does not exist, or a value of the wrong type or sign.
        """
        values = self.model_dump(mode="json")
        for path, value in overrides.items():
            part, _, key = path.partition(".")
            kinds = {**GeneratorSpec.kinds, **DiscriminatorSpec.kinds, **Optimizer.kinds}
            if key == "kind" and isinstance(value, str) and value in kinds and _kind(values, part) != value:
                raise RecipeError(
                    f"another {path} has other keys: give the whole of it as JSON, "
                    f'{part}={{"kind": {json.dumps(value)}, ...}}'
                )
            set_by_path(values, path, value)
        return parse_recipe(values)


def parse_recipe(values: object) -> Recipe:
    """Check `values` (as read from JSON) and return the recipe.

    Raises:
        RecipeError: one line that names the first key that is wrong.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(format_validation_error(error, values)) from None


def format_validation_error(error: ValidationError, values: object = None) -> str:
    """Pydantic's errors as one line: a misspelled key before what follows from it, else the first.

    `values` are those of the recipe, where known: the nearest names come from them.
    """
    errors = error.errors(include_url=False)
    return _one_line(next((e for e in errors if e["type"] == "extra_forbidden"), errors[0]), values)


def _kind(values: dict[str, Any], part: str) -> object:
    component = values.get(part)
    return component.get("kind") if isinstance(component, dict) else None


def _names_at(values: Any, path: tuple[int | str, ...]) -> list[str]:
    """The keys that `Recipe` has at `path`; the kind of a network is read from `values`."""
    model: Any = Recipe
    for step in path:
        values = values[step]
        if isinstance(step, str):
            model = _model_in(model.model_fields[step].annotation)
        if isinstance(values, Mapping) and issubclass(model, KindConfig):
            model = model.kinds[values.get("kind", model.default_kind)]
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The model within an annotation such as `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _one_line(error: ErrorDetails, values: object) -> str:
    """Pydantic's first error as a sentence: the key, what was expected, what came."""
    path = [str(step) for step in error["loc"]]
    key = shorten(".".join(path))
    if error["type"] == "extra_forbidden":
        if not isinstance(values, Mapping):
            return f"unknown recipe key {key!r}"
        known = [".".join([*path[:-1], name]) for name in _names_at(values, error["loc"][:-1])]
        return f"unknown recipe key {key!r}; {did_you_mean(key, known)}"
    if error["type"] == "missing":
        return f"recipe key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if not key:
        return f"recipe: {message}"
    try:
        got = json.dumps(error["input"], default=str)
    except (TypeError, ValueError):  # keys that are no strings, loops
        got = type(error["input"]).__name__
    return f"recipe key {key!r}: {message}; got {shorten(got, 60)}"

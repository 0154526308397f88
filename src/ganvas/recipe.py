"""`Recipe`: all that a training run is made of, as frozen values.

A recipe is checked when it enters (unknown keys are refused with the nearest name), goes through JSON and
back unchanged, and lives inside every checkpoint. It holds no code: what a string names is looked up on
the floor that uses it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from ganvas.errors import RecipeError, nearest
from ganvas.networks import DiscriminatorSpec, GeneratorSpec, Values
from ganvas.networks.spec import NetworkSpec

_SPAN = re.compile(r"([1-9][0-9]*) (step|epoch)s?")


def _check_span(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"{value} steps" if value > 1 else "1 step"
    if isinstance(value, str) and value.isdecimal() and int(value) > 0:
        return _check_span(int(value))
    if not isinstance(value, str) or not _SPAN.fullmatch(value):
        raise ValueError("expected a positive number of steps, or words like '15 epochs'")
    return value


Span = Annotated[str, BeforeValidator(_check_span)]
"""A stretch of training: "200 steps" or "15 epochs"; a plain number counts steps."""


def steps_in(span: Span, steps_per_epoch: int) -> int:
    """Number of steps in `span`.

    >>> steps_in("15 epochs", 235)
    3525
    """
    count, unit = span.split()
    return int(count) * (steps_per_epoch if unit.startswith("epoch") else 1)


def _check_pixel_range(value: tuple[int, int]) -> tuple[int, int]:
    if value not in ((-1, 1), (0, 1)):
        raise ValueError("expected [-1, 1] or [0, 1]")
    return value


class Adam(Values):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) with Keras's place for epsilon.

    Keras adds epsilon to the square root of the uncorrected second moment (the paper's epsilon hat).
    """

    learning_rate: float = Field(gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-7, gt=0)


class Schedule(Values):
    """How both learning rates change: up from 0, level, then down to `final` of what the optimisers say.

    `warm_up` and `level` are shares of the run's length, each counted from its beginning.
    """

    warm_up: float = Field(0, ge=0, le=1)
    level: float = Field(0, ge=0, le=1, description="until when the rate stays")
    final: float = Field(0, ge=0, le=1, description="of the rate, at the end")
    shape: Literal["linear", "cosine"] = "linear"

    def at(self, share: float) -> float:
        """The factor after `share` of the run's length.

        >>> [Schedule(warm_up=0.1, level=0.5).at(share) for share in (0, 0.05, 0.3, 0.75, 1)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if share < self.warm_up:
            return share / self.warm_up
        level = max(self.level, self.warm_up)
        if share <= level:
            return 1.0
        down = min((share - level) / (1 - level), 1.0)
        if self.shape == "cosine":
            down = (1 - math.cos(math.pi * down)) / 2
        return 1 + down * (self.final - 1)


class Penalty(Values):
    """What D pays for its slope; see `ganvas.training.penalties`.

    Taken every so many steps and counted as often then; the weight goes to `final` by equal ratios over the
    run's length, where that is given.
    """

    kind: Literal["r1", "r2", "gradient", "dragan"]
    weight: float = Field(gt=0)
    final: float | None = Field(None, gt=0)
    every: int = Field(1, ge=1)


class Augment(Values):
    """How real and fake images are changed before D sees them; see `ganvas.training.augment`.

    With `target` each change has a probability (ADA, Karras et al. 2020, arXiv 2006.06676) that rises while D
    is surer of real images than that, and falls while it is not; without it every image is changed.
    """

    colour: float = Field(1.0, ge=0, le=1, description="strength: 1 is the paper's, 0 none")
    translation: float = Field(0.125, ge=0, le=0.5, description="share of each side, at most")
    cutout: float = Field(0.5, ge=0, le=0.9, description="share of each side that is blanked")
    geometry: bool = Field(False, description="mirrored, turned, scaled, stretched; needs a target")
    target: float | None = Field(None, gt=-1, lt=1, description="mean sign of D's logits of real images")

    @model_validator(mode="after")
    def _does_not_leak(self) -> Self:
        if self.geometry and self.target is None:
            raise ValueError(
                "geometry changes every image where there is no target, and G would learn to draw it so; "
                "give a target, as 0.6"
            )
        return self


class Latent(Values):
    """Where z comes from: N(0, 1) or U(-1, 1), `size` numbers an image."""

    size: int = Field(100, ge=1, le=2**20)
    distribution: Literal["normal", "uniform"] = "normal"


class Sampling(Values):
    """How real images come to batches.

    `reshuffled`: a new order each epoch. `shuffled_once`: one order for all epochs. `with_replacement`:
    each image drawn on its own; an epoch is then as many batches as fit into the set.
    `partial_batch` says whether the last, smaller batch of an epoch is kept or dropped.
    """

    order: Literal["reshuffled", "shuffled_once", "with_replacement"] = "reshuffled"
    partial_batch: Literal["keep", "drop"] = "keep"


class Update(Values):
    """Who learns when.

    `simultaneous`: one forward pass, both gradients taken before either step.
    `alternating`: the discriminator on real and fake images, then the generator through the new
    discriminator. `alternating_mixed`: the same, the discriminator's batch being half real, half fake.
    `alternating_separate`: a discriminator step on real images, another on fakes, then the generator.
    `fakes`: whether the discriminator's fakes come from the generator in training or inference mode.
    `reuse_latents`: whether the generator learns on the same z that made the discriminator's fakes.
    `simultaneous` has one forward pass, so that both are settled: training mode, the same z; and
    `alternating_mixed` always draws new z for the generator, whose batch is larger.
    """

    rule: Literal["simultaneous", "alternating", "alternating_mixed", "alternating_separate"] = "simultaneous"
    fakes: Literal["training", "inference"] = "training"
    reuse_latents: bool = False


class Grid(Values):
    """The pictures kept while training: `rows` x `columns` samples, of z fixed for all or new each time."""

    rows: int = Field(4, ge=1, le=100)
    columns: int = Field(4, ge=1, le=100)
    every: Span = "1 epoch"
    latents: Literal["fixed", "new"] = "fixed"
    inverted: bool = False


class Verdict(Values):
    """The discriminator's accuracy on `images` real and as many fake images, taken now and then."""

    images: int = Field(100, ge=1, le=100_000)
    every: Span


class Scores(Values):
    """Scores while training: `images` are drawn and scored `every` so often, `final` at the end.

    Where `every` is None it is each epoch, or each so many epochs that scoring takes a twentieth of the
    time: an epoch may be short, and a network small.
    """

    every: Span | None = None
    images: int = Field(2_000, ge=24, le=100_000)
    final: int = Field(10_000, ge=24, le=100_000)


_SCHEDULE = {
    "name", "summary", "source", "data", "split", "image_size", "length", "checkpoint_every",
    "checkpoints_newest", "checkpoints_keep_every", "log_every", "grid", "verdict", "generator_every",
    "animation", "tensorboard", "scores", "guard", "precision",
}  # fmt: skip


class Recipe(Values):
    """A training run, described. See docs/design.md; `ganvas recipes show NAME` prints one."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    summary: str = ""
    source: str = Field("", description="the tutorial or paper that the values come from")

    data: str = Field("mnist", description="data set used when none is named")
    split: Literal["train", "test", "all"] = "train"
    image_size: int | None = Field(
        None, ge=8, le=256, description="the size that the networks were drawn for, if any"
    )
    pixel_range: Annotated[tuple[int, int], AfterValidator(_check_pixel_range)] = (-1, 1)
    sampling: Sampling = Sampling()
    batch_size: int = Field(256, ge=1, le=2**24)

    latent: Latent = Latent()
    classes: int = Field(0, ge=0, le=2**16, description="that both players are told; 0 is none")
    classes_from: Literal["labels", "clusters"] = Field(
        "labels", description="labels, or clusters of the pixels, which need no labels"
    )
    generator: SerializeAsAny[GeneratorSpec]
    discriminator: SerializeAsAny[DiscriminatorSpec]
    objective: str = "non_saturating"
    penalties: tuple[Penalty, ...] = ()
    augment: Augment | None = Field(None, description="what D sees is changed so, for sets of few images")
    generator_optimizer: Adam
    discriminator_optimizer: Adam
    schedule: Schedule | None = Field(None, description="of both learning rates; None: they stay")
    update: Update = Update()
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the generator's average")

    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="of products; auto is bf16 where the hardware multiplies it; a run records which"
    )
    length: Span
    checkpoint_every: Span = "5 epochs"
    checkpoints_newest: PositiveInt = Field(3, description="how many of the newest are kept")
    checkpoints_keep_every: Span | None = Field(None, description="those kept for good")
    log_every: Span = "10 steps"
    grid: Grid = Grid()
    verdict: Verdict | None = None
    scores: Scores | None = Scores()
    guard: Literal["warn", "stop", "off"] = Field(
        "warn", description="what the guard does when training goes wrong"
    )
    generator_every: Span | None = Field(None, description="the generator alone, saved by epoch")
    animation: Literal["all", "thinned"] = "all"
    tensorboard: bool = False

    @model_validator(mode="after")
    def _halves(self) -> Self:
        if self.update.rule == "alternating_mixed" and self.batch_size < 2:
            raise ValueError("alternating_mixed needs a batch_size of 2 or more")
        if self.classes == 1:
            raise ValueError("expected 2 classes or more, or 0 for none")
        adaptive = self.augment is not None and self.augment.target is not None
        if adaptive and self.objective in ("wasserstein", "relativistic"):
            raise ValueError(
                f"augment.target goes by the sign of D's logits, which {self.objective} leaves open; take "
                f"another objective, or no target"
            )
        if self.update.rule == "alternating_separate" and self.objective == "relativistic":
            raise ValueError(
                "relativistic judges real and fake images side by side: alternating_separate cannot; "
                "use simultaneous or alternating"
            )
        return self

    @property
    def told_clusters(self) -> bool:
        """Whether the classes told are clusters of the pixels."""
        return self.classes > 0 and self.classes_from == "clusters"

    @property
    def input_size(self) -> int:
        """How many numbers the generator is given an image: z, and the class as one of K."""
        return self.latent.size + self.classes

    @property
    def real_batch(self) -> int:
        """Real images in a discriminator's batch."""
        return self.batch_size // 2 if self.update.rule == "alternating_mixed" else self.batch_size

    def mathematics(self) -> frozenset[tuple[str, str]]:
        """The keys, with their values, that decide what is learned; the rest is schedule and words."""
        values = self.model_dump(mode="json", exclude=_SCHEDULE)
        return frozenset((key, json.dumps(value, sort_keys=True)) for key, value in values.items())

    def to_json(self) -> str:
        """The recipe as JSON; `read_recipe(json.loads(...))` gives it back."""
        return self.model_dump_json(indent=2)

    def changed(self, settings: Mapping[str, Any]) -> Recipe:
        """A copy with keys replaced, each named by its path.

        >>> recipe.changed({"batch_size": 64, "discriminator.dropout": 0})  # doctest: +SKIP

        Raises:
            RecipeError: a key that does not exist, or a value of the wrong type or sign.
        """
        values = self.model_dump(mode="json")
        for path, value in settings.items():
            player, _, key = path.partition(".")
            known = GeneratorSpec.kinds | DiscriminatorSpec.kinds
            if key == "kind" and isinstance(value, str) and value in known and _kind(values, player) != value:
                raise RecipeError(
                    f"another {path} has other keys: give the whole network as JSON, "
                    f"--set {player}='{{\"kind\": {json.dumps(value)}, ...}}'"
                )
            _place(values, path, value)
        return read_recipe(values)


def read_recipe(values: object) -> Recipe:
    """Check `values` (as read from JSON) and return the recipe.

    Raises:
        RecipeError: one line that names the first key that is wrong.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(first_finding(error, values)) from None


def first_finding(error: ValidationError, values: object = None) -> str:
    """Pydantic's findings as one line: a misspelt key before what follows from it, else the first.

    `values` are those of the recipe, where known: the nearest names come from them.
    """
    findings = error.errors()
    return _one_line(next((f for f in findings if f["type"] == "extra_forbidden"), findings[0]), values)


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Read `key=value` words; a value is JSON where it can be read so, else the word itself.

    >>> parse_settings(["batch_size=64", "latent.distribution=uniform"])
    {'batch_size': 64, 'latent.distribution': 'uniform'}
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set expects key=value, got {setting!r}; try --set batch_size=64")
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def _kind(values: dict[str, Any], player: str) -> object:
    network = values.get(player)
    return network.get("kind") if isinstance(network, dict) else None


def _place(values: dict[str, Any], path: str, value: Any) -> None:
    """Put `value` where `path` leads; a step that does not exist is refused with the nearest name."""
    *steps, last = path.split(".")
    place: Any = values
    for depth, step in enumerate([*steps, last]):
        if isinstance(place, list):
            if not step.isdecimal() or int(step) >= len(place):
                raise RecipeError(
                    f"unknown recipe key {path!r}: {'.'.join(steps[:depth])} has entries "
                    f"0 to {len(place) - 1}"
                )
            step = int(step)  # type: ignore[assignment]
        elif not isinstance(place, dict):
            where = ".".join([*steps, last][:depth])
            if place is None:
                raise RecipeError(
                    f"{where} is not set in this recipe, so {path!r} cannot be: give the whole of "
                    f"it as JSON, --set {where}='{{\"{step}\": ...}}'"
                )
            raise RecipeError(f"unknown recipe key {path!r}: {where} has no keys below it")
        elif step not in place:
            prefix = ".".join([*steps, last][:depth])
            names = [f"{prefix}.{name}" if prefix else name for name in place]
            raise RecipeError(f"unknown recipe key {path!r}; {nearest(path, names)}")
        if depth == len(steps):
            place[step] = value
        else:
            place = place[step]


def _names_at(values: Any, path: tuple[int | str, ...]) -> list[str]:
    """The keys that `Recipe` has at `path`; the kind of a network is read from `values`."""
    model: Any = Recipe
    for step in path:
        values = values[step]
        if isinstance(step, str):
            model = _model_in(model.model_fields[step].annotation)
        if isinstance(values, Mapping) and issubclass(model, NetworkSpec):
            model = model.kinds[values["kind"]]
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The model within an annotation such as `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _one_line(error: ErrorDetails, values: object) -> str:
    """Pydantic's first finding as a sentence: the key, what was expected, what came."""
    path = [str(step) for step in error["loc"]]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        if not isinstance(values, Mapping):
            return f"unknown recipe key {key!r}"
        known = [".".join([*path[:-1], name]) for name in _names_at(values, error["loc"][:-1])]
        return f"unknown recipe key {key!r}; {nearest(key, known)}"
    if error["type"] == "missing":
        return f"recipe key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    try:
        came = json.dumps(error["input"], default=str)
    except (TypeError, ValueError):  # keys that are no strings, loops
        came = type(error["input"]).__name__
    came = came if len(came) <= 60 else came[:57] + "..."
    return f"recipe key {key!r}: {message}; got {came}" if key else f"recipe: {message}"


__all__ = [
    "Adam",
    "Augment",
    "Grid",
    "Latent",
    "Penalty",
    "Recipe",
    "Sampling",
    "Schedule",
    "Scores",
    "Span",
    "Update",
    "Verdict",
    "first_finding",
    "parse_settings",
    "read_recipe",
    "steps_in",
]

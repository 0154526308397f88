"""From options to a plan: the data, the recipe, what training is conditioned on; nothing is written yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganvas import recipes
from ganvas.data import DATASET_NAMES, ImageSet, load_dataset
from ganvas.data.batches import Batches
from ganvas.data.clusters import Labels
from ganvas.errors import DataError, RecipeError, UserError, printable
from ganvas.profiling.flops import UncountableError, step_seconds
from ganvas.recipes import auto
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe
from ganvas.runs.common import (
    collect_overrides,
    creation_info,
    make_batches,
    recorded_request,
    validate_seed,
)
from ganvas.runs.conditioning import cluster_record
from ganvas.runs.directory import DataRecord, RunDirectory, RunRecord
from ganvas.runs.options import TrainOptions
from ganvas.runs.overwrite import check_free, free_directory
from ganvas.training import updates
from ganvas.training.conditioning import conditioning_labels
from ganvas.training.state import TrainState, new_state
from ganvas.utils import devices
from ganvas.utils.output import one_line

MIN_IMAGES_PER_CLUSTER = 10  # on average: fewer are soon memorized
MAX_HINTED_CLASSES = 100  # many more are names rather than kinds


@dataclass(frozen=True)
class TrainingPlan:
    """What would be trained, ready to start.

    Attributes:
        directory: of the run.
        record: the content of `run.json`.
        images: the data set.
        labels: int64 [N], to condition on; None where the recipe is not conditioned.
        batches: of both.
        update: the recipe's training step.
        state: before the first step.
        device: to train on.
    """

    directory: RunDirectory
    record: RunRecord
    images: ImageSet
    labels: Labels | None
    batches: Batches
    update: updates.Update
    state: TrainState
    device: torch.device

    def __str__(self) -> str:
        return "\n".join(map(one_line, self.lines()))

    def lines(self) -> list[str]:
        """The plan for people, as `ganvas train --dry-run` prints it."""
        record, recipe = self.record, self.record.recipe
        channels, height, width = self.images.image_shape
        kind = "gray" if channels == 1 else "RGB"
        kinds = "clusters of the pixels" if recipe.conditioned_on_clusters else "classes"
        summary = f": {recipe.summary}" if recipe.summary else ""
        return [
            f"data          {self.images.name}: {len(self.images):,} {kind} images of {height}x{width} from "
            f"{self.images.source}",
            f"recipe        {recipe.name}{summary}",
            *(f"{line}" for line in self._network_lines()),
            f"conditioned   {f'on {recipe.classes} {kinds}' if recipe.classes else 'on nothing'}",
            f"length        {record.steps:,} steps of {recipe.batch_size} images "
            f"({record.steps / record.steps_per_epoch:.1f} epochs), {record.precision} on {self.device.type}",
            f"time          {self._time()}",
            f"directory     {self.directory.path}",
            f"command       {record.command}",
            *(f"note          {note}" for note in record.notes),
            "dry run: nothing was written",
        ]

    def _network_lines(self) -> Iterator[str]:
        for name, network in (
            ("generator", self.state.generator),
            ("discriminator", self.state.discriminator),
        ):
            count = sum(p.numel() for p in network.parameters())
            spec = getattr(self.record.recipe, name)
            yield f"{name:<14}{spec.kind}, {count:,} parameters"

    def _time(self) -> str:
        seconds = estimated_seconds(self.record.recipe, self.images.image_shape, self.record)
        if seconds is None:
            return "unknown: a network of your own"
        minutes = seconds / 60
        words = (
            f"{seconds:.0f} s"
            if minutes < 2
            else f"{minutes:.0f} min"
            if minutes < 120
            else f"{minutes / 60:.1f} h"
        )
        return f"about {words} on two processor cores, scores and grids not counted"


def estimated_seconds(recipe: Recipe, image_shape: tuple[int, int, int], record: RunRecord) -> float | None:
    """Estimated training time on two processor cores; None for networks that cannot be counted."""
    if recipe.name == "auto":
        return record.steps * auto.estimated_step_seconds(recipe, image_shape)
    try:
        return record.steps * step_seconds(recipe, image_shape, record.precision)
    except UncountableError:
        return None


def prepare(options: TrainOptions) -> TrainingPlan:
    """The plan of a new run. The recipe is made once, after the data is known.

    Raises:
        UserError: a value that cannot be; nothing has been written.
        MachineError: memory is full.
    """
    changed = collect_overrides(
        options.overrides, options.epochs, options.steps,
        split=options.split, tensorboard=options.tensorboard, health=options.health,
        precision=options.precision,
    )  # fmt: skip
    changed |= _cluster_overrides(options.clusters, changed, conditional=options.conditional)
    validate_seed(options.seed)
    named, data = _recipe_and_data(options.recipe, options.data)
    if named is not None:
        named = named.with_overrides(changed)
    if options.budget is not None:
        auto.budget_seconds(options.budget)  # refuse a wrong one before the data is read
    device = devices.resolve_device(options.device)
    devices.set_threads(options.threads)
    name = str(changed.get("name", "auto")) if named is None else named.name
    directory = free_directory(options.out, name, overwrite=options.overwrite)
    split = str(changed.get("split", "train")) if named is None else named.split
    requested = data if data is not None else changed.get("data", "mnist") if named is None else named.data
    images = _load(requested, split, options, explicit=data is not None)
    check_free(directory, overwrite=options.overwrite, data=images.source)
    if options.conditional:
        changed["classes"], changed["condition_on"] = _label_count(images, changed.get("classes")), "labels"
    recipe, reasons = _finish_recipe(named, images, changed, options)
    with devices.memory_errors():
        labels = conditioning_labels(images, recipe, options.seed)
    batches = make_batches(recipe, images, labels, options.seed, device)
    recipe, more = _within_budget(recipe, named, images, options, device)
    steps = to_steps(recipe.length, batches.steps_per_epoch)
    update = updates.make_update(recipe, steps)
    with devices.memory_errors():
        state = new_state(recipe, images.image_shape, options.seed, device)
    record = RunRecord(
        recipe=recipe,
        seed=options.seed,
        data=_data_record(images, requested, split, options),
        steps_per_epoch=batches.steps_per_epoch,
        clusters=cluster_record(labels, recipe),
        precision=devices.resolve_precision(recipe.precision, device),
        notes=(*_data_notes(recipe, images), *reasons, *more),
        **creation_info(options.command or f"ganvas.train({recipe.name!r}, ...)"),
        machine=devices.describe_machine(device),
    )
    return TrainingPlan(directory, record, images, labels, batches, update, state, device)


def _recipe_and_data(
    recipe: str | Path | Recipe | None, data: str | Path | None
) -> tuple[Recipe | None, str | Path | None]:
    """The named recipe, None for the automatic one; a data set in the recipe's place is data.

    Raises:
        RecipeError: no such recipe.
        DataError: what looks like a path does not exist.
    """
    if isinstance(recipe, Recipe):
        return recipe, data
    if recipe is None or recipe == "auto":
        return None, data
    if _is_data(recipe) and str(recipe) not in ("", *recipes.recipe_names()):
        if data is not None:
            raise UserError(f"{recipe} is a data set, and so is data {data}: give one of them")
        return None, recipe
    try:
        return recipes.load_recipe(recipe), data
    except RecipeError:
        text = str(recipe)
        looks_like_path = text.endswith(("/", "\\")) or (
            ("/" in text or "\\" in text) and Path(text).suffix not in (".json", ".py")
        )
        if looks_like_path and not Path(text).expanduser().exists():
            raise DataError(
                f"no such file or folder: {text}; expected images, or the name of a recipe"
            ) from None
        raise


def _is_data(name: str | Path) -> bool:
    if Path(name).suffix in (".json", ".py") or Path(f"{name}.py").is_file():
        return False
    return name in DATASET_NAMES or Path(name).expanduser().exists()


def _load(requested: Any, split: str, options: TrainOptions, *, explicit: bool) -> ImageSet:
    # With nothing named, the bundled digits may stand in for MNIST; `load_dataset` says so in its note.
    name = None if requested == "mnist" and not explicit else requested
    return load_dataset(
        name, split=split, size=options.size, resize=options.resize, mmap_threshold=options.mmap_threshold
    )


def _finish_recipe(
    named: Recipe | None, images: ImageSet, changed: Mapping[str, Any], options: TrainOptions
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe for these images, and one line why where it was chosen for them."""
    if named is None:
        recipe, why = auto.auto_recipe(images.image_shape, len(images), options.budget, changed)
        return recipe, (why, *_hint(recipe, images))
    if options.conditional:
        named = named.with_overrides({key: changed[key] for key in ("classes", "condition_on")})
    return named, ()


def _within_budget(
    recipe: Recipe,
    named: Recipe | None,
    images: ImageSet,
    options: TrainOptions,
    device: torch.device,
) -> tuple[Recipe, tuple[str, ...]]:
    """A named recipe with as many steps as the budget is estimated to allow.

    Raises:
        UserError: a length is given too, or the recipe's networks cannot be counted.
    """
    if named is None or options.budget is None:
        return recipe, ()
    if options.steps is not None or options.epochs is not None or "length" in (options.overrides or {}):
        raise UserError("budget, steps and epochs each set the length: give one of them")
    try:
        precision = devices.resolve_precision(recipe.precision, device)
        seconds = step_seconds(recipe, images.image_shape, precision)
    except UncountableError:
        raise UserError(
            f"budget {options.budget}: the steps of {recipe.name} cannot be estimated; set steps instead"
        ) from None
    steps = max(round(auto.budget_seconds(options.budget) / seconds), 1)
    note = (
        f"budget {options.budget}: {steps:,} steps, estimated for two processor cores, "
        f"instead of {recipe.length}"
    )
    return recipe.with_overrides({"length": steps}), (note,)


def _data_record(images: ImageSet, requested: Any, split: str, options: TrainOptions) -> DataRecord:
    return DataRecord(
        requested=recorded_request(requested, images),
        name=images.name,
        split=split,
        size=options.size,
        resize=options.resize,
        source=images.source,
        fingerprint=images.fingerprint,
        images=len(images),
        image_shape=images.image_shape,
        class_names=images.class_names,
        class_counts=_class_counts(images),
    )


def _hint(recipe: Recipe, images: ImageSet) -> Iterator[str]:
    on_labels = recipe.classes and not recipe.conditioned_on_clusters
    if not on_labels and 2 <= images.num_classes <= MAX_HINTED_CLASSES:
        yield (
            f"training is not conditioned on its {images.num_classes} classes; the option conditional "
            f"does that, for images of a chosen class"
        )


def _cluster_overrides(
    clusters: int | None, overrides: Mapping[str, Any], *, conditional: bool
) -> dict[str, Any]:
    """The recipe's keys for the option `clusters`."""
    if conditional and (clusters or overrides.get("condition_on") == "clusters"):
        raise UserError("conditional and clusters exclude each other: choose one")
    if clusters is None:
        return {}
    if clusters < 0 or clusters == 1:
        raise UserError(f"clusters {clusters}: expected 2 or more, or 0 for none")
    if "classes" in overrides or "condition_on" in overrides:
        raise UserError("clusters sets classes and condition_on: leave those out")
    return {"classes": clusters, "condition_on": "clusters" if clusters else "labels"}


def _label_count(images: ImageSet, classes: object) -> int:
    """How many classes to condition on."""
    if classes not in (None, 0, images.num_classes):
        raise UserError(
            f"conditional counts the classes of {images.name}, {images.num_classes}: leave out "
            f"classes={classes}"
        )
    present = sum(count > 0 for count in _class_counts(images))
    if present < 2:
        problem = "has no labels" if images.labels is None else "has images of one class only"
        raise UserError(
            f"conditional: {images.name} {problem}; expected 2 classes or more, as a folder has them where "
            f"each class is a folder in it"
        )
    return images.num_classes


def _class_counts(images: ImageSet) -> tuple[int, ...]:
    if images.labels is None:
        return ()
    return tuple(np.bincount(images.labels, minlength=images.num_classes).tolist())


def _data_notes(recipe: Recipe, images: ImageSet) -> Iterator[str]:
    """What the user should know before training starts; stored with the run."""
    if images.note:
        yield images.note
    each = len(images) / max(recipe.classes, 1)
    if recipe.conditioned_on_clusters and each < MIN_IMAGES_PER_CLUSTER:
        yield (
            f"the {recipe.classes} clusters have {each:.1f} images each on average, which are soon "
            f"memorized; set clusters to fewer, or to 0 for none"
        )
    empty = [i for i, count in enumerate(_class_counts(images)) if not count]
    if recipe.classes and not recipe.conditioned_on_clusters and empty:
        named = ", ".join(printable(images.class_names[i]) for i in empty[:10])
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        classes = "class" if len(empty) == 1 else "classes"
        yield f"no image is of {classes} {named}{more}: it cannot be learned"
    _, height, width = images.image_shape
    side = recipe.image_size
    if side is not None and (height, width) != (side, side):
        yield (
            f"{recipe.name} was designed for {side}x{side} images; its networks are built for "
            f"{height}x{width} here (size={side} with resize changes the images instead)"
        )

"""What `train`, `resume` and `fork` have in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import ganvas
from ganvas.callbacks.base import Callback, load_callback
from ganvas.callbacks.progress import Display
from ganvas.data import DATASET_NAMES, ImageSet
from ganvas.data.batches import Batches
from ganvas.data.clusters import Labels
from ganvas.errors import GanvasError, StorageError, UserError
from ganvas.recipes.schema import Recipe
from ganvas.report import report
from ganvas.runs.directory import RunDirectory
from ganvas.runs.evaluate import EvaluationResult, evaluate_run, save_evaluation
from ganvas.runs.live import choose_display
from ganvas.runs.run import Run
from ganvas.training.objectives import OBJECTIVES, as_objective
from ganvas.utils import devices

BUILT_IN_OBJECTIVES = frozenset(OBJECTIVES)


def creation_info(command: str) -> dict[str, str]:
    """The fields of `run.json` that say how and when the run was made."""
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"command": command, "created": created, "ganvas": ganvas.__version__}


def load_callbacks(callbacks: Sequence[Callback | str]) -> tuple[Callback, ...]:
    """The callbacks; those given by a registered name are made.

    Raises:
        RecipeError: no callback of that name.
    """
    return tuple(load_callback(c) if isinstance(c, str) else c for c in callbacks)


def evaluate_and_report(directory: RunDirectory, *, images: ImageSet, quiet: bool) -> Run:
    """Score the finished run's best generator on many images, and write its report.

    `images` are those it was trained on: they are not read again.

    Raises:
        StorageError: the disk is full or not writable; `resume` writes what is missing.
        KeyboardInterrupt: stopped by the user; `resume` does the rest.
    """
    run = Run.open(directory.path)
    display = choose_display(run.record.steps, run.record.steps, quiet=quiet)
    try:
        result = _final_evaluation(run, images, display)
        extras = None if result is None else save_evaluation(run, result)
        display.say(f"report       {report(run, extras=extras)}")
    except StorageError as error:
        raise StorageError(
            f"{error}; training is complete, and ganvas resume {directory.shell_path} writes what is missing"
        ) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped before the run was scored; training is complete, and "
            f"ganvas resume {directory.shell_path} scores it"
        ) from None
    return run


def _final_evaluation(run: Run, images: ImageSet, display: Display) -> EvaluationResult | None:
    """The scores of the recipe's final number of images, displayed; None where there are none."""
    scores = run.recipe.scores
    if scores is None:
        return None
    try:
        result = evaluate_run(run, count=scores.final, images=images)
    except GanvasError as error:  # a failed score must not lose the run
        display.say(f"note: no scores: {error}")
        return None
    for line in [*(f"note: {note}" for note in result.notes), *result.lines()]:
        display.say(line)
    return result


def validate_seed(seed: int | None) -> int | None:
    """The seed, checked: 0 to 2^63 - 1, or None."""
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
    return seed


def collect_overrides(
    overrides: Mapping[str, Any] | None,
    epochs: int | None,
    steps: int | None,
    **more: str | bool | None,
) -> dict[str, Any]:
    """`overrides` with the recipe keys that have parameters of their own: the length, and `more` by name.

    Raises:
        UserError: steps and epochs together, or below 1; an objective that cannot be registered.
    """
    if epochs is not None and steps is not None:
        raise UserError("steps and epochs: give one of them, not both")
    for name, value in (("epochs", epochs), ("steps", steps)):
        if value is not None and value < 1:
            raise UserError(f"{name} {value}: expected 1 or more")
    changed = dict(overrides or {})
    if callable(changed.get("objective")):
        changed["objective"] = _register_objective(changed["objective"])
    if epochs is not None:
        changed["length"] = f"{epochs} epochs"
    if steps is not None:
        changed["length"] = steps
    return changed | {name: value for name, value in more.items() if value is not None}


def _register_objective(function: Any) -> str:
    """The name under which an objective given as a function is now registered: its own."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if not name.isidentifier():
        raise UserError(f"objective {name}: expected a function with a name, defined with def")
    if name in BUILT_IN_OBJECTIVES:
        raise UserError(f"objective {name}: a built-in objective has this name; rename the function")
    OBJECTIVES.register(name, as_objective(function))
    return name


def recorded_request(data: str | Path, images: ImageSet) -> str:
    """What `run.json` says of where the data set is: its name, or the absolute path."""
    if isinstance(data, str) and data in DATASET_NAMES:
        return images.name  # the bundled digits may stand in for MNIST
    return str(Path(data).expanduser().resolve())


def make_batches(
    recipe: Recipe, images: ImageSet, labels: Labels | None, seed: int, device: torch.device
) -> Batches:
    """Batches of the images as the recipe orders them, with the labels int64 [N] to condition on."""
    with devices.memory_errors():
        return Batches(
            images,
            recipe.real_batch_size,
            order=recipe.data_order.order,
            drop_last=recipe.data_order.drop_last,
            seed=seed,
            device=device,
            steps_from=recipe.batch_size,
            labels=labels,
            num_classes=recipe.classes,
        )

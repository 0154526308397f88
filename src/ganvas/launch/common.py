"""What starting and resuming a run have in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import torch

import ganvas
from ganvas import devices
from ganvas.data import ImageSet
from ganvas.data.batches import Batches
from ganvas.errors import GanvasError, UserError
from ganvas.evaluation import evaluate_run, extras_of, neighbours
from ganvas.observers.display import display
from ganvas.recipe import Recipe
from ganvas.report import report
from ganvas.run import Run
from ganvas.rundir import RunDirectory


def made(command: str) -> dict[str, str]:
    """How and when a run is made, as `run.json` says it."""
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"command": command, "created": created, "ganvas": ganvas.__version__}


def measured(directory: RunDirectory, *, quiet: bool) -> Run:
    """Score the finished run's best generator on many images, and write its report."""
    run = Run.open(directory.path)
    shown = display(run.record.steps, run.record.steps, quiet=quiet)
    scores, extras = run.recipe.scores, None
    if scores is not None:
        try:
            found = evaluate_run(run, count=scores.final)
            neighbours(found).save(directory.neighbours)
            extras = extras_of(found)
            for line in [*(f"note: {note}" for note in found.notes), *found.lines()]:
                shown.say(line)
        except GanvasError as error:  # what was trained is worth more than its score
            shown.say(f"note: no scores: {error}")
    shown.say(f"report       {report(run, extras=extras)}")
    return run


def checked_seed(seed: int | None) -> int | None:
    """Refuse a seed that is none."""
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed}: expected a whole number from 0 to 2^63 - 1")
    return seed


def settings_of(
    settings: Mapping[str, Any] | None,
    epochs: int | None,
    steps: int | None,
    **more: str | bool | None,
) -> dict[str, Any]:
    """Recipe keys that have an argument of their own (`more` by their names), beside `settings`."""
    if epochs is not None and steps is not None:
        raise UserError("give the length once: --epochs or --steps, not both")
    for name, value in (("--epochs", epochs), ("--steps", steps)):
        if value is not None and value < 1:
            raise UserError(f"{name} {value}: expected 1 or more")
    changed = dict(settings or {})
    if epochs is not None:
        changed["length"] = f"{epochs} epochs"
    if steps is not None:
        changed["length"] = steps
    return changed | {name: value for name, value in more.items() if value is not None}


def batches_of(recipe: Recipe, images: ImageSet, seed: int, device: torch.device) -> Batches:
    """The batches that the recipe asks for."""
    with devices.memory_errors():
        return Batches(
            images,
            recipe.real_batch,
            order=recipe.sampling.order,
            partial_batch=recipe.sampling.partial_batch,
            seed=seed,
            device=device,
            steps_from=recipe.batch_size,
            classes=recipe.classes,
        )

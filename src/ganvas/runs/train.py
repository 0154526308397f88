"""`train`: from a recipe and a data set to a run directory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from ganvas.callbacks.base import Callback
from ganvas.data.clusters import Labels
from ganvas.recipes.schema import Recipe
from ganvas.runs import session
from ganvas.runs.common import evaluate_and_report, load_callbacks
from ganvas.runs.conditioning import write_clusters
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.options import TrainOptions
from ganvas.runs.overwrite import check_free, replacing
from ganvas.runs.plan import TrainingPlan, prepare
from ganvas.runs.run import Run
from ganvas.runs.session import Session
from ganvas.utils import memory
from ganvas.utils.io import storage_errors

P = ParamSpec("P")


def train(
    recipe: str | Path | Recipe | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    budget: str | None = None,
    conditional: bool = False,
    clusters: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    split: str | None = None,
    size: int | None = None,
    resize: str | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
    tensorboard: bool | None = None,
    health: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    callbacks: Sequence[Callback | str] = (),
    command: str | None = None,
) -> Run:
    """Train a recipe on a data set into a run directory.

    Args:
        recipe: a name (`ganvas recipes`), a .json or .py file, a module, or a `Recipe`. Without one, or with
            a data set in its place, the automatic recipe is chosen for the images.
        data: a data set's name or path; the recipe's own where none is given, and the bundled
            mnist-5k where that is MNIST and cannot be had.
        out: the run directory; `runs/<recipe>` (or `-2`, `-3`, ...) where none is given.
        epochs: length in epochs instead of the recipe's.
        steps: length in steps instead of the recipe's.
        budget: minutes or hours, as "5m" or "1h": how long to train, estimated for two processor
            cores; for a named recipe, its number of steps.
        conditional: condition both networks on the classes, for images of a chosen class.
        clusters: condition on so many clusters of the pixels instead, which need no labels; 0 is none. Where
            None, the automatic recipe has some from 200 images on, others have none.
        seed: of all random numbers.
        device: "auto", "cpu" or "cuda".
        threads: processor threads; PyTorch's own choice where none is given.
        precision: "fp32", "bf16" or "auto" (bf16 where the hardware multiplies it); the recipe's where None.
        overrides: recipe keys by their path, as {"discriminator.dropout": 0}; "objective" may be a function
            (real logits, fake logits) -> (D's loss, G's loss), which is registered under its own name.
        split: "train", "test" or "all" instead of the recipe's.
        size: side that images are resized to.
        resize: how: "crop", "pad" or "resize" (stretch).
        mmap_threshold: a set larger than this fraction of the free memory is memory-mapped, not loaded.
        tensorboard: write TensorBoard events; the recipe's choice where None.
        health: "warn", "stop" or "off": what happens when training goes wrong.
        overwrite: replace an existing run, which is kept until the new one has a checkpoint; files there that
            ganvas did not write stay.
        quiet: show nothing.
        callbacks: called while training: `ganvas.callbacks.Callback` objects, or registered names.
        command: what is recorded as the command that made the run.

    Returns:
        The finished run, opened.

    Raises:
        UserError: anything asked for that cannot be; nothing has been written then.
        MachineError: the disk is full, a loss is no longer finite; the last checkpoint is kept.
        KeyboardInterrupt: stopped by the user; everything is saved.
    """
    options = TrainOptions(**locals())
    return start(prepare(options), options)


def _planning(function: Callable[P, Run]) -> Callable[P, TrainingPlan]:
    """A function with the parameters of `train` that returns the plan."""
    signature = inspect.signature(function)

    def plan(*args: P.args, **kwargs: P.kwargs) -> TrainingPlan:
        """What `train` would do with the same arguments: the data, recipe, steps, time. Writes nothing.

        `print(ganvas.plan(...))` shows it, as `ganvas train ... --dry-run` does.

        Raises:
            UserError: as `train`.
        """
        return prepare(TrainOptions(**signature.bind(*args, **kwargs).arguments))

    plan.__signature__ = signature.replace(return_annotation="TrainingPlan")  # type: ignore[attr-defined]
    return plan


plan = _planning(train)


def start(plan: TrainingPlan, options: TrainOptions) -> Run:
    """Train what was planned.

    Raises:
        RunError: the directory was taken in the meantime.
        MachineError: the disk is full, a loss is no longer finite; the last checkpoint is kept.
    """
    directory, callbacks = plan.directory, load_callbacks(options.callbacks)
    with storage_errors(str(directory.path)):
        directory.path.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(directory.path):
        # Again: another process may have been quicker.
        check_free(directory, overwrite=options.overwrite, data=plan.images.source)
        with replacing(directory):
            _create(directory, plan.record, plan.labels)
            session.run(
                Session(
                    directory, plan.record, plan.images, plan.labels, plan.batches, plan.update, plan.state,
                    plan.device, quiet=options.quiet, callbacks=callbacks,
                )
            )  # fmt: skip
        return evaluate_and_report(directory, images=plan.images, quiet=options.quiet)


def _create(directory: RunDirectory, record: RunRecord, labels: Labels | None) -> None:
    """Begin the run."""
    directory.write(record)
    if record.clusters is not None and labels is not None:
        write_clusters(directory, labels)
    with storage_errors(str(directory.path)):
        directory.samples.mkdir(exist_ok=True)
        directory.checkpoints.mkdir(exist_ok=True)

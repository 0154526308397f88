"""`resume`: continue a run from its newest checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ganvas.callbacks.base import Callback
from ganvas.callbacks.progress import Display
from ganvas.data import ImageSet, load_dataset
from ganvas.errors import RecipeError, RunError
from ganvas.evaluation.history import read_evaluation
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe
from ganvas.runs import session
from ganvas.runs.common import (
    collect_overrides,
    evaluate_and_report,
    load_callbacks,
    make_batches,
    recorded_request,
)
from ganvas.runs.conditioning import cluster_record, restore_conditioning
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.runs.live import choose_display
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.options import ResumeOptions
from ganvas.runs.overwrite import recover, recover_for_reading, remove_killed_forks, replaced_run
from ganvas.runs.own_files import remove_parts
from ganvas.runs.run import Run
from ganvas.runs.session import Session
from ganvas.training import checkpoint, updates
from ganvas.training.state import TrainState, new_state
from ganvas.utils import devices, memory


def resume(
    run: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | Path | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
    device: str = "auto",
    tensorboard: bool | None = None,
    health: str | None = None,
    quiet: bool = False,
    callbacks: Sequence[Callback | str] = (),
) -> Run:
    """Continue a run that was stopped or killed, to the same bits as if it had not been.

    Args:
        run: the run, or its directory.
        epochs: a new length in epochs, for a run that is to be longer.
        steps: the same in steps.
        data: where the data set is now, if it has moved; it must be the same images.
        mmap_threshold: as in `train`.
        device: "auto" is the device that the run began on, if it is here.
        tensorboard: turn TensorBoard on or off from here on.
        health: "warn", "stop" or "off", from here on.
        quiet: show nothing.
        callbacks: as in `train`.

    Raises:
        UserError: no run there, other data, all checkpoints damaged.
        MachineError: as `train`.
    """
    return resume_from_options(ResumeOptions(**locals()))


def resume_from_options(o: ResumeOptions, images: ImageSet | None = None) -> Run:
    """`resume` with its parameters in one object, and the run's images where they are loaded already."""
    callbacks = load_callbacks(o.callbacks)
    directory = RunDirectory(Path(o.run).expanduser())
    recover_for_reading(directory.path)
    directory.read()  # refuses what is no run before a lock is put there
    with exclusive_lock(directory.path):
        recover(directory)
        remove_parts(directory.path)
        checkpoint.remove_partial(directory.checkpoints)
        remove_killed_forks(directory.path.resolve().parent)
        record = directory.read()
        recipe = record.recipe.with_overrides(
            collect_overrides(None, o.epochs, o.steps, tensorboard=o.tensorboard, health=o.health)
        )
        notes = (*record.notes, *_schedule_notes(record, recipe))
        record = record.model_copy(update={"recipe": recipe, "notes": notes})
        device = device_of(record, o.device)
        if images is None:
            images = reload_data(record, o.data, o.mmap_threshold)
        if o.data is not None:  # from now on it is there
            data = record.data.model_copy(update={"requested": recorded_request(o.data, images)})
            record = record.model_copy(update={"data": data})
        display = choose_display(record.steps, 0, quiet=o.quiet)
        replaced = replaced_run(directory)
        if replaced is not None:
            display.say(
                f"note: the run that this one replaces is in {replaced.path} until the first checkpoint"
            )
        state = _newest_state(directory, record, images, device, display)
        if state.step >= record.steps:
            return _finish(directory, state.step, images, display, quiet=o.quiet)
        update = _make_update(recipe, record.steps)
        with devices.memory_errors():
            labels = restore_conditioning(directory, record, images, began=state.step > 0)
        record = record.model_copy(update={"clusters": cluster_record(labels, recipe)})
        batches = make_batches(recipe, images, labels, record.seed, device)
        directory.write(record)
        directory.remove_results()
        session.run(
            Session(
                directory, record, images, labels, batches, update, state, device, quiet=o.quiet,
                callbacks=callbacks,
            )
        )  # fmt: skip
        return evaluate_and_report(directory, images=images, quiet=o.quiet)


def _finish(directory: RunDirectory, step: int, images: ImageSet, display: Display, *, quiet: bool) -> Run:
    """The complete run, with the results that a kill or a full disk at its end kept from being written."""
    display.say(
        f"{directory.path} is complete at step {step}; to train on, give a longer length: "
        f"ganvas resume {directory.shell_path} --steps {2 * step}"
    )
    run = Run.open(directory.path)
    if not directory.animation.exists():
        try:
            run.animate()
        except RunError as error:  # a grid is damaged; what was trained is whole
            display.say(f"note: no animation: {error}")
    scored = directory.neighbors.exists() and read_evaluation(directory.evaluation) is not None
    if directory.report.exists() and (scored or run.recipe.scores is None):
        return run
    return evaluate_and_report(directory, images=images, quiet=quiet)


def _make_update(recipe: Recipe, steps: int) -> updates.Update:
    """The recipe's training step.

    Raises:
        RecipeError: it uses an objective, penalty or rule that is not registered.
    """
    try:
        return updates.make_update(recipe, steps)
    except RecipeError as error:
        if not str(error).startswith("unknown "):
            raise
        raise RecipeError(f"{error}; where it is code of your own, import it first, as a plugin") from None


def device_of(record: RunRecord, device: str) -> torch.device:
    """The device to continue on, with the threads of before: another number sums in another order."""
    if device == "auto" and record.machine.get("device") == "cpu":
        device = "cpu"
    resolved = devices.resolve_device(device)
    threads = record.machine.get("threads")
    if resolved.type == "cpu" and isinstance(threads, int):
        devices.set_threads(threads, "run.json, machine, threads")
    return resolved


def _newest_state(
    directory: RunDirectory, record: RunRecord, images: ImageSet, device: torch.device, display: Display
) -> TrainState:
    """The state to continue from; a run killed before its first save starts again.

    Raises:
        RunError: no checkpoint is whole, or the newest is of another recipe.
    """
    if not checkpoint.saved_steps(directory.checkpoints):
        return new_state(record.recipe, images.image_shape, record.seed, device)
    folder, notes = checkpoint.latest_valid(directory.checkpoints)
    for note in notes:
        display.say(note)
    trained = checkpoint.trained_recipe(folder)
    differing = trained.training_settings() ^ record.recipe.training_settings()
    if differing:
        keys = ", ".join(sorted({key for key, _ in differing}))
        raise RunError(
            f"{directory.record_path} and checkpoint {folder.name} differ in {keys}: a run continues with "
            f"the settings it began with; put the value back, or train a new run"
        )
    return checkpoint.load(folder, images.image_shape, device)


def reload_data(record: RunRecord, data: str | Path | None, mmap_threshold: float) -> ImageSet:
    """The run's images, wherever they lie now.

    Raises:
        RunError: the images are not those that the run was trained on.
    """
    known = record.data
    name = data if data is not None else known.requested
    images = load_dataset(
        name, split=known.split, size=known.size, resize=known.resize, mmap_threshold=mmap_threshold
    )
    if images.fingerprint != known.fingerprint:
        raise RunError(
            f"the run was trained on other images: fingerprint {known.fingerprint[:12]} expected, "
            f"{images.source} has {images.fingerprint[:12]}; give the right set as data"
        )
    return images


def _schedule_notes(record: RunRecord, recipe: Recipe) -> Iterator[str]:
    """What another length does to a run whose learning-rate schedules follow its length."""
    before, after = record.steps, to_steps(recipe.length, record.steps_per_epoch)
    schedules = [recipe.generator_optimizer.schedule, recipe.discriminator_optimizer.schedule]
    for schedule in dict.fromkeys(schedule for schedule in schedules if schedule is not None):
        if before != after:
            now, then = schedule.at(min(before / after, 1)), schedule.final
            yield (
                f"the learning-rate schedule is stretched from {before} to {after} steps: at step {before} "
                f"the learning rates are {now:.0%} of the recipe's instead of {then:.0%}"
            )

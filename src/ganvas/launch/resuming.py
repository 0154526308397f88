"""`resume`: on from a run's newest checkpoint, or a branch from any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ganvas import devices, memory, session
from ganvas.branch import check_networks, new_branch
from ganvas.data import NAMES, ImageSet, load
from ganvas.errors import RunError, UserError
from ganvas.launch.common import batches_of, checked_seed, made, measured, settings_of
from ganvas.lock import only_one
from ganvas.observers.display import Display, display
from ganvas.recipe import Recipe, read_recipe, steps_in
from ganvas.run import Run, Step
from ganvas.rundir import RunDirectory, RunRecord
from ganvas.session import Session
from ganvas.told import recorded, told_again
from ganvas.training import checkpoint, updates
from ganvas.training.state import TrainState, new_state


def resume(
    path: str | Path,
    *,
    from_: Step = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | Path | None = None,
    memory_share: float = memory.SHARE,
    device: str = "auto",
    tensorboard: bool | None = None,
    guard: str | None = None,
    quiet: bool = False,
    command: str | None = None,
) -> Run:
    """Go on with a run that was stopped or killed, to the same bits as if it had not been.

    With `from_` it is a branch instead: a new run that goes on from one of this run's checkpoints, with
    changed settings, a new seed or neither; this run is left as it is.

    Args:
        path: the run directory.
        from_: begin a branch from this checkpoint: a step's number, "best" or "newest".
        settings: recipe keys changed in the branch, by their path.
        seed: of the branch's randomness.
        out: the branch's run directory; `<run>-from-<step>` where None.
        epochs: a new length, for a run that is to go on longer.
        steps: the same in steps.
        data: where the data set lies now, if it has moved; it must be the same images.
        memory_share: as in `train`.
        device: "auto" is the device that the run began on, if it is here.
        tensorboard: turn TensorBoard on or off from here on.
        guard: "warn", "stop" or "off", from here on.
        quiet: show nothing.
        command: what a branch records as the command that made it.

    Raises:
        UserError: no run there, other data, all checkpoints damaged.
        MachineError: as `train`.
    """
    if from_ is not None:
        changed = settings_of(settings, epochs, steps, tensorboard=tensorboard, guard=guard)
        _check_branch(Run.open(path), changed, data, memory_share, device)
        how = made(command or f"ganvas.resume({str(path)!r}, from_={from_!r}, ...)")
        branch = new_branch(Run.open(path), from_, out, changed, seed=checked_seed(seed), made=how)
        return resume(branch.path, data=data, memory_share=memory_share, device=device, quiet=quiet)
    if settings or seed is not None or out is not None:
        raise UserError(
            "a run goes on as it began: --set, --seed and --out belong to a branch; name the checkpoint that "
            "it begins from with --from best, newest or a step's number"
        )
    directory = RunDirectory(Path(path).expanduser())
    directory.read()  # refuses what is no run before a lock is put there
    with only_one(directory.path):
        record = directory.read()
        recipe = record.recipe.changed(settings_of(None, epochs, steps, tensorboard=tensorboard, guard=guard))
        notes = (*record.notes, *_stretched(record, recipe))
        record = record.model_copy(update={"recipe": recipe, "notes": notes})
        if data is not None:  # from now on it lies there
            place_of = (
                data if isinstance(data, str) and data in NAMES else str(Path(data).expanduser().resolve())
            )
            record = record.model_copy(
                update={"data": record.data.model_copy(update={"requested": str(place_of)})}
            )
        place = _device_of(record, device)
        images = _load_again(record, data, memory_share)
        shown = display(record.steps, 0, quiet=quiet)
        state = _newest_state(directory, record, images, place, shown)
        if state.step >= record.steps:
            shown.say(
                f"{directory.path} is complete at step {state.step}; to train on, give a longer length: "
                f"ganvas resume {directory.typed} --steps {2 * state.step}"
            )
            if not directory.animation.exists():  # killed between the last save and the end
                Run.open(directory.path).animate()
            if recipe.scores is not None and not directory.evaluation.exists():
                return measured(directory, quiet=quiet)
            return Run.open(directory.path)
        update = updates.find(recipe, record.steps)
        with devices.memory_errors():
            told = told_again(directory, record, images, began=state.step > 0)
        record = record.model_copy(update={"clusters": recorded(told, recipe)})
        batches = batches_of(recipe, told, record.seed, place)
        directory.write(record)
        directory.forget_results()
        session.run(Session(directory, record, images, told, batches, update, state, place, quiet=quiet))
        return measured(directory, quiet=quiet)


def _check_branch(
    run: Run, settings: Mapping[str, Any], data: str | Path | None, memory_share: float, device: str
) -> None:
    """Refuse what the branch could not train on, before anything of it is written."""
    place = _device_of(run.record, device)
    images = _load_again(run.record, data, memory_share)
    recipe = run.recipe.changed(settings)
    check_networks(run.recipe, recipe)
    batches_of(recipe, told_again(run.directory, run.record, images, began=True), run.record.seed, place)


def _device_of(record: RunRecord, device: str) -> torch.device:
    """The device to go on with, its threads as they were: another number sums in another order."""
    if device == "auto" and record.machine.get("device") == "cpu":
        device = "cpu"
    place = devices.find(device)
    threads = record.machine.get("threads")
    if place.type == "cpu" and isinstance(threads, int) and 1 <= threads <= 4096:
        devices.use_threads(threads)
    return place


def _newest_state(
    directory: RunDirectory, record: RunRecord, images: ImageSet, place: torch.device, shown: Display
) -> TrainState:
    """The state to go on from; a run killed before its first save begins anew.

    Raises:
        RunError: no checkpoint is whole, or the newest is of another recipe.
    """
    if not checkpoint.steps_saved(directory.checkpoints):
        return new_state(record.recipe, images.image_shape, record.seed, place)
    folder, notes = checkpoint.newest_good(directory.checkpoints)
    for note in notes:
        shown.say(note)
    trained = read_recipe(checkpoint.read_state(folder)["recipe"])
    differing = trained.mathematics() ^ record.recipe.mathematics()
    if differing:
        keys = ", ".join(sorted({key for key, _ in differing}))
        raise RunError(
            f"{directory.record_file} and checkpoint {folder.name} differ in {keys}: a run goes on as it "
            f"began; put the value back, or train a new run"
        )
    return checkpoint.load(folder, images.image_shape, place)


def _load_again(record: RunRecord, data: str | Path | None, memory_share: float) -> ImageSet:
    """The run's images, wherever they lie now.

    Raises:
        RunError: the images found are others.
    """
    known = record.data
    name = data if data is not None else known.requested
    images = load(name, split=known.split, size=known.size, fit=known.fit, memory_share=memory_share)
    if images.fingerprint != known.fingerprint:
        raise RunError(
            f"the run was trained on other images: fingerprint {known.fingerprint[:12]} expected, "
            f"{images.source} has {images.fingerprint[:12]}; name the right set with --data"
        )
    return images


def _stretched(record: RunRecord, recipe: Recipe) -> Iterator[str]:
    """What another length does to a run whose rates follow its length."""
    before, after = record.steps, steps_in(recipe.length, record.steps_per_epoch)
    if recipe.schedule is not None and before != after:
        now, then = recipe.schedule.at(min(before / after, 1)), recipe.schedule.final
        yield (
            f"the schedule of the rates is stretched from {before} to {after} steps: at step {before} they "
            f"stand at {now:.0%} of the recipe's instead of {then:.0%}"
        )

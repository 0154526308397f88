"""`train` and `resume`: from a recipe and a data set to a run directory, and on from there.

What a run is worth is measured when it ends: see `_measure`.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ganvas
from ganvas import devices, memory, recipes, session
from ganvas.branch import new_branch
from ganvas.data import NAMES, ImageSet, load
from ganvas.data.batches import Batches
from ganvas.errors import GanvasError, RunError, UserError
from ganvas.evaluation import evaluate_run, extras_of, neighbours
from ganvas.files import storage_errors
from ganvas.lock import only_one
from ganvas.observers.display import Display, display
from ganvas.recipe import Recipe, read_recipe, steps_in
from ganvas.recipes import modern
from ganvas.report import report
from ganvas.run import Run, Step
from ganvas.rundir import DataRecord, RunDirectory, RunRecord
from ganvas.session import Session
from ganvas.training import checkpoint, updates
from ganvas.training.state import TrainState, new_state


def train(
    recipe: str | Path | Recipe | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    budget: str | None = None,
    conditional: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    size: int | None = None,
    fit: str | None = None,
    memory_share: float = memory.SHARE,
    tensorboard: bool | None = None,
    guard: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    command: str | None = None,
) -> Run:
    """Train a recipe on a data set into a run directory.

    Args:
        recipe: a name (`ganvas recipes`), a .json or .py file, a module, or a `Recipe`. Without one, or with
            a data set in its place, the recipe is drawn from the pictures.
        data: a data set's name or path; the recipe's own where none is given, and the bundled
            mnist-5k where that is MNIST and cannot be had.
        out: the run directory; `runs/<recipe>` (or `-2`, `-3`, ...) where none is given.
        epochs: length in epochs instead of the recipe's.
        steps: length in steps instead of the recipe's.
        budget: "1m", "5m", "20m" or "1h": how long, where the recipe is drawn from the pictures.
        conditional: tell both players the classes, so that pictures of a class can be asked for.
        seed: where all randomness comes from.
        device: "auto", "cpu" or "cuda".
        threads: processor threads; PyTorch's own choice where none is given.
        precision: "fp32", "bf16" or "auto" (bf16 where the hardware multiplies it); the recipe's where None.
        settings: recipe keys by their path, as {"discriminator.dropout": 0}.
        split: "train", "test" or "all" instead of the recipe's.
        size: side that images are brought to, with `fit` "crop", "pad" or "resize".
        fit: how images are brought to `size`.
        memory_share: a set larger than this share of the free memory is memory-mapped, not loaded.
        tensorboard: write TensorBoard events; the recipe's choice where None.
        guard: "warn", "stop" or "off": what happens when training goes wrong.
        overwrite: replace an existing run.
        quiet: show nothing.
        command: what is recorded as the command that made the run.

    Returns:
        The finished run, opened.

    Raises:
        UserError: anything asked for that cannot be; nothing has been written then.
        MachineError: the disk is full, a loss is no longer finite; the last checkpoint is kept.
        KeyboardInterrupt: stopped by the user; everything is saved.
    """
    changed = _settings(
        settings, epochs, steps, split=split, tensorboard=tensorboard, guard=guard, precision=precision
    )
    recipe, data = _recipe_and_data(recipe, data, budget)
    chosen = _named(recipe, changed, budget)
    _checked(seed)
    place = devices.find(device)
    devices.use_threads(threads)
    directory = RunDirectory(Path(out).expanduser() if out else _free_name(chosen.name))
    _check_free(directory, overwrite=overwrite)
    images = _load(chosen, data, size, fit, memory_share)
    if conditional:
        changed["classes"] = _classes(images)
        chosen = chosen.changed({"classes": changed["classes"]})
    reason: tuple[str, ...] = ()
    if recipe is None:
        chosen, why = modern.drawn(images.image_shape, len(images), budget, changed)
        reason = (why,)
    batches = _batches(chosen, images, seed, place)
    update = updates.find(chosen, steps_in(chosen.length, batches.steps_per_epoch))
    with devices.memory_errors():
        state = new_state(chosen, images.image_shape, seed, place)
    record = RunRecord(
        recipe=chosen,
        seed=seed,
        data=_data_record(images, chosen, data, size, fit),
        steps_per_epoch=batches.steps_per_epoch,
        precision=devices.precision(chosen.precision, place),
        notes=(*_notes(chosen, images), *reason),
        **_made(command or f"ganvas.train({chosen.name!r}, ...)"),
        machine=devices.describe(place),
    )
    with storage_errors(str(directory.path)):
        directory.path.mkdir(parents=True, exist_ok=True)
    with only_one(directory.path):
        _check_free(directory, overwrite=overwrite)  # again: another process may have been quicker
        _create(directory, record)
        session.run(Session(directory, record, images, batches, update, state, place, quiet=quiet))
        return _measure(directory, quiet=quiet)


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
        changed = _settings(settings, epochs, steps, tensorboard=tensorboard, guard=guard)
        _check_branch(Run.open(path), changed, data, memory_share, device)
        made = _made(command or f"ganvas.resume({str(path)!r}, from_={from_!r}, ...)")
        branch = new_branch(Run.open(path), from_, out, changed, seed=_checked(seed), made=made)
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
        recipe = record.recipe.changed(_settings(None, epochs, steps, tensorboard=tensorboard, guard=guard))
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
                return _measure(directory, quiet=quiet)
            return Run.open(directory.path)
        update = updates.find(recipe, record.steps)
        batches = _batches(recipe, images, record.seed, place)
        directory.write(record)
        directory.forget_results()
        session.run(Session(directory, record, images, batches, update, state, place, quiet=quiet))
        return _measure(directory, quiet=quiet)


def _made(command: str) -> dict[str, str]:
    """How and when a run is made, as `run.json` says it."""
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"command": command, "created": created, "ganvas": ganvas.__version__}


def _measure(directory: RunDirectory, *, quiet: bool) -> Run:
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


def _check_branch(
    run: Run, settings: Mapping[str, Any], data: str | Path | None, memory_share: float, device: str
) -> None:
    """Refuse what the branch could not train on, before anything of it is written."""
    place = _device_of(run.record, device)
    images = _load_again(run.record, data, memory_share)
    _batches(run.recipe.changed(settings), images, run.record.seed, place)


def _checked(seed: int | None) -> int | None:
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed}: expected a whole number from 0 to 2^63 - 1")
    return seed


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


def _settings(
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


def _recipe_and_data(
    recipe: str | Path | Recipe | None, data: str | Path | None, budget: str | None
) -> tuple[str | Path | Recipe | None, str | Path | None]:
    """A data set in the recipe's place is data."""
    if isinstance(recipe, str | Path) and recipe not in ("", *recipes.NAMES) and _is_data(recipe):
        if data is not None:
            raise UserError(f"{recipe} is a data set, and so is --data {data}: name one of them")
        recipe, data = None, recipe
    if recipe == "modern":
        recipe = None
    if budget is not None and recipe is not None:
        raise UserError("--budget is for a recipe drawn from the pictures: a named one has its own length")
    return recipe, data


def _is_data(name: str | Path) -> bool:
    if Path(name).suffix in (".json", ".py") or Path(f"{name}.py").is_file():
        return False
    return name in NAMES or Path(name).expanduser().exists()


def _named(recipe: str | Path | Recipe | None, settings: Mapping[str, Any], budget: str | None) -> Recipe:
    """The recipe before the pictures are known: one drawn from them has only its name and data yet."""
    if recipe is None:
        known = {key: settings[key] for key in ("name", "data", "split", "precision") if key in settings}
        return modern.recipe_for((1, 28, 28), 60_000, budget).changed(known)
    return (recipe if isinstance(recipe, Recipe) else recipes.find(recipe)).changed(settings)


def _load(
    recipe: Recipe, data: str | Path | None, size: int | None, fit: str | None, memory_share: float
) -> ImageSet:
    # With nothing named, MNIST may be stood in for by the bundled digits; `load` says so.
    name = data if data is not None else (None if recipe.data == "mnist" else recipe.data)
    return load(name, split=recipe.split, size=size, fit=fit, memory_share=memory_share)


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


def _batches(recipe: Recipe, images: ImageSet, seed: int, device: torch.device) -> Batches:
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


def _data_record(
    images: ImageSet, recipe: Recipe, data: str | Path | None, size: int | None, fit: str | None
) -> DataRecord:
    requested = recipe.data if data is None else data
    if isinstance(requested, str) and requested in NAMES:
        requested = images.name  # the bundled digits may stand in for MNIST
    else:
        requested = str(Path(requested).expanduser().resolve())
    return DataRecord(
        requested=requested,
        name=images.name,
        split=recipe.split,
        size=size,
        fit=fit,
        source=images.source,
        fingerprint=images.fingerprint,
        images=len(images),
        image_shape=images.image_shape,
        class_names=images.class_names,
        class_counts=_class_counts(images),
    )


def _classes(images: ImageSet) -> int:
    """How many classes both players are to be told."""
    if images.num_classes < 2:
        found = "has no labels" if images.labels is None else f"has one class only, {images.class_names[0]}"
        raise UserError(
            f"--conditional: {images.name} {found}; expected 2 classes or more, as a folder has them where "
            f"each class is a folder in it"
        )
    return images.num_classes


def _class_counts(images: ImageSet) -> tuple[int, ...]:
    if images.labels is None:
        return ()
    return tuple(np.bincount(images.labels, minlength=images.num_classes).tolist())


def _notes(recipe: Recipe, images: ImageSet) -> Iterator[str]:
    """What the user should know before training starts; stored with the run."""
    if images.note:
        yield images.note
    _, height, width = images.image_shape
    drawn = recipe.image_size
    if drawn is not None and (height, width) != (drawn, drawn):
        yield (
            f"{recipe.name} was drawn for {drawn}x{drawn} images; its networks are built for "
            f"{height}x{width} here (--size {drawn} --fit crop|pad|resize changes the images instead)"
        )


def _stretched(record: RunRecord, recipe: Recipe) -> Iterator[str]:
    """What another length does to a run whose rates follow its length."""
    before, after = record.steps, steps_in(recipe.length, record.steps_per_epoch)
    if recipe.schedule is not None and before != after:
        now, then = recipe.schedule.at(min(before / after, 1)), recipe.schedule.final
        yield (
            f"the schedule of the rates is stretched from {before} to {after} steps: at step {before} they "
            f"stand at {now:.0%} of the recipe's instead of {then:.0%}"
        )


def _free_name(name: str) -> Path:
    """`runs/<name>`, or the first of `runs/<name>-2`, ... that is not taken."""
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def _check_free(directory: RunDirectory, *, overwrite: bool) -> None:
    path = directory.path
    if not path.exists():
        return
    if not path.is_dir():
        raise RunError(f"--out {path} is a file; expected a new directory")
    if not directory.record_file.exists():
        if directory.is_bare():
            return
        raise RunError(f"--out {path} holds other files and no run; choose a new directory")
    if not overwrite:
        raise RunError(
            f"{path} already holds a run: go on with it (ganvas resume {directory.typed}), choose another "
            f"--out, or replace it with --overwrite"
        )


def _create(directory: RunDirectory, record: RunRecord) -> None:
    """Begin the run, where another may have been: it stays a run at every moment."""
    with storage_errors(str(directory.path)):
        for old in directory.path.iterdir():
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            elif old.name not in (".lock", directory.record_file.name):
                old.unlink()
    directory.write(record)
    with storage_errors(str(directory.path)):
        directory.samples.mkdir()
        directory.checkpoints.mkdir()

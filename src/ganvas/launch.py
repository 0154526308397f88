"""`train` and `resume`: from a recipe and a data set to a run directory, and on from there."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import ganvas
from ganvas import devices, recipes, session
from ganvas.data import ImageSet, load
from ganvas.data.batches import Batches
from ganvas.errors import RunError, UserError
from ganvas.files import storage_errors
from ganvas.lock import only_one
from ganvas.observers.display import display
from ganvas.recipe import Recipe
from ganvas.run import Run
from ganvas.rundir import DataRecord, RunDirectory, RunRecord
from ganvas.session import Session
from ganvas.training import checkpoint, updates
from ganvas.training.state import new_state

MEMORY_SHARE = 0.25


def train(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    size: int | None = None,
    fit: str | None = None,
    memory_share: float = MEMORY_SHARE,
    tensorboard: bool | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    command: str | None = None,
) -> Run:
    """Train a recipe on a data set into a run directory.

    Args:
        recipe: a name (`ganvas recipes`), a .json or .py file, a module, or a `Recipe`.
        data: a data set's name or path; the recipe's own where none is given, and the bundled
            mnist-5k where that is MNIST and cannot be had.
        out: the run directory; `runs/<recipe>` (or `-2`, `-3`, ...) where none is given.
        epochs: length in epochs instead of the recipe's.
        steps: length in steps instead of the recipe's.
        seed: where all randomness comes from.
        device: "auto", "cpu" or "cuda".
        threads: processor threads; PyTorch's own choice where none is given.
        settings: recipe keys by their path, as {"discriminator.dropout": 0}.
        split: "train", "test" or "all" instead of the recipe's.
        size: side that images are brought to, with `fit` "crop", "pad" or "resize".
        fit: how images are brought to `size`.
        memory_share: a set larger than this share of the free memory is memory-mapped, not loaded.
        tensorboard: write TensorBoard events; the recipe's choice where None.
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
    chosen = recipe if isinstance(recipe, Recipe) else recipes.find(recipe)
    chosen = chosen.changed(_settings(settings, epochs, steps, split, tensorboard))
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed}: expected a whole number from 0 to 2^63 - 1")
    place = devices.find(device)
    devices.use_threads(threads)
    directory = RunDirectory(Path(out).expanduser() if out else _free_name(chosen.name))
    _check_free(directory, overwrite=overwrite)
    update = updates.find(chosen)
    images = _load(chosen, data, size, fit, memory_share)
    batches = _batches(chosen, images, seed, place)
    with devices.memory_errors():
        state = new_state(chosen, images.image_shape, seed, place)
    record = RunRecord(
        recipe=chosen,
        seed=seed,
        data=_data_record(images, chosen, data, size, fit),
        steps_per_epoch=batches.steps_per_epoch,
        notes=tuple(_notes(chosen, images)),
        command=command or f"ganvas.train({chosen.name!r}, ...)",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        ganvas=ganvas.__version__,
        machine=devices.describe(place),
    )
    _create(directory, record, overwrite=overwrite)
    session.run(Session(directory, record, images, batches, update, state, place, quiet=quiet))
    return Run.open(directory.path)


def resume(
    path: str | Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | Path | None = None,
    memory_share: float = MEMORY_SHARE,
    device: str = "auto",
    tensorboard: bool | None = None,
    quiet: bool = False,
) -> Run:
    """Go on with a run that was stopped or killed, to the same bits as if it had not been.

    Args:
        path: the run directory.
        epochs: a new length, for a run that is to go on longer.
        steps: the same in steps.
        data: where the data set lies now, if it has moved; it must be the same images.
        memory_share: as in `train`.
        device: "auto" is the device that the run began on, if it is here.
        tensorboard: turn TensorBoard on or off from here on.
        quiet: show nothing.

    Raises:
        UserError: no run there, other data, all checkpoints damaged.
        MachineError: as `train`.
    """
    directory = RunDirectory(Path(path).expanduser())
    record = directory.read()
    recipe = record.recipe.changed(_settings(None, epochs, steps, None, tensorboard))
    record = record.model_copy(update={"recipe": recipe})
    if device == "auto" and record.machine.get("device") == "cpu":
        device = "cpu"
    place = devices.find(device)
    if place.type == "cpu":  # another number of threads sums in another order
        devices.use_threads(int(record.machine.get("threads", 0)) or None)
    update = updates.find(recipe)
    images = _load_again(record, data, memory_share)
    batches = _batches(recipe, images, record.seed, place)
    shown = display(record.steps, 0, quiet=quiet)
    if not checkpoint.steps_saved(directory.checkpoints):
        state = new_state(recipe, images.image_shape, record.seed, place)
    else:
        folder, notes = checkpoint.newest_good(directory.checkpoints)
        for note in notes:
            shown.say(note)
        state = checkpoint.load(folder, images.image_shape, place)
    if state.step >= record.steps:
        shown.say(
            f"{directory.path} is complete at step {state.step}; to train on, give a longer length: "
            f"ganvas resume {directory.path} --steps {2 * state.step}"
        )
        return Run.open(directory.path)
    directory.write(record)
    session.run(Session(directory, record, images, batches, update, state, place, quiet=quiet))
    return Run.open(directory.path)


def _settings(
    settings: Mapping[str, Any] | None,
    epochs: int | None,
    steps: int | None,
    split: str | None,
    tensorboard: bool | None,
) -> dict[str, Any]:
    """Recipe keys that have an argument of their own, beside `settings`."""
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
    if split is not None:
        changed["split"] = split
    if tensorboard is not None:
        changed["tensorboard"] = tensorboard
    return changed


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
    name = data if data is not None else known.requested or known.name
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
        )


def _data_record(
    images: ImageSet, recipe: Recipe, data: str | Path | None, size: int | None, fit: str | None
) -> DataRecord:
    requested = None if data is None else str(data)
    if requested is not None and Path(requested).expanduser().exists():
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
    )


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


def _free_name(name: str) -> Path:
    """`runs/<name>`, or the first of `runs/<name>-2`, ... that is not taken."""
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def _check_free(directory: RunDirectory, *, overwrite: bool) -> None:
    path = directory.path
    if path.is_dir() and not any(path.iterdir()):
        return
    if not path.exists():
        return
    if not path.is_dir():
        raise RunError(f"--out {path} is a file; expected a new directory")
    if not directory.record_file.exists():
        raise RunError(f"--out {path} holds other files and no run; choose a new directory")
    if not overwrite:
        raise RunError(
            f"{path} already holds a run: go on with it (ganvas resume {path}), choose another "
            f"--out, or replace it with --overwrite"
        )


def _create(directory: RunDirectory, record: RunRecord, *, overwrite: bool) -> None:
    with storage_errors(str(directory.path)):
        if overwrite and directory.path.is_dir():
            with only_one(directory.path):
                shutil.rmtree(directory.path)
        directory.samples.mkdir(parents=True, exist_ok=True)
        directory.checkpoints.mkdir(exist_ok=True)
    directory.write(record)

"""`train`: from a recipe and a data set to a run directory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganvas import devices, memory, recipes, session
from ganvas.data import NAMES, ImageSet, load
from ganvas.errors import RunError, UserError, printable
from ganvas.files import storage_errors
from ganvas.launch.common import batches_of, checked_seed, made, measured, settings_of
from ganvas.lock import only_one
from ganvas.networks.classes import require_logits
from ganvas.recipe import Recipe, steps_in
from ganvas.recipes import modern
from ganvas.run import Run
from ganvas.rundir import DataRecord, RunDirectory, RunRecord
from ganvas.session import Session
from ganvas.told import recorded, told
from ganvas.told import write as write_clusters
from ganvas.training import updates
from ganvas.training.state import new_state

FEW = 10  # pictures a cluster on average
MOST_TOLD = 100  # classes of which a run speaks: many more are names rather than kinds


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
        budget: minutes or hours, as "5m" or "1h": how long, where the recipe is drawn from the pictures.
        conditional: tell both players the classes, so that pictures of a class can be asked for.
        clusters: tell them so many clusters of the pixels instead, which need no labels; 0 tells none. Where
            None, a recipe that is drawn from 200 pictures or more has some, others have none.
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
    changed = settings_of(
        settings, epochs, steps, split=split, tensorboard=tensorboard, guard=guard, precision=precision
    )
    changed |= _asked_clusters(clusters, changed, conditional=conditional)
    recipe, data = _recipe_and_data(recipe, data, budget)
    chosen = _named(recipe, changed, budget)
    checked_seed(seed)
    place = devices.find(device)
    devices.use_threads(threads)
    directory = RunDirectory(Path(out).expanduser() if out else _free_name(chosen.name))
    _check_free(directory, overwrite=overwrite)
    images = _load(chosen, data, size, fit, memory_share)
    if conditional:
        changed["classes"] = _classes(images, changed.get("classes"))
        changed["classes_from"] = "labels"
        chosen = chosen.changed({key: changed[key] for key in ("classes", "classes_from")})
    reason: tuple[str, ...] = ()
    if recipe is None:
        chosen, why = modern.drawn(images.image_shape, len(images), budget, changed)
        reason = (why, *_hint(chosen, images))
    with devices.memory_errors():
        shown = told(images, chosen, seed)
    batches = batches_of(chosen, shown, seed, place)
    update = updates.find(chosen, steps_in(chosen.length, batches.steps_per_epoch))
    with devices.memory_errors():
        state = new_state(chosen, images.image_shape, seed, place)
        require_logits(state.discriminator, images.image_shape, chosen.classes)
    record = RunRecord(
        recipe=chosen,
        seed=seed,
        data=_data_record(images, chosen, data, size, fit),
        steps_per_epoch=batches.steps_per_epoch,
        clusters=recorded(shown, chosen),
        precision=devices.precision(chosen.precision, place),
        notes=(*_notes(chosen, images), *reason),
        **made(command or f"ganvas.train({chosen.name!r}, ...)"),
        machine=devices.describe(place),
    )
    with storage_errors(str(directory.path)):
        directory.path.mkdir(parents=True, exist_ok=True)
    with only_one(directory.path):
        _check_free(directory, overwrite=overwrite)  # again: another process may have been quicker
        _create(directory, record, shown)
        session.run(Session(directory, record, images, shown, batches, update, state, place, quiet=quiet))
        return measured(directory, quiet=quiet)


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


def _hint(recipe: Recipe, images: ImageSet) -> Iterator[str]:
    told_labels = recipe.classes and not recipe.told_clusters
    if not told_labels and 2 <= images.num_classes <= MOST_TOLD:
        yield (
            f"its {images.num_classes} classes are not told to the players; --conditional tells them, for "
            f"pictures of a class"
        )


def _asked_clusters(
    clusters: int | None, settings: Mapping[str, Any], *, conditional: bool
) -> dict[str, Any]:
    """The recipe's keys for what `clusters` asks."""
    if conditional and (clusters or settings.get("classes_from") == "clusters"):
        raise UserError("--conditional tells the labels, clusters stand in for them: choose one")
    if clusters is None:
        return {}
    if clusters < 0 or clusters == 1:
        raise UserError(f"--clusters {clusters}: expected 2 or more, or 0 for none")
    if "classes" in settings or "classes_from" in settings:
        raise UserError("--clusters is classes and classes_from in one: leave those out")
    return {"classes": clusters, "classes_from": "clusters" if clusters else "labels"}


def _classes(images: ImageSet, asked: object) -> int:
    """How many classes both players are to be told."""
    if asked not in (None, 0, images.num_classes):
        raise UserError(
            f"--conditional counts the classes of {images.name}, {images.num_classes}: leave out "
            f"classes={asked}"
        )
    there = sum(count > 0 for count in _class_counts(images))
    if there < 2:
        found = "has no labels" if images.labels is None else "has images of one class only"
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
    each = len(images) / max(recipe.classes, 1)
    if recipe.told_clusters and each < FEW:
        yield (
            f"the {recipe.classes} clusters have {each:.1f} pictures each on average, which are soon "
            f"learned by heart; --clusters takes fewer of them, or 0 for none"
        )
    empty = [i for i, count in enumerate(_class_counts(images)) if not count]
    if recipe.classes and not recipe.told_clusters and empty:
        named = ", ".join(printable(images.class_names[i]) for i in empty[:10])
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        yield f"no image is of {'class' if len(empty) == 1 else 'classes'} {named}{more}: not to be learned"
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


def _create(directory: RunDirectory, record: RunRecord, told: ImageSet) -> None:
    """Begin the run, where another may have been: it stays a run at every moment."""
    with storage_errors(str(directory.path)):
        for old in directory.path.iterdir():
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            elif old.name not in (".lock", directory.record_file.name, directory.clusters.name):
                old.unlink()
        directory.clusters.unlink(missing_ok=True)  # last: with the rest gone, no checkpoint needs it
    directory.write(record)
    if record.clusters is not None:
        write_clusters(directory, told)
    with storage_errors(str(directory.path)):
        directory.samples.mkdir()
        directory.checkpoints.mkdir()

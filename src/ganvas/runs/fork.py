"""A fork: a new run that continues from another run's checkpoint, with changed settings recorded.

The parent is left as it is. The fork has its history up to that step: log lines, grids, and the checkpoint
under the new recipe; after that it is a run like any other.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ganvas.callbacks.base import Callback
from ganvas.data.batches import steps_per_epoch
from ganvas.errors import RunError, UserError
from ganvas.recipes.schema import Recipe
from ganvas.runs.common import (
    collect_overrides,
    creation_info,
    load_callbacks,
    make_batches,
    validate_seed,
)
from ganvas.runs.conditioning import restore_conditioning
from ganvas.runs.directory import ForkRecord, RunDirectory, RunRecord
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.networks import StepChoice
from ganvas.runs.options import ForkOptions, ResumeOptions
from ganvas.runs.overwrite import remove_killed_forks
from ganvas.runs.resume import device_of, reload_data, resume_from_options
from ganvas.runs.run import Run
from ganvas.training import checkpoint
from ganvas.utils import devices, memory
from ganvas.utils.io import IrregularFileError, open_regular, storage_errors

_FIXED = ("split", "data", "image_size", "data_order")  # what the run is trained on stays as it is
_MAX_COPIED_BYTES = 2**30  # of one file of the parent's history
_NETWORKS = ("generator", "discriminator", "latent", "classes", "condition_on", "pixel_range")


def fork(
    run: str | os.PathLike[str],
    *,
    step: int | str = "best",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | Path | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
    device: str = "auto",
    tensorboard: bool | None = None,
    health: str | None = None,
    quiet: bool = False,
    callbacks: Sequence[Callback | str] = (),
    command: str | None = None,
) -> Run:
    """Train a new run that continues from a checkpoint of another, with changed settings or a new seed.

    Args:
        run: the run, or its directory, to start from; it is left as it is.
        step: the checkpoint: a step's number, "best" or "newest".
        out: the new run directory; `<run>-from-<step>` where None.
        overrides: recipe keys to change, by their path.
        seed: of all randomness from there on; the run's own where None.
        epochs: a new length of the whole run, in epochs.
        steps: the same in steps.
        data: where the data set is now, if it has moved; it must be the same images.
        mmap_threshold: as in `train`.
        device: as in `resume`.
        tensorboard: turn TensorBoard on or off.
        health: "warn", "stop" or "off".
        quiet: show nothing.
        callbacks: as in `train`.
        command: recorded as the command that made the fork.

    Raises:
        UserError: no such checkpoint, settings that need other networks, a directory that is taken.
        MachineError: as `train`.
    """
    return fork_from_options(ForkOptions(**locals()))


def fork_from_options(o: ForkOptions) -> Run:
    """`fork`, with its parameters in one object."""
    changed = collect_overrides(o.overrides, o.epochs, o.steps, tensorboard=o.tensorboard, health=o.health)
    callbacks = load_callbacks(o.callbacks)
    parent = Run.open(o.run)
    # Refuse what the fork could not train on before anything of it is written.
    device = device_of(parent.record, o.device)
    images = reload_data(parent.record, o.data, o.mmap_threshold)
    recipe = parent.recipe.with_overrides(changed)
    check_same_networks(parent.recipe, recipe)
    labels = restore_conditioning(parent.directory, parent.record, images, began=True)
    make_batches(recipe, images, labels, parent.record.seed, device)
    info = creation_info(o.command or f"ganvas.fork({os.fspath(o.run)!r}, step={o.step!r}, ...)")
    directory = new_fork(parent, o.step, o.out, changed, seed=validate_seed(o.seed), info=info)
    options = ResumeOptions(
        run=directory.path, data=o.data, mmap_threshold=o.mmap_threshold, device=o.device, quiet=o.quiet,
        callbacks=callbacks,
    )  # fmt: skip
    return resume_from_options(options, images)


def new_fork(
    run: Run,
    step: StepChoice,
    out: str | Path | None,
    overrides: Mapping[str, Any],
    *,
    seed: int | None = None,
    info: Mapping[str, str],
) -> RunDirectory:
    """Make the fork's directory, ready for `resume`.

    Args:
        run: the run to continue from.
        step: which checkpoint of it; see `Run.resolve_step`.
        out: the new run directory; `<run>-from-<step>` where None.
        overrides: recipe keys to change, by their path.
        seed: of all randomness from there on; the run's own where None.
        info: what `run.json` says of how it was made: its `command`, `created` and `ganvas`.

    Raises:
        UserError: no such checkpoint, settings that need other networks, a directory that is taken.
    """
    number = run.resolve_step(step)
    recipe = run.recipe.with_overrides(overrides)
    check_same_networks(run.recipe, recipe)
    record = _forked_record(run, number, recipe, overrides, seed).model_copy(update=dict(info))
    path = Path(out).expanduser().resolve() if out else _free_name(run.path.resolve(), number)
    if os.path.lexists(path):
        raise RunError(f"out {path} exists: a fork needs a new directory")
    with devices.memory_errors():
        folder = checkpoint.checkpoint_path(run.directory.checkpoints, number)
        state = checkpoint.load(folder, record.data.image_shape, torch.device("cpu"), recipe)
    partial = RunDirectory(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial"))
    with storage_errors(str(path)):
        try:
            partial.path.mkdir(parents=True)
            remove_killed_forks(path.parent)
            with exclusive_lock(partial.path):  # so that no other fork takes it for one that was killed
                partial.samples.mkdir()
                checkpoint.save(partial.checkpoints, state, recipe)
                _copy_history(run.directory, partial, number)
                partial.write(record)
                if os.name != "nt":
                    partial.path.rename(path)
            if os.name == "nt":  # Windows renames no folder in which a file is open
                partial.path.rename(path)
        except BaseException:
            shutil.rmtree(partial.path, ignore_errors=True)
            raise
    return RunDirectory(path)


def _forked_record(
    run: Run, step: int, recipe: Recipe, overrides: Mapping[str, Any], seed: int | None
) -> RunRecord:
    """The content of the fork's `run.json`, but for how it was made.

    Raises:
        UserError: it would end before it begins.
    """
    parent = run.record
    epoch = steps_per_epoch(
        parent.data.images,
        recipe.real_batch_size,
        recipe.data_order.order,
        recipe.data_order.drop_last,
        recipe.batch_size,
    )
    precision = recipe.precision if "precision" in overrides else parent.precision
    device = torch.device("cuda" if parent.machine.get("device") == "cuda" else "cpu")
    changed = dict(overrides) if seed is None else {**overrides, "seed": seed}
    record = parent.model_copy(
        update={
            "recipe": recipe,
            "steps_per_epoch": epoch,
            "precision": devices.resolve_precision(precision, device),
            "seed": parent.seed if seed is None else seed,
            "fork": ForkRecord(parent=str(run.path.resolve()), step=step, overrides=changed),
        }
    )
    if record.steps <= step:
        raise UserError(
            f"the fork would begin at step {step} and end at {recipe.length}: give a longer length, in steps "
            f"or epochs"
        )
    return record


def check_same_networks(before: Recipe, after: Recipe) -> None:
    """Refuse changes of networks or data: a checkpoint fits only the networks that it was saved from.

    Raises:
        UserError: it names the key that cannot be changed.
    """
    for name in _FIXED:
        if getattr(before, name) != getattr(after, name):
            raise UserError(f"a fork continues on the same data: {name} cannot be changed; train a new run")
    for name in _NETWORKS:
        old, new = getattr(before, name), getattr(after, name)
        # Dropout and the rule of initialization may change: neither changes the tensors.
        if name in ("generator", "discriminator"):
            free = {"dropout": None, "init": None}
            old, new = (
                spec.model_copy(update={k: v for k, v in free.items() if k in type(spec).model_fields})
                for spec in (old, new)
            )
        if old != new:
            raise UserError(
                f"a fork continues with the same networks: {name} cannot be changed; train a new run instead"
            )


def _copy_history(parent: RunDirectory, child: RunDirectory, step: int) -> None:
    for file in parent.sample_files():
        if int(file.stem) <= step:
            _copy(file, child.samples / file.name)
    for source, target in ((parent.clusters, child.clusters), (parent.metrics, child.metrics)):
        if os.path.lexists(source):
            _copy(source, target)  # of the log, resuming cuts off what lies after the step


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            open_regular(source, limit=_MAX_COPIED_BYTES, follow_links=False) as content,
            target.open("xb") as file,
        ):
            shutil.copyfileobj(content, file)
    except IrregularFileError as error:
        raise RunError(f"cannot read {source}: {error.strerror}") from None


def _free_name(path: Path, step: int) -> Path:
    name = f"{path.name}-from-{step}"
    free, number = path.with_name(name), 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{name}-{number}")
    return free

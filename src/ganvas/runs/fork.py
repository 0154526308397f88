"""A fork: a new run that continues from another run's checkpoint, with changed settings recorded.

The parent is left as it is. The fork has its history up to that step: log lines, grids, and the checkpoint
under the new recipe; after that it is a run like any other.
"""

from __future__ import annotations

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
from ganvas.runs.directory import ForkRecord, RunDirectory
from ganvas.runs.options import ForkOptions
from ganvas.runs.resume import device_of, reload_data, resume
from ganvas.runs.run import Run, StepChoice
from ganvas.training import checkpoint
from ganvas.utils import devices, memory
from ganvas.utils.io import storage_errors, write_bytes

_FIXED = ("split", "data", "image_size", "data_order")  # what the run is trained on stays as it is
_NETWORKS = ("generator", "discriminator", "latent", "classes", "condition_on", "pixel_range")


def fork(
    run: str | Path,
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
        run: the run directory to start from; it is left as it is.
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
    return fork_from_options(
        ForkOptions(
            run=run,
            step=step,
            out=out,
            overrides=overrides,
            seed=seed,
            epochs=epochs,
            steps=steps,
            data=data,
            mmap_threshold=mmap_threshold,
            device=device,
            tensorboard=tensorboard,
            health=health,
            quiet=quiet,
            callbacks=callbacks,
            command=command,
        )
    )


def fork_from_options(o: ForkOptions) -> Run:
    """`fork`, with its parameters in one object."""
    changed = collect_overrides(o.overrides, o.epochs, o.steps, tensorboard=o.tensorboard, health=o.health)
    callbacks = load_callbacks(o.callbacks)
    parent = Run.open(o.run)
    # Refuse what the fork could not train on before anything of it is written.
    target = device_of(parent.record, o.device)
    images = reload_data(parent.record, o.data, o.mmap_threshold)
    recipe = parent.recipe.with_overrides(changed)
    check_same_networks(parent.recipe, recipe)
    conditioned = restore_conditioning(parent.directory, parent.record, images, began=True)
    make_batches(recipe, conditioned, parent.record.seed, target)
    made = creation_info(o.command or f"ganvas.fork({str(o.run)!r}, step={o.step!r}, ...)")
    directory = new_fork(parent, o.step, o.out, changed, seed=validate_seed(o.seed), made=made)
    return resume(
        directory.path, data=o.data, mmap_threshold=o.mmap_threshold, device=o.device, quiet=o.quiet,
        callbacks=callbacks,
    )  # fmt: skip


def new_fork(
    run: Run,
    step: StepChoice,
    out: str | Path | None,
    overrides: Mapping[str, Any],
    *,
    seed: int | None = None,
    made: Mapping[str, Any],
) -> RunDirectory:
    """Make the fork's directory, ready for `resume`.

    Args:
        run: the run to continue from.
        step: which checkpoint of it; see `Run.chosen_step`.
        out: the new run directory; `<run>-from-<step>` where None.
        overrides: recipe keys to change, by their path.
        seed: of all randomness from there on; the run's own where None.
        made: what `run.json` says of how it was made: its `command`, `created` and `ganvas`.

    Raises:
        UserError: no such checkpoint, settings that need other networks, a directory that is taken.
    """
    number = run.resolve_step(step)
    recipe = run.recipe.with_overrides(overrides)
    check_same_networks(run.recipe, recipe)
    record = run.record
    epoch = steps_per_epoch(
        record.data.images,
        recipe.real_batch_size,
        recipe.data_order.order,
        recipe.data_order.drop_last,
        recipe.batch_size,
    )
    if record.model_copy(update={"recipe": recipe, "steps_per_epoch": epoch}).steps <= number:
        raise UserError(
            f"the fork would begin at step {number} and end at {recipe.length}: give a longer length "
            f"(--steps or --epochs)"
        )
    path = Path(out).expanduser().resolve() if out else _free_name(run.path.resolve(), number)
    if path.exists():
        raise RunError(f"--out {path} exists: a fork needs a new directory")
    changed = dict(overrides)
    if seed is not None:
        changed["seed"] = seed
    cpu = torch.device("cpu")
    with devices.memory_errors():
        folder = checkpoint.checkpoint_path(run.directory.checkpoints, number)
        state = checkpoint.load(folder, record.data.image_shape, cpu, recipe)
    kind = recipe.precision if "precision" in overrides else record.precision
    device = torch.device(str(record.machine.get("device", "cpu")))
    forked = record.model_copy(
        update={
            "recipe": recipe,
            "steps_per_epoch": epoch,
            "precision": devices.resolve_precision(kind, device),
            "seed": record.seed if seed is None else seed,
            "fork": ForkRecord(parent=str(run.path.resolve()), step=number, overrides=changed),
            **made,
        }
    )
    aside = RunDirectory(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial"))
    with storage_errors(str(path)):
        try:
            aside.samples.mkdir(parents=True)
            checkpoint.save(aside.checkpoints, state, recipe)
            _copy_history(run.directory, aside, number)
            aside.write(forked)
            aside.path.rename(path)
        except BaseException:
            shutil.rmtree(aside.path, ignore_errors=True)
            raise
    return RunDirectory(path)


def check_same_networks(before: Recipe, after: Recipe) -> None:
    """Weights can only go on in the networks that they belong to, on the data that these have seen.

    Raises:
        UserError: the key that cannot be another.
    """
    for name in _FIXED:
        if getattr(before, name) != getattr(after, name):
            raise UserError(f"a fork continues on the same data: {name} cannot be changed; train a new run")
    for name in _NETWORKS:
        old, new = getattr(before, name), getattr(after, name)
        # Dropout and the rule for first weights may change: neither changes the tensors.
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
            write_bytes(child.samples / file.name, file.read_bytes())
    if parent.clusters.exists():
        write_bytes(child.clusters, parent.clusters.read_bytes())
    if parent.metrics.exists():
        shutil.copyfile(parent.metrics, child.metrics)  # resuming cuts off what lies after the step


def _free_name(path: Path, step: int) -> Path:
    name = f"{path.name}-from-{step}"
    found, number = path.with_name(name), 1
    while found.exists():
        number += 1
        found = path.with_name(f"{name}-{number}")
    return found

"""A branch: a new run that goes on from another run's checkpoint, with changed settings recorded.

The run it came from is left as it is. The branch has its history up to that step: log lines, grids, and
the checkpoint under the new recipe; after that it is a run like any other.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganvas import devices
from ganvas.data.batches import steps_per_epoch
from ganvas.errors import RunError, UserError
from ganvas.files import storage_errors, write_bytes
from ganvas.recipe import Recipe
from ganvas.run import Run, Step
from ganvas.rundir import Branch, RunDirectory
from ganvas.training import checkpoint

_FIXED = ("split", "data", "image_size", "sampling")  # what the run is trained on stays as it is
_NETWORKS = ("generator", "discriminator", "latent", "classes", "classes_from", "pixel_range")


def new_branch(
    run: Run,
    step: Step,
    out: str | Path | None,
    settings: Mapping[str, Any],
    *,
    seed: int | None = None,
    made: Mapping[str, Any],
) -> RunDirectory:
    """Make the branch's directory, ready for `launch.resume`.

    Args:
        run: the run to go on from.
        step: which checkpoint of it; see `Run.chosen_step`.
        out: the new run directory; `<run>-from-<step>` where None.
        settings: recipe keys to change, by their path.
        seed: of all randomness from there on; the run's own where None.
        made: what `run.json` says of how it was made: its `command`, `created` and `ganvas`.

    Raises:
        UserError: no such checkpoint, settings that need other networks, a directory that is taken.
    """
    number = run.chosen_step(step)
    recipe = run.recipe.changed(settings)
    check_networks(run.recipe, recipe)
    record = run.record
    epoch = steps_per_epoch(
        record.data.images,
        recipe.real_batch,
        recipe.sampling.order,
        recipe.sampling.partial_batch,
        recipe.batch_size,
    )
    if record.model_copy(update={"recipe": recipe, "steps_per_epoch": epoch}).steps <= number:
        raise UserError(
            f"the branch would begin at step {number} and end at {recipe.length}: give a longer length with "
            f"--steps or --epochs"
        )
    path = Path(out).expanduser().resolve() if out else _free_name(run.path.resolve(), number)
    if path.exists():
        raise RunError(f"--out {path} exists: a branch needs a new directory")
    changed = dict(settings)
    if seed is not None:
        changed["seed"] = seed
    cpu = torch.device("cpu")
    with devices.memory_errors():
        folder = checkpoint.folder_of(run.directory.checkpoints, number)
        state = checkpoint.load(folder, record.data.image_shape, cpu, recipe)
    kind = recipe.precision if "precision" in settings else record.precision
    device = torch.device(str(record.machine.get("device", "cpu")))
    branch = record.model_copy(
        update={
            "recipe": recipe,
            "steps_per_epoch": epoch,
            "precision": devices.precision(kind, device),
            "seed": record.seed if seed is None else seed,
            "branch": Branch(parent=str(run.path.resolve()), step=number, changed=changed),
            **made,
        }
    )
    aside = RunDirectory(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial"))
    with storage_errors(str(path)):
        try:
            aside.samples.mkdir(parents=True)
            checkpoint.save(aside.checkpoints, state, recipe)
            _copy_history(run.directory, aside, number)
            aside.write(branch)
            aside.path.rename(path)
        except BaseException:
            shutil.rmtree(aside.path, ignore_errors=True)
            raise
    return RunDirectory(path)


def check_networks(before: Recipe, after: Recipe) -> None:
    """Weights can only go on in the networks that they belong to, on the data that these have seen.

    Raises:
        UserError: the key that cannot be another.
    """
    for name in _FIXED:
        if getattr(before, name) != getattr(after, name):
            raise UserError(
                f"a branch goes on with the data it finds: {name} cannot be changed in it; train a new run"
            )
    for name in _NETWORKS:
        old, new = getattr(before, name), getattr(after, name)
        # Dropout and the rule for first weights may change: neither changes the tensors.
        if name in ("generator", "discriminator"):
            free = {"dropout": None, "weights": None}
            old, new = (
                spec.model_copy(update={k: v for k, v in free.items() if k in type(spec).model_fields})
                for spec in (old, new)
            )
        if old != new:
            raise UserError(
                f"a branch goes on with the networks it finds: {name} cannot be changed in it; train a new "
                f"run instead"
            )


def _copy_history(parent: RunDirectory, branch: RunDirectory, step: int) -> None:
    for file in parent.sample_files():
        if int(file.stem) <= step:
            write_bytes(branch.samples / file.name, file.read_bytes())
    if parent.clusters.exists():
        write_bytes(branch.clusters, parent.clusters.read_bytes())
    if parent.metrics.exists():
        shutil.copyfile(parent.metrics, branch.metrics)  # resuming cuts off what lies after the step


def _free_name(path: Path, step: int) -> Path:
    name = f"{path.name}-from-{step}"
    found, number = path.with_name(name), 1
    while found.exists():
        number += 1
        found = path.with_name(f"{name}-{number}")
    return found

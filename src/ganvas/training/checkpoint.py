"""Checkpoints: whole or not there, checked when read, no pickle.

A checkpoint is a folder `checkpoints/<step>/` of safetensors files and `state.json`, which holds the
recipe, the step and every file's SHA-256. It is written into a folder beside it, flushed to the disk and
renamed: a process killed at any moment leaves the old checkpoints and perhaps a folder that nothing
reads.

Hashes tell damage, not nonsense: whoever writes a file can write its hash. So what is read is checked too:
regular files of a bounded size; values of the right type and range; tensors of the names, dtypes and shapes
of the recipe's networks and optimizers, with finite numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from ganvas.errors import NewerFormatError, RecipeError, RunError, shorten
from ganvas.networks import ImageShape
from ganvas.recipes.schema import Recipe, parse_recipe
from ganvas.training.state import TrainState, new_state
from ganvas.utils.config import FrozenConfig
from ganvas.utils.io import fsync_folder, open_regular, read_regular, storage_errors, write_and_sync
from ganvas.utils.tensor_files import deserialize, largest_file, serialize

FORMAT = 1
_ASIDE = ".partial"
_MAX_STATE_BYTES = 2**20
_INSTEAD = "; remove this folder to take the checkpoint before it"
_File = Annotated[str, Field(pattern=r"^(generator|generator_ema|discriminator)(_optimizer)?\.safetensors$")]
_Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]


class Digest(FrozenConfig):
    """The size and the SHA-256 of a file."""

    bytes: _Count
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class OptimizerSteps(FrozenConfig):
    """Steps that each optimizer has taken."""

    generator: _Count
    discriminator: _Count


class CheckpointState(FrozenConfig):
    """What `state.json` says; `recipe` is checked by `trained_recipe`."""

    format: int = Field(strict=True, ge=1, le=FORMAT)
    step: _Count
    images_seen: _Count
    adaptive: tuple[Annotated[float, Field(ge=0, le=1)], float, Annotated[float, Field(ge=0)]] | None
    averaged: _Count
    optimizer_steps: OptimizerSteps
    recipe: dict[str, Any]
    files: dict[_File, Digest]


def checkpoint_path(checkpoints: Path, step: int) -> Path:
    """The folder of the checkpoint of `step`."""
    return checkpoints / f"{step:08d}"


def saved_steps(checkpoints: Path) -> list[int]:
    """Steps that have a checkpoint, oldest first."""
    if not checkpoints.is_dir():
        return []
    folders = (p for p in checkpoints.iterdir() if p.name.isascii() and p.name.isdecimal() and p.is_dir())
    return sorted(int(p.name) for p in folders if p == checkpoint_path(checkpoints, int(p.name)))


def save(checkpoints: Path, state: TrainState, recipe: Recipe) -> Path:
    """Write the checkpoint of `state` and return its folder.

    Raises:
        StorageError: the disk is full or may not be written; older checkpoints are untouched.
    """
    final = checkpoint_path(checkpoints, state.step)
    aside = checkpoints / f"{_ASIDE}-{final.name}-{os.getpid()}"
    with storage_errors(f"checkpoint {final}"):
        try:
            aside.mkdir(parents=True, exist_ok=True)
            files = {}
            for name, tensors in _tensors(state).items():
                content = serialize(tensors)
                write_and_sync(aside / name, content, durable=True)
                files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            text = json.dumps(_checksummed(state, recipe, files), indent=2)
            write_and_sync(aside / "state.json", text.encode(), durable=True)
            fsync_folder(aside)
            if final.exists() or final.is_symlink():  # only a damaged one is ever saved again
                _discard(final)
            aside.rename(final)
            fsync_folder(checkpoints)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return final


def load(
    folder: Path, image_shape: ImageShape, device: torch.device, recipe: Recipe | None = None
) -> TrainState:
    """Read a checkpoint, every file checked against its hash.

    Args:
        folder: the checkpoint.
        image_shape: (C, H, W).
        device: of the state.
        recipe: another recipe to continue with, of the same networks; a newly asked-for EMA starts at the
            generator's parameters.

    Raises:
        RunError: damaged, edited, or of a newer format; the line says which file and how.
    """
    saved, trained = read_state(folder), trained_recipe(folder)
    state = new_state(recipe or trained, image_shape, 0, device)
    _restore(state.generator, folder, "generator.safetensors", saved)
    _restore(state.discriminator, folder, "discriminator.safetensors", saved)
    if state.ema is not None:
        name = "generator" if trained.ema is None else "generator_ema"
        _restore(state.ema.module, folder, f"{name}.safetensors", saved)
        state.ema.n_averaged.fill_(saved.averaged)
    for player, steps in saved.optimizer_steps:
        optimizer = getattr(state, f"{player}_optimizer")
        tensors = _read_tensors(folder, f"{player}_optimizer.safetensors", saved, optimizer.expected(steps))
        optimizer.load_state_tensors(tensors, steps)
    if state.adaptive is not None and saved.adaptive is not None:
        state.adaptive.copy_(torch.tensor(saved.adaptive))
    state.step, state.images_seen = saved.step, saved.images_seen
    return state


def load_network(folder: Path, name: str, network: nn.Module) -> None:
    """Fill one network from a checkpoint: `name` is "generator", "generator_ema" or "discriminator".

    Raises:
        RunError: as `load`.
    """
    _restore(network, folder, f"{name}.safetensors", read_state(folder))


def load_weights(file: Path, network: nn.Module) -> None:
    """Fill a network from one safetensors file, as a recipe with `generator_interval` saves them.

    Raises:
        RunError: no such file, damaged, or of another network.
    """
    expected = network.state_dict()
    try:
        content = read_regular(file, limit=largest_file(expected), follow_links=False)
        network.load_state_dict(deserialize(content, expected))
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from None


def verify(folder: Path) -> None:
    """Check every file of a checkpoint against its hash.

    Raises:
        RunError: one is damaged or missing; the line says which and how.
    """
    for name, digest in read_state(folder).files.items():
        try:
            with open_regular(folder / name, limit=digest.bytes, follow_links=False) as stream:
                _check_digest(folder, name, digest, os.fstat(stream.fileno()).st_size, _sha256(stream))
        except OSError as error:
            raise _damaged(folder, f"{name}: {error.strerror}") from None


def latest_valid(checkpoints: Path) -> tuple[Path, list[str]]:
    """The newest checkpoint whose every file is whole, and one line for each newer one that is not.

    Raises:
        RunError: there is none.
    """
    notes: list[str] = []
    for step in reversed(saved_steps(checkpoints)):
        folder = checkpoint_path(checkpoints, step)
        try:
            verify(folder)
        except NewerFormatError:
            raise
        except RunError as error:
            notes.append(f"{error}; falling back to the one before it")
            continue
        return folder, notes
    if notes:
        raise RunError(f"no checkpoint in {checkpoints} is whole: {notes[0].partition(';')[0]}")
    raise RunError(f"no checkpoint in {checkpoints} yet: the run stopped before its first save")


def prune(checkpoints: Path, newest: int, keep_every: int | None, kept: Collection[int | None] = ()) -> None:
    """Remove all but the `newest` checkpoints, those at multiples of `keep_every`, and those in `kept`.

    The step just saved must be in `kept`: after a fallback, damaged ones of later steps may lie beside it.
    """
    for step in saved_steps(checkpoints)[:-newest]:
        if step not in kept and (keep_every is None or step % keep_every):
            folder = checkpoint_path(checkpoints, step)
            with storage_errors(f"checkpoint {folder}"):
                _discard(folder)


def _discard(folder: Path) -> None:
    """Rename, then delete: a process killed in between leaves no half checkpoint by a good name."""
    doomed = folder.with_name(f"{_ASIDE}-{folder.name}-old")
    folder.rename(doomed)
    _remove(doomed)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():  # never what a link leads to
        shutil.rmtree(path)
    else:  # of a named pipe, rmtree would wait for a writer
        path.unlink()


def remove_partial(checkpoints: Path) -> None:
    """Remove what killed processes left behind."""
    if checkpoints.is_dir():
        for leftover in checkpoints.glob(f"{_ASIDE}-*"):
            with contextlib.suppress(OSError):
                _remove(leftover)


def read_state(folder: Path) -> CheckpointState:
    """The checkpoint's `state.json`: checksum, format, and every value of the right type and range.

    Raises:
        RunError: missing, damaged, edited, nonsense, or of a newer format.
    """
    if folder.is_symlink():
        raise _damaged(folder, "it is a symbolic link, expected a folder")
    try:
        content = read_regular(folder / "state.json", limit=_MAX_STATE_BYTES, follow_links=False)
        values = json.loads(content)
        version, checksum = values["format"], values.pop("checksum", None)
        whole = checksum == _checksum(values)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        text = shorten(getattr(error, "strerror", None) or str(error))
        raise _damaged(folder, f"state.json cannot be read ({text})") from None
    if isinstance(version, int) and version > FORMAT:
        raise NewerFormatError(
            f"checkpoint {folder} has format {shorten(repr(version))}, this ganvas reads up to {FORMAT}: "
            f"update ganvas (pip install -U ganvas)"
        )
    if not whole:
        raise _damaged(folder, "state.json was edited or is incomplete")
    try:
        state = CheckpointState.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = shorten(".".join(map(str, first["loc"])))
        raise _damaged(folder, f"state.json: {key}: {first['msg'].removeprefix('Value error, ')}") from None
    if checkpoint_path(folder.parent, state.step) != folder:
        raise _damaged(folder, f"state.json is of step {state.step}")
    return state


def trained_recipe(folder: Path) -> Recipe:
    """The recipe that a checkpoint was trained with.

    Raises:
        RunError: as `read_state`, or its recipe is none.
    """
    try:
        return parse_recipe(read_state(folder).recipe)
    except RecipeError as error:
        raise _damaged(folder, f"state.json: {error}{_INSTEAD}") from None


def _tensors(state: TrainState) -> dict[str, Mapping[str, Tensor]]:
    """What each file holds."""
    content: dict[str, Mapping[str, Tensor]] = {
        "generator.safetensors": state.generator.state_dict(),
        "discriminator.safetensors": state.discriminator.state_dict(),
        "generator_optimizer.safetensors": state.generator_optimizer.state_tensors(),
        "discriminator_optimizer.safetensors": state.discriminator_optimizer.state_tensors(),
    }
    if state.ema is not None:
        content["generator_ema.safetensors"] = state.ema.module.state_dict()
    return content


def _checksummed(state: TrainState, recipe: Recipe, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    values = {
        "format": FORMAT,
        "step": state.step,
        "images_seen": state.images_seen,
        "adaptive": None if state.adaptive is None else state.adaptive.tolist(),
        "averaged": 0 if state.ema is None else int(state.ema.n_averaged),
        "optimizer_steps": {
            "generator": state.generator_optimizer.steps,
            "discriminator": state.discriminator_optimizer.steps,
        },
        "recipe": recipe.model_dump(mode="json"),
        "files": files,
    }
    return values | {"checksum": _checksum(values)}


def _checksum(values: dict[str, Any]) -> str:
    """SHA-256 of the values: against damage and slips of the editor, not against forgery."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _sha256(stream: BinaryIO) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _check_digest(folder: Path, name: str, digest: Digest, size: int, sha256: str) -> None:
    if size != digest.bytes:
        raise _damaged(folder, f"{name} has {size} bytes of {digest.bytes}")
    if sha256 != digest.sha256:
        raise _damaged(folder, f"{name} is not what was saved (its SHA-256 differs)")


def _read_tensors(
    folder: Path, name: str, state: CheckpointState, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    digest = state.files.get(name)
    if digest is None:
        raise _damaged(folder, f"{name} is missing from its list of files")
    try:
        content = read_regular(folder / name, limit=largest_file(expected), follow_links=False)
        _check_digest(folder, name, digest, len(content), hashlib.sha256(content).hexdigest())
        return deserialize(content, expected)
    except OSError as error:
        raise _damaged(folder, f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise _damaged(folder, f"{name}: {error}{_INSTEAD}") from None


def _restore(network: nn.Module, folder: Path, name: str, state: CheckpointState) -> None:
    network.load_state_dict(_read_tensors(folder, name, state, network.state_dict()))


def _damaged(folder: Path, how: str) -> RunError:
    return RunError(f"checkpoint {folder} is damaged: {how}")

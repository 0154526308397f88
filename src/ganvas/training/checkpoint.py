"""Checkpoints: whole or not there, checked when read, no pickle.

A checkpoint is a folder `checkpoints/<step>/` of safetensors files and `state.json`, which holds the
recipe, the step and every file's SHA-256. It is written into a folder beside it, flushed to the disk and
renamed: a process killed at any moment leaves the old checkpoints and perhaps a folder that nothing
reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ganvas.errors import NewerFormatError, RunError
from ganvas.networks import ImageShape
from ganvas.recipes.schema import Recipe, parse_recipe
from ganvas.training.state import TrainState, new_state
from ganvas.utils.io import fsync_folder, storage_errors, write_and_sync

FORMAT = 1
_ASIDE = ".partial"


def checkpoint_path(checkpoints: Path, step: int) -> Path:
    """The folder of the checkpoint of `step`."""
    return checkpoints / f"{step:08d}"


def saved_steps(checkpoints: Path) -> list[int]:
    """Steps that have a checkpoint, oldest first."""
    if not checkpoints.is_dir():
        return []
    found = (p for p in checkpoints.iterdir() if p.name.isascii() and p.name.isdecimal() and p.is_dir())
    return sorted(int(p.name) for p in found if p == checkpoint_path(checkpoints, int(p.name)))


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
                content = safetensors.torch.save(tensors)
                write_and_sync(aside / name, content, durable=True)
                files[name] = _digest(content)
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
    values = read_state(folder)
    trained = parse_recipe(values["recipe"])
    state = new_state(recipe or trained, image_shape, 0, device)
    averaged = "generator_ema.safetensors"
    names = [name for name in _tensors(state) if name != averaged or trained.ema is not None]
    tensors = {name: _read_tensors(folder, name, values["files"]) for name in names}
    _restore(state.generator, tensors["generator.safetensors"], folder)
    _restore(state.discriminator, tensors["discriminator.safetensors"], folder)
    if state.ema is not None:
        _restore(state.ema.module, tensors.get(averaged, tensors["generator.safetensors"]), folder)
        state.ema.n_averaged.fill_(values["averaged"])
    for player in ("generator", "discriminator"):
        optimizer = getattr(state, f"{player}_optimizer")
        try:
            moments = tensors[f"{player}_optimizer.safetensors"]
            optimizer.load_state_tensors(moments, values["optimizer_steps"][player])
        except (KeyError, RuntimeError) as error:
            raise _damaged(folder, f"{player}_optimizer.safetensors: {error}") from None
    if state.adaptive is not None and values.get("adaptive"):
        state.adaptive.copy_(torch.tensor(values["adaptive"]))
    state.step, state.images_seen = values["step"], values["images_seen"]
    return state


def load_network(folder: Path, name: str, network: nn.Module) -> None:
    """Fill one network from a checkpoint: `name` is "generator", "generator_ema" or "discriminator".

    Raises:
        RunError: as `load`.
    """
    file = f"{name}.safetensors"
    _restore(network, _read_tensors(folder, file, read_state(folder)["files"]), folder)


def load_weights(file: Path, network: nn.Module) -> None:
    """Fill a network from one safetensors file, as a recipe with `generator_interval` saves them.

    Raises:
        RunError: no such file, damaged, or of another network.
    """
    try:
        tensors = safetensors.torch.load(file.read_bytes())
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except safetensors.SafetensorError as error:
        raise RunError(f"{file} is damaged: no safetensors file ({error})") from None
    _restore(network, tensors, file)


def verify(folder: Path) -> None:
    """Check every file of a checkpoint against its hash.

    Raises:
        RunError: one is damaged or missing; the line says which and how.
    """
    for name, digest in read_state(folder)["files"].items():
        _checked(folder, name, digest)


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
    if path.is_symlink() or path.is_file():  # never what a link leads to
        path.unlink()
    else:
        shutil.rmtree(path)


def remove_partial(checkpoints: Path) -> None:
    """Remove what killed processes left behind."""
    if checkpoints.is_dir():
        for leftover in checkpoints.glob(f"{_ASIDE}-*"):
            with contextlib.suppress(OSError):
                _remove(leftover)


def read_state(folder: Path) -> dict[str, Any]:
    """The checkpoint's `state.json`, its checksum and format checked.

    Raises:
        RunError: missing, damaged, edited, or of a newer format.
    """
    try:
        values = json.loads((folder / "state.json").read_bytes())
        version = values["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, f"state.json cannot be read ({error})") from None
    if not isinstance(version, int) or version > FORMAT:
        raise NewerFormatError(
            f"checkpoint {folder} has format {version}, this ganvas reads up to {FORMAT}: "
            f"update ganvas (pip install -U ganvas)"
        )
    if values.pop("checksum", None) != _checksum(values):
        raise _damaged(folder, "state.json was edited or is incomplete")
    return dict(values)


def _tensors(state: TrainState) -> dict[str, dict[str, Tensor]]:
    """What each file holds, as contiguous tensors on the CPU."""
    content: dict[str, Mapping[str, Tensor]] = {
        "generator.safetensors": state.generator.state_dict(),
        "discriminator.safetensors": state.discriminator.state_dict(),
        "generator_optimizer.safetensors": state.generator_optimizer.state_tensors(),
        "discriminator_optimizer.safetensors": state.discriminator_optimizer.state_tensors(),
    }
    if state.ema is not None:
        content["generator_ema.safetensors"] = state.ema.module.state_dict()
    return {
        file: {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        for file, tensors in content.items()
    }


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


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _checked(folder: Path, name: str, digest: dict[str, Any]) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise _damaged(folder, f"{name}: {error.strerror}") from None
    if len(content) != digest["bytes"]:
        raise _damaged(folder, f"{name} has {len(content)} bytes of {digest['bytes']}")
    if _digest(content) != digest:
        raise _damaged(folder, f"{name} is not what was saved (its SHA-256 differs)")
    return content


def _read_tensors(folder: Path, name: str, files: dict[str, Any]) -> dict[str, Tensor]:
    if name not in files:
        raise _damaged(folder, f"{name} is missing from its list of files")
    content = _checked(folder, name, files[name])
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise _damaged(folder, f"{name} is no safetensors file ({error})") from None


def _restore(network: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise RunError(f"{where} is damaged: it does not fit the recipe's network ({first})") from None


def _damaged(folder: Path, how: str) -> RunError:
    return RunError(f"checkpoint {folder} is damaged: {how}")

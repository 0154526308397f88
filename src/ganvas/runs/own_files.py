"""What ganvas writes into a run directory, known by name: only that is ever moved, removed or trusted."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ganvas.errors import RunError, printable
from ganvas.utils.io import file_kind

RECORD = "run.json"
FOLDERS = ("samples", "checkpoints", "generators", "tensorboard")
CHECKPOINT_FILE = re.compile(r"state\.json|(generator|discriminator)(_ema|_optimizer)?\.safetensors")
PART = re.compile(r"\..+\.[a-z0-9_]{8}\.partial")  # as `atomic_write` names what it has not finished

_FILES = (
    "metrics.jsonl", "clusters.safetensors", "animation.gif", "evaluation.json", "neighbors.png",
    "neighbours.png",  # of format 1; codespell:ignore
    "report.html", "status.json", "control.json", "preview.png",
)  # fmt: skip
_NAMES = {
    "": re.compile("|".join([*map(re.escape, _FILES), PART.pattern])),
    "samples": re.compile(rf"\d{{8,}}\.png|{PART.pattern}"),
    "checkpoints": re.compile(r"\d{8,}|\.partial-\d{8,}-\w+"),
    "generators": re.compile(rf"epoch-\d{{4,}}\.safetensors|{PART.pattern}"),
    "tensorboard": re.compile(r"events\.out\.tfevents\..+"),
}


def own_entries(run: Path) -> Iterator[Path]:
    """The files and checkpoints that ganvas wrote, as paths relative to `run`; `run.json` comes last."""
    for folder, name in _NAMES.items():
        if is_real_folder(run / folder):
            entries = sorted(p.name for p in (run / folder).iterdir() if name.fullmatch(p.name))
            yield from (Path(folder, entry) for entry in entries)
    if os.path.lexists(run / RECORD):
        yield Path(RECORD)


def is_bare(run: Path) -> bool:
    """Whether the directory holds nothing but what a run that never began has left."""
    left = [path for path in run.iterdir() if path.name != ".lock" and not PART.fullmatch(path.name)]
    return all(p.name in FOLDERS[:2] and is_real_folder(p) and not any(p.iterdir()) for p in left)


def remove_parts(run: Path) -> None:
    """Remove the parts of files that killed processes left."""
    for entry in list(own_entries(run)):
        if PART.fullmatch(entry.name):
            (run / entry).unlink(missing_ok=True)


def check_kinds(run: Path) -> None:
    """Refuse links, and whatever else is no regular file or folder, in the place of a run's.

    Raises:
        RunError: the line names it.
    """
    for folder in FOLDERS:
        _check_folder(run / folder)
    for file in (RECORD, ".lock", *_FILES):
        _check_file(run / file)


def check_all(run: Path) -> None:
    """`check_kinds` of every single file; also refuse files in a checkpoint that ganvas did not write.

    Raises:
        RunError: the line names it.
    """
    check_kinds(run)
    for entry in own_entries(run):
        if entry.parent.name != "checkpoints":
            _check_file(run / entry)
            continue
        _check_folder(run / entry)
        for file in (run / entry).iterdir():
            _check_file(file)
            if not CHECKPOINT_FILE.fullmatch(file.name):
                raise RunError(
                    f"{run / entry}: expected a checkpoint, got {printable(file.name)} in it, which "
                    f"ganvas did not write; move it elsewhere"
                )


def is_real_folder(path: Path) -> bool:
    """Whether there is a folder at `path`, and no link to one."""
    with contextlib.suppress(OSError, ValueError):  # missing, a name too long, a null character
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _check_folder(path: Path) -> None:
    if os.path.lexists(path) and not is_real_folder(path):
        kind = file_kind(path.lstat())
        raise RunError(f"{path}: expected a folder of a run, got {kind}; replace it with the folder")


def _check_file(path: Path) -> None:
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        kind = file_kind(path.lstat())
        raise RunError(f"{path}: expected a file of a run, got {kind}; replace it with the file")

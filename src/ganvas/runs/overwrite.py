"""Where a new run goes, and replacing the run that is there (`overwrite`).

The old run stays whole until the new one has its first checkpoint. Only what ganvas wrote and knows by name
is moved or removed; whatever else lies in the directory stays. The old run's files pass through hidden
folders of the directory, one rename at a time:

    .replacing/        files on their way out or back; whoever comes next moves them back
    .replaced/         the whole old run, a run directory of its own, while the new one has no checkpoint
    .discarded-*/      what is no longer needed; whoever comes next deletes it

So a process killed at any moment leaves the old run or the new one whole, and `recover` finishes its work.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from ganvas.callbacks.base import Callback
from ganvas.errors import GanvasError, RunError
from ganvas.runs.directory import RunDirectory
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.own_files import CHECKPOINT_FILE, FOLDERS, is_bare, is_real_folder, own_entries
from ganvas.training import checkpoint
from ganvas.utils.io import fsync_folder, storage_errors

_PARTIAL_FORK = re.compile(r"\..+\.[0-9a-f]{8}\.partial")
_STALE_SECONDS = 24 * 3600
_HIDDEN = _REPLACING, _REPLACED, _DISCARDED = ".replacing", ".replaced", ".discarded-"


def free_directory(out: str | Path | None, name: str, *, overwrite: bool) -> RunDirectory:
    """The directory for a new run: `out`, or `runs/<name>` or the first free of `runs/<name>-2`, ...

    Raises:
        RunError: it is taken.
    """
    directory = RunDirectory(Path(out).expanduser() if out else _free_path(name))
    check_free(directory, overwrite=overwrite)
    return directory


def _free_path(name: str) -> Path:
    """`runs/<name>`, or the first of `runs/<name>-2`, ... that is not taken."""
    path, number = Path("runs") / name, 1
    while os.path.lexists(path):
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def check_free(directory: RunDirectory, *, overwrite: bool, data: str = "") -> None:
    """Refuse a directory that is taken.

    Args:
        directory: for a new run.
        overwrite: whether a run that is there may be replaced.
        data: the path of the new run's data set, once it is known.

    Raises:
        RunError: it holds a run (unless it may be overwritten), other files, or is a file.
    """
    path = directory.path
    if path.name.startswith(_HIDDEN):
        raise RunError(f"out {path}: expected another name, got one of a hidden folder of ganvas's own")
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise RunError(f"out {path}: expected a new directory, got a file or a link that leads nowhere")
    if _run_in(directory) is None:
        if is_bare(path):
            return
        raise RunError(f"out {path} holds other files and no run; choose a new directory")
    if not overwrite:
        raise RunError(
            f"{path} already holds a run: resume it (ganvas resume {directory.shell_path}), choose another "
            f"out, or replace it with overwrite"
        )
    check_replaceable(directory, data)


def check_replaceable(directory: RunDirectory, data: str = "") -> None:
    """Refuse to overwrite what is not certainly a run, or holds what must not be touched.

    An interrupted beginning, with run.json and perhaps without a checkpoint or grid, is a run.

    Raises:
        RunError: not a run that this ganvas knows; or the working directory, another run or files of the
            data set lie in it.
    """
    folder = directory.path
    held = _run_in(directory) or directory
    try:
        held.check_own()
    except RunError as error:
        raise type(error)(f"cannot overwrite {folder}: {error}; or choose another out") from None
    with contextlib.suppress(FileNotFoundError):  # a working directory that was deleted
        if lies_within(Path.cwd(), folder):
            raise _not_replaceable(folder, f"the working directory {Path.cwd()}", "change to another folder")
    other = _inner_run(folder)
    if other is not None:
        raise _not_replaceable(folder, f"another run, {other},", "move that elsewhere")
    if data and (lies_within(Path(data), folder) or _shares_files(Path(data), folder)):
        raise _not_replaceable(folder, f"files of the data set {data}", "move them elsewhere")


def _not_replaceable(folder: Path, what: str, remedy: str) -> RunError:
    return RunError(
        f"cannot overwrite {folder}: expected nothing but the run there, got {what} inside; {remedy}, or "
        f"choose another out"
    )


@contextlib.contextmanager
def replacing(directory: RunDirectory) -> Iterator[None]:
    """Set the run in `directory` aside, if there is one, while a new one begins in its place.

    If the new one fails before its first checkpoint, the old one is moved back, and the error says so. The
    caller holds the directory's lock and has called `check_free`.

    Raises:
        StorageError: the old run could not be set aside; it is where it was.
    """
    recover(directory)
    if replaced_run(directory) is not None:  # the run here came to no checkpoint: keep the one before it
        remove_own(directory)
    elif directory.record_path.exists():
        _set_aside(directory)
    try:
        yield
    except BaseException as error:
        old = replaced_run(directory)
        if old is None or checkpoint.saved_steps(directory.checkpoints):
            raise
        outcome = "the run that was here before is back"
        try:
            _restore(directory)
        except GanvasError as failed:
            outcome = f"the run that was here before is in {old.path} ({failed})"
        if isinstance(error, GanvasError):
            error.args = (f"{error}; {outcome}",)
        raise


class DiscardReplaced(Callback):
    """Deletes the run that was set aside after the first checkpoint of the one that replaces it."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def on_save(self, step: int, path: Path) -> None:
        """Delete it."""
        del step, path
        discard_replaced(self._directory)


def replaced_run(directory: RunDirectory) -> RunDirectory | None:
    """The run that the one in `directory` replaces, while that has no checkpoint; None if there is none."""
    old = RunDirectory(directory.path / _REPLACED)
    return old if is_real_folder(old.path) and old.is_certain() else None


def remove_killed_forks(folder: Path) -> None:
    """Remove what killed processes left of forks that were to lie in `folder`; those at work are locked.

    One that is still empty is left for a day: its process may be about to lock it.
    """
    paths: list[Path] = []
    with contextlib.suppress(OSError):  # a folder that may be entered and not listed
        paths = list(folder.iterdir())
    for path in paths:
        if not (_PARTIAL_FORK.fullmatch(path.name) and is_real_folder(path)):
            continue
        partial = RunDirectory(path)
        with contextlib.suppress(GanvasError, OSError):  # locked, or not ours to remove: left as it is
            locked_before = any(p.name != ".lock" for p in path.iterdir())
            if locked_before or time.time() - path.stat().st_mtime > _STALE_SECONDS:
                with exclusive_lock(path):
                    remove_own(partial)
                    (path / ".lock").unlink()
                _remove_empty(path)


def recover(directory: RunDirectory) -> None:
    """Finish what a killed process began: the old run is back, or the new one has replaced it.

    The caller holds the directory's lock.

    Raises:
        StorageError: a file could not be moved or deleted; the line names it.
    """
    if is_real_folder(directory.path / _REPLACING):
        _move_back(directory)
    if replaced_run(directory) is not None and not directory.record_path.exists():
        _restore(directory)
    discard_replaced(directory)
    _delete_discarded(directory)


def recover_for_reading(path: Path) -> None:
    """Put a run back that a killed process left half set aside, so that it can be opened.

    Raises:
        RunError: another process is replacing it now.
        StorageError: as `recover`.
    """
    directory = RunDirectory(path)
    halfway = is_real_folder(path / _REPLACING)
    if halfway or (is_real_folder(path / _REPLACED) and not directory.record_path.exists()):
        with exclusive_lock(path):
            recover(directory)


def discard_replaced(directory: RunDirectory) -> None:
    """Delete the run that was set aside, if the one that replaces it has a checkpoint.

    Raises:
        StorageError: a file could not be deleted; the line names it.
    """
    old = replaced_run(directory)
    if old is None or not checkpoint.saved_steps(directory.checkpoints):
        return
    with storage_errors(str(old.path)):
        old.path.rename(directory.path / f"{_DISCARDED}{uuid.uuid4().hex[:8]}")
        fsync_folder(directory.path)
    _delete_discarded(directory)


def lies_within(path: Path, folder: Path) -> bool:
    """Whether an existing path is `folder` or lies in it: links resolved, and however it is spelled."""
    path = Path(os.path.realpath(path))
    return os.path.lexists(path) and any(parent.samefile(folder) for parent in (path, *path.parents))


def _run_in(directory: RunDirectory) -> RunDirectory | None:
    """The folder that has the run.json: the directory, or where a killed process left the old run."""
    path = directory.path
    folders = (directory, RunDirectory(path / _REPLACED), RunDirectory(path / _REPLACING))
    return next((folder for folder in folders if os.path.lexists(folder.record_path)), None)


def _inner_run(folder: Path) -> Path | None:
    """The first folder below `folder` that has a run.json, other than a run that was set aside."""
    for parent, folders, files in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        elif "run.json" in files:
            return Path(parent)
    return None


def _shares_files(data: Path, folder: Path) -> bool:
    """Whether a data set that is a folder holds `folder`, or links that lead into it."""
    if not (os.path.lexists(data) and data.is_dir()):
        return False
    paths = (Path(parent, name) for parent, folders, files in os.walk(data) for name in (*folders, *files))
    return lies_within(folder, data) or any(p.is_symlink() and lies_within(p, folder) for p in paths)


def _set_aside(directory: RunDirectory) -> None:
    """Move the run into `.replaced`; a failure moves it back."""
    aside = directory.path / _REPLACING
    with storage_errors(f"{directory.path} (the run there stays as it was)"):
        try:
            aside.mkdir()
            for name in FOLDERS:
                if is_real_folder(directory.path / name):
                    (aside / name).mkdir()
            for entry in own_entries(directory.path):
                (directory.path / entry).rename(aside / entry)
            aside.rename(directory.path / _REPLACED)
            fsync_folder(directory.path)
        except BaseException:
            if is_real_folder(aside):
                _move_back(directory)
            raise


def _restore(directory: RunDirectory) -> None:
    """Remove the new run's beginning, and move the old run back."""
    remove_own(directory)
    with storage_errors(str(directory.path)):
        (directory.path / _REPLACED).rename(directory.path / _REPLACING)
    _move_back(directory)


def _move_back(directory: RunDirectory) -> None:
    path, aside = directory.path, RunDirectory(directory.path / _REPLACING)
    with storage_errors(f"{path} (the rest of its run is in {aside.path})"):
        for name in FOLDERS:
            if is_real_folder(aside.path / name):
                (path / name).mkdir(exist_ok=True)
        for entry in own_entries(aside.path):
            if os.path.lexists(path / entry):
                raise RunError(
                    f"{path / entry}: expected nothing there, as {aside.path / entry} belongs there"
                )
            (aside.path / entry).rename(path / entry)
    _remove_empty(aside.path)


def _delete_discarded(directory: RunDirectory) -> None:
    for path in list(directory.path.glob(f"{_DISCARDED}*")):
        if is_real_folder(path):
            remove_own(RunDirectory(path))
            _remove_empty(path)


def remove_own(directory: RunDirectory) -> None:
    """Delete what ganvas wrote, `run.json` last; whatever else lies there stays, and so do its folders."""
    with storage_errors(str(directory.path)):
        for entry in own_entries(directory.path):
            path = directory.path / entry
            if is_real_folder(path):
                for file in list(path.iterdir()):
                    if CHECKPOINT_FILE.fullmatch(file.name):
                        file.unlink()
                _remove_if_empty(path)
            else:
                path.unlink()
    for name in FOLDERS:
        _remove_if_empty(directory.path / name)


def _remove_empty(folder: Path) -> None:
    """Remove a folder of a run in which nothing is left."""
    for path in (*(folder / name for name in FOLDERS), folder):
        _remove_if_empty(path)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # something else lies in it, or it is a link
        folder.rmdir()

"""One process at a time per run directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from ganvas.errors import RunError
from ganvas.utils.io import file_kind, storage_errors


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; the system releases it when the process ends, however it ends.

    Raises:
        RunError: another process holds it, or it is no regular file.
        StorageError: the lock cannot be written.
    """
    path = folder / ".lock"
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise RunError(f"{path}: expected a regular file, got {file_kind(path.lstat())}; remove it")
    lock = filelock.FileLock(path)
    with storage_errors(str(path)):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:  # an OSError, so it is caught first
            raise RunError(f"{folder} is being trained by another process; wait for it") from None
    try:
        yield
    finally:
        lock.release()

"""One process at a time per run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from ganvas.errors import RunError
from ganvas.utils.io import storage_errors


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; the system releases it when the process ends, however it ends.

    Raises:
        RunError: another process holds it.
        StorageError: the lock cannot be written.
    """
    lock = filelock.FileLock(folder / ".lock")
    with storage_errors(str(folder / ".lock")):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:  # an OSError, so it is caught first
            raise RunError(f"{folder} is being trained by another process; wait for it") from None
    try:
        yield
    finally:
        lock.release()

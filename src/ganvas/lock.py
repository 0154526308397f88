"""One process at a time per run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganvas.errors import RunError
from ganvas.files import storage_errors


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; the system lets go of it when the process ends, however it ends.

    Raises:
        RunError: another process holds it.
    """
    if os.name == "nt":  # Windows itself refuses to replace files that another process has open
        yield
        return
    import fcntl

    path = folder / ".lock"
    with storage_errors(str(path)):
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder} is being trained by another process; wait for it") from None
        yield

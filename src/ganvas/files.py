"""Files that are whole or not there: written aside, flushed to the disk, renamed.

Every write of ganvas goes through here, so that a full disk is one clear line and a good file is never
lost for a bad one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganvas.errors import StorageError


@contextlib.contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn an `OSError` within into a `StorageError` that says what was being written."""
    try:
        yield
    except OSError as error:
        raise storage_error(what, error) from error


def storage_error(what: str, error: OSError) -> StorageError:
    """Say in one line what could not be written, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"the disk is full: could not write {what}; free some space and try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"not allowed to write {what}: {error.strerror}; choose another place")
    return StorageError(f"could not write {what}: {error.strerror or error}")


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `path` atomically: readers see the old file or the new one, never a part.

    Args:
        path: the file; its folder is made where it is missing.
        content: all of it.
        durable: also wait until the disk has it (fsync), for what must survive a power cut.

    Raises:
        StorageError: the disk is full or may not be written; the old file is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with storage_errors(str(path)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_through(aside, content, durable=durable)
            aside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write `value` as indented JSON, atomically; see `write_bytes`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n", durable=durable)


def write_through(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file in place and, if `durable`, wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`; Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

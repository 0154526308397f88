"""Atomic writes: to a temporary file, flushed to the disk, renamed.

Every write of ganvas uses this module, so that a full disk is a one-line error and never corrupts an
existing file.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ganvas.errors import StorageError

_PART = ".partial"
_STALE_SECONDS = 24 * 3600


@contextlib.contextmanager
def storage_errors(what: str, hint: str = "") -> Iterator[None]:
    """Turn an `OSError` within into a `StorageError` that says what was being written.

    Args:
        what: the file or folder, as the line names it.
        hint: what else the user can do, after what fits the error.
    """
    try:
        yield
    except OSError as error:
        raise _storage_error(what, error, hint) from error


def _storage_error(what: str, error: OSError, hint: str) -> StorageError:
    more = f", or {hint}" if hint else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"the disk is full: could not write {what}; free some space and try again{more}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"not allowed to write {what}: {error.strerror}; choose another folder{more}")
    return StorageError(f"could not write {what}: {error.strerror or error}{more}")


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = False, hint: str = "") -> Iterator[IO[bytes]]:
    """A new file that takes the name `path` only when it is complete.

    Readers see the old file or the new one, never a part. What a killed process leaves beside it is
    removed when the same file is next written, once it is a day old.

    Args:
        path: the file; its folder is made where it is missing.
        durable: also wait until the disk has it (fsync), for what must survive a power cut.
        hint: see `storage_errors`.

    Raises:
        StorageError: the disk is full or may not be written; the old file is untouched.
    """
    with storage_errors(str(path), hint):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{_PART}"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    left.unlink()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w+b") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())  # mkstemp's files are for their owner alone
            temporary.replace(path)
            if durable:
                fsync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `content` as `path`, atomically; see `atomic_write`."""
    with atomic_write(path, durable=durable) as stream:
        stream.write(content)


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write `value` as indented JSON, atomically; see `write_bytes`."""
    text = json.dumps(value, indent=2, allow_nan=False)  # in ASCII: any name can be written
    write_bytes(path, text.encode() + b"\n", durable=durable)


def write_and_sync(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file in place and, if `durable`, wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _umask() -> int:
    """What new files are not allowed; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def fsync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`; Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

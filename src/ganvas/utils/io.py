"""Files on disk: bounded reads of regular files only, and atomic writes.

Every write of ganvas uses this module: to a temporary file, flushed to the disk, renamed. So a full disk is a
one-line error and never corrupts an existing file. Every read of a file that comes from outside (a data set,
anything in a run directory or a cache) uses `open_regular` or `read_regular`: a named pipe in the place of a
file does not block, and `/dev/zero` does not fill the memory.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from ganvas.errors import StorageError

_PART = ".partial"
_STALE_SECONDS = 24 * 3600
_UNBLOCKED = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # none of these on Windows
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class IrregularFileError(OSError):
    """A path leads to something that must not be read or written; `strerror` says what it is.

    It is an `OSError`, so that whoever handles unreadable files handles it too, with the same line.
    """


def open_regular(path: Path, *, limit: int | None = None, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading; nothing else is opened, so nothing blocks.

    Args:
        path: the file.
        limit: its largest size in bytes.
        follow_links: follow a symbolic link at `path` itself. False for the files of a run directory, which
            come from somewhere else and must not lead out of it.

    Raises:
        IrregularFileError: a folder, named pipe, socket, device or unwanted link, or above the limit.
        OSError: the file is missing or not readable.
    """
    _check_regular(path, path.stat() if follow_links else path.lstat(), limit)  # a device is not even opened
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | _UNBLOCKED
    handle = os.open(path, flags if follow_links else flags | getattr(os, "O_NOFOLLOW", 0))
    try:
        _check_regular(path, os.fstat(handle), limit)  # again: it may have been exchanged in between
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_regular(path: Path, *, limit: int, follow_links: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes; see `open_regular`."""
    with open_regular(path, limit=limit, follow_links=follow_links) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:  # it has grown since
        raise _too_large(path, len(content), limit)
    return content


def _check_regular(path: Path, status: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        text = f"it is {file_kind(status)}, expected a regular file"
        raise IrregularFileError(errno.EINVAL, text, str(path))
    if limit is not None and status.st_size > limit:
        raise _too_large(path, status.st_size, limit)


def file_kind(status: os.stat_result) -> str:
    """What a `stat` or `lstat` found, in words: "a folder", "a named pipe"."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "something else")


def _too_large(path: Path, size: int, limit: int) -> IrregularFileError:
    text = f"it has {size:,} bytes, expected at most {limit:,}"
    return IrregularFileError(errno.EFBIG, text, str(path))


def _open_for_writing(path: Path, flags: int) -> int:
    """A handle for writing a regular file; a link at `path` is not followed, so no other file is made.

    Raises:
        IrregularFileError: there is something else than a regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        _check_regular(path, path.lstat(), None)
    handle = os.open(
        path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        | _UNBLOCKED | flags, 0o666,
    )  # fmt: skip
    try:
        _check_regular(path, os.fstat(handle), None)
    except BaseException:
        os.close(handle)
        raise
    return handle


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


def append_bytes(path: Path, content: bytes) -> None:
    """Append to a regular file, which is made where it is missing; a link is not followed.

    Raises:
        OSError: it cannot be written; `IrregularFileError` where it is no regular file.
    """
    with os.fdopen(_open_for_writing(path, os.O_APPEND), "ab") as file:
        file.write(content)


def write_and_sync(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file in place (a link is not followed) and, if `durable`, wait until the disk has it."""
    with os.fdopen(_open_for_writing(path, os.O_TRUNC), "wb") as file:
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

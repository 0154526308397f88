"""Files on this machine: opened, read and written so that every failure is one clear line."""

import contextlib
import lzma
import os
import secrets
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from ganvas.errors import DataError, StorageError

# All that the standard library's readers of compressed and packed files raise on damaged bytes.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
_STALE_SECONDS = 24 * 3600


def one_line(error: BaseException) -> str:
    """The reason an exception gives, on one line and of bearable length."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:160] or type(error).__name__


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into one line.

    Raises:
        DataError: the file cannot be opened or its bytes are damaged.
    """
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(
                f"{path}: expected a readable file, got {one_line(error)!r}; "
                "check the path and its permissions"
            ) from error
        raise DataError(
            f"{path}: expected a whole file, got a damaged or cut-off one ({one_line(error)}); "
            "fetch or make it again"
        ) from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file opened for reading bytes; raises DataError when that cannot be done."""
    with reading(path), path.open("rb") as stream:
        yield stream


def head(path: Path, length: int = 16) -> bytes:
    """The first bytes of a file, by which its kind is told."""
    with opened(path) as stream:
        return stream.read(length)


def stamp(path: Path) -> str:
    """Size and time of change: another stamp means that what was made from the file is stale."""
    with reading(path):
        status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def cache_folder() -> Path:
    """Where ganvas keeps downloads and memory maps: GANVAS_CACHE, or the system's place."""
    named = os.environ.get("GANVAS_CACHE")
    if named:
        return Path(named).expanduser()
    import platformdirs  # here, so that importing the package stays quick

    return Path(platformdirs.user_cache_dir("ganvas", appauthor=False))


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the name `path` only when it is complete and on the disk.

    It is written beside `path`, flushed, synced and renamed, so that a half-written file is never
    taken for a finished one. Parts that a killed process left behind are removed after a day.

    Raises:
        StorageError: the disk is full or the place may not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
        stream = part.open("x+b")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: expected to write this file, got {one_line(error)!r}; free some space, or name "
        "another cache folder with GANVAS_CACHE"
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove the parts of files that were never finished, once they are a day old."""
    for part in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                part.unlink()

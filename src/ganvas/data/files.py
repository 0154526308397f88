"""Files of data sets: opened and read so that every failure is one clear line."""

import contextlib
import errno
import logging
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganvas.errors import DataError, MachineError, printable
from ganvas.utils.io import open_regular

# The exceptions that the standard library's readers of archives and compressed files raise on damaged bytes.
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
# deflate compresses by a factor of at most 1032.
DEFLATE_RATIO = 1032
# Of these the machine is the cause, not the file.
_MACHINE = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
CACHE_HINT = "name another cache folder with GANVAS_CACHE"


def expand_home(path: str | Path) -> Path:
    """A path with ~ expanded, or as it is where no home folder is known (`Path.expanduser` raises then)."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def one_line(error: BaseException) -> str:
    """The message of an exception on one line, at most 160 characters."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:160] or type(error).__name__


@contextlib.contextmanager
def read_errors(path: str | Path) -> Iterator[None]:
    """Turn errors while reading `path` into a ganvas error of one line.

    Raises:
        DataError: the file cannot be opened or its bytes are damaged.
        MachineError: the disk fails, or memory or file handles have run out.
    """
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno in _MACHINE:
            raise MachineError(f"{path}: could not be read: {one_line(error)}; try again") from error
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
def open_file(path: Path) -> Iterator[BinaryIO]:
    """A regular file opened for reading bytes.

    Raises:
        DataError: it cannot be read, or is a folder, named pipe, socket or device.
    """
    with read_errors(path), open_regular(path) as stream:
        yield stream


def head(path: Path, length: int = 16) -> bytes:
    """The first bytes of a file, which identify its format."""
    with open_file(path) as stream:
        return stream.read(length)


def file_stamp(path: Path) -> str:
    """Size, times and inode: if they change, what was made from the file is stale.

    Any program can set the modification time of a file, but none the time of its last change of status.
    """
    with read_errors(path):
        status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def log_if_corrupted(path: Path) -> None:
    """Log that a file of the cache, if it is there, was corrupted: it is about to be made again."""
    if os.path.lexists(path):
        log = logging.getLogger("ganvas")
        log.warning("ganvas: %s: this cached file was corrupted, and is made again", printable(str(path)))


def cache_folder() -> Path:
    """Where ganvas keeps downloads and memory maps: GANVAS_CACHE, or the system's cache folder."""
    named = os.environ.get("GANVAS_CACHE")
    if named:
        return expand_home(named)
    import platformdirs  # here, so that importing the package stays quick

    return Path(platformdirs.user_cache_dir("ganvas", appauthor=False))

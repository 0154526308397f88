"""Memory-mapped files: opened for reading, and watched while they are read.

A file that is truncated under a map ends the process with SIGBUS at the next read, and one that is
overwritten in place changes the images. Both are detected: `check_unchanged` compares the size and
modification time wherever images are read, which takes about a microsecond. SIGBUS remains possible between
this check and the read, or where a disk fails; it becomes one line and exit code 1.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganvas.data.files import open_file
from ganvas.errors import MachineError, printable

if TYPE_CHECKING:
    from hashlib import _Hash

_Memory = tuple[int, tuple[int, ...], tuple[int, ...]]  # address, shape, strides
_SIGBUS = getattr(signal, "SIGBUS", None)  # Windows has none
_WHAT_NEXT = "restore it, then resume: the last checkpoint is kept"


class _Watch:
    """The size and modification time of a mapped file when it was mapped.

    They are those of the file that is mapped, not of its path: a file that is deleted or replaced by another
    one stays mapped as it is.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.verified: tuple[_Memory, _Hash] | None = None  # see `set_verified_hash`
        self._handle = os.dup(handle)
        weakref.finalize(self, os.close, self._handle)
        self._state = self._current()

    def _current(self) -> tuple[int, int]:
        status = os.fstat(self._handle)
        return status.st_size, status.st_mtime_ns

    def change(self) -> str:
        """What has changed, for the error message; "" if nothing."""
        (size, modified), (now, last) = self._state, self._current()
        if now != size:
            return f"it has {now:,} bytes now, {size:,} when it was opened"
        return "its modification time is another" if last != modified else ""


_WATCHES: weakref.WeakKeyDictionary[mmap.mmap, _Watch] = weakref.WeakKeyDictionary()
_installed: list[Any] = []  # the handler of SIGBUS, which must not be freed


def map_file(path: Path, offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Map uint8 values of a file read-only.

    Args:
        path: a regular file.
        offset: bytes before the first value.
        shape: of the array.

    Returns:
        An `np.memmap`, watched for changes of the file.

    Raises:
        DataError: the file cannot be read, or is smaller than that.
    """
    with open_file(path) as stream:
        images = np.memmap(stream, np.uint8, "r", offset, shape)
        _WATCHES[images._mmap] = _Watch(path, stream.fileno())  # type: ignore[attr-defined]
    _handle_bus_errors()
    return images


def check_unchanged(images: NDArray[np.uint8]) -> None:
    """Check that the file of a mapped array, or of a part of one, has not changed; other arrays pass.

    Raises:
        MachineError: it was truncated, extended or overwritten since it was mapped.
    """
    watch = _watch(images)
    if watch is not None and (change := watch.change()):
        raise MachineError(f"{watch.path}: the data changed while it was in use: {change}; {_WHAT_NEXT}")


def set_verified_hash(images: NDArray[np.uint8], digest: _Hash) -> None:
    """Keep the hash of a whole mapped array, so that it is not computed again for the fingerprint."""
    watch = _watch(images)
    if watch is not None:
        watch.verified = (_memory(images), digest)


def verified_hash(images: NDArray[np.uint8]) -> _Hash | None:
    """A copy of the hash that `set_verified_hash` kept for exactly this array."""
    watch = _watch(images)
    if watch is None or watch.verified is None:
        return None
    memory, digest = watch.verified
    return digest.copy() if memory == _memory(images) else None


def _memory(images: NDArray[np.uint8]) -> _Memory:
    """What distinguishes an array from others of the same map, such as its parts."""
    return images.ctypes.data, images.shape, images.strides


def _watch(images: NDArray[np.uint8]) -> _Watch | None:
    mapped = getattr(images, "_mmap", None)  # np.memmap hands it on to its views
    return None if mapped is None else _WATCHES.get(mapped)


def _handle_bus_errors() -> None:
    """Install a handler of SIGBUS, unless one is installed already, such as faulthandler's.

    `signal.signal` cannot: its handlers run after the faulting instruction, which never completes.
    """
    if _SIGBUS is None or _installed:
        return
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_on_bus_error)
    _installed.append(handler)
    set_handler = ctypes.CDLL(None).signal
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    previous = set_handler(_SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    if previous:
        set_handler(_SIGBUS, previous)


def _on_bus_error(_number: int) -> None:
    try:
        changed = [printable(str(watch.path)) for watch in list(_WATCHES.values()) if watch.change()]
        names = ", ".join(changed) or "a memory-mapped file"
        line = f"\nganvas: {names}: truncated while it was in use, or its disk failed; {_WHAT_NEXT}\n"
        os.write(2, line.encode())
    finally:  # to return would repeat the faulting instruction
        os._exit(MachineError.exit_code)

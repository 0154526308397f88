"""Materialize a stream: an array in memory, or a memory-mapped file when it would be too big."""

import contextlib
import hashlib
import math
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from ganvas.data.files import CACHE_HINT, cache_folder, read_errors
from ganvas.data.image_stream import ImageArray, ImageStream
from ganvas.errors import StorageError
from ganvas.utils.io import atomic_write
from ganvas.utils.memory import available_memory


def materialize_stream(stream: ImageStream, mmap_threshold: float) -> ImageArray:
    """All images of a stream, uint8 [N, C, H, W].

    Args:
        stream: the images.
        mmap_threshold: up to this fraction of the available memory they are read into memory; above
            it they are memory-mapped read-only, in place if possible, else from a cache file.

    Raises:
        DataError: the files turn out to be damaged.
        StorageError: the cache file cannot be written.
    """
    if math.prod(stream.shape) <= mmap_threshold * available_memory():
        return _in_memory(stream)
    if stream.in_place is not None:
        with read_errors(stream.origin):
            return stream.in_place()
    return _mapped(stream)


def _in_memory(stream: ImageStream) -> ImageArray:
    images = np.empty(stream.shape, np.uint8)
    filled = 0
    for chunk in stream.chunks():
        images[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    return images


def _mapped(stream: ImageStream) -> ImageArray:
    """A file made once for this origin and stamp; older ones of the same origin are removed."""
    folder = cache_folder() / "mapped"
    origin, stamp = _short_hash(stream.origin), _short_hash(f"{stream.stamp}\n{stream.shape}")
    path = folder / f"{origin}-{stamp}.npy"
    images = _opened_map(path, stream.shape)
    if images is None:
        # Written, not filled through a map: a full disk is then an error and not a crash.
        with atomic_write(path, durable=True, hint=CACHE_HINT) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": stream.shape}
            npy_format.write_array_header_1_0(file, header)
            for chunk in stream.chunks():
                file.write(np.ascontiguousarray(chunk).data)
        _remove_older(folder, origin, path)
        images = _opened_map(path, stream.shape)
    if images is None:
        raise StorageError(
            f"{path}: expected the file just written to be whole, got another; another program "
            "changes the cache: name another folder with GANVAS_CACHE"
        )
    return images


def _opened_map(path: Path, shape: tuple[int, ...]) -> ImageArray | None:
    """The mapped file, or None when there is none or it is not whole."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return images if images.dtype == np.uint8 and images.shape == shape else None


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _remove_older(folder: Path, origin: str, newest: Path) -> None:
    for path in folder.glob(f"{origin}-*.npy"):
        if path != newest:
            # On Windows a file that another process has mapped cannot be removed; it may stay.
            with contextlib.suppress(OSError):
                path.unlink()

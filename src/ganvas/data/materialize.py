"""Materialize a stream: an array in memory, or a memory-mapped file when it would be too big.

A cached map is a .npy file followed by a checksum, the SHA-256 of the source that it was made from and of its
own content. It is verified whenever it is opened, and made again if it differs. This reads the map once,
0.9 s for 1 GiB on an AMD EPYC; the hash is kept for the set's fingerprint, which every run needs and which
would read it otherwise, so that a run does not start later.
"""

import contextlib
import hashlib
import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy_format

from ganvas.data.files import CACHE_HINT, cache_folder, log_if_corrupted, read_errors
from ganvas.data.image_set import hash_images, new_images_hash
from ganvas.data.image_stream import ImageArray, ImageStream
from ganvas.data.mapped_files import map_file, set_verified_hash
from ganvas.errors import DataError, StorageError
from ganvas.utils.io import atomic_write, open_regular
from ganvas.utils.memory import available_memory

if TYPE_CHECKING:
    from hashlib import _Hash

_CHECKSUM_BYTES = 32


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
    """The map of a file made once for this origin and stamp; older ones of the same origin are removed."""
    folder = cache_folder() / "mapped"
    origin, stamp = _short_hash(stream.origin), _short_hash(f"{stream.stamp}\n{stream.shape}")
    path = folder / f"{origin}-{stamp}.npy"
    images = _verified_map(path, stream)
    if images is None:
        log_if_corrupted(path)
        # Written, not filled through a map: a full disk is then an error and not a crash.
        with atomic_write(path, durable=True, hint=CACHE_HINT) as file:
            file.write(_header(stream.shape))
            digest = new_images_hash(stream.shape)
            for chunk in stream.chunks():
                data = np.ascontiguousarray(chunk).data
                digest.update(data)
                file.write(data)
            file.write(_checksum(stream, digest))
        _remove_older(folder, origin, path)
        images = _verified_map(path, stream, digest)
    if images is None:
        raise StorageError(
            f"{path}: expected the file just written to be whole, got another; another program "
            "changes the cache: name another folder with GANVAS_CACHE"
        )
    return images


def _verified_map(path: Path, stream: ImageStream, digest: "_Hash | None" = None) -> ImageArray | None:
    """The mapped file, or None if there is none, or not the one that was made from this stream.

    Args:
        path: of the file.
        stream: what it was made from.
        digest: hash of the images if they have just been written; None: they are read and hashed.
    """
    header = _header(stream.shape)
    try:
        with open_regular(path) as file:
            if file.read(len(header)) != header:
                return None
            file.seek(math.prod(stream.shape), os.SEEK_CUR)
            checksum = file.read(_CHECKSUM_BYTES + 1)
        images = map_file(path, len(header), stream.shape)
    except (OSError, DataError):  # missing, unreadable, cut off
        return None
    digest = digest or hash_images(images)
    if checksum != _checksum(stream, digest):
        return None
    set_verified_hash(images, digest)
    return images


def _header(shape: tuple[int, ...]) -> bytes:
    """What a .npy file of images of this shape begins with."""
    file = io.BytesIO()
    npy_format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _checksum(stream: ImageStream, images: "_Hash") -> bytes:
    """SHA-256 of what a map was made from and of its images."""
    source = f"{stream.origin}\n{stream.stamp}\n{images.hexdigest()}"
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).digest()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _remove_older(folder: Path, origin: str, newest: Path) -> None:
    for path in folder.glob(f"{origin}-*.npy"):
        if path != newest:
            # On Windows a file that another process has mapped cannot be removed; it may stay.
            with contextlib.suppress(OSError):
                path.unlink()

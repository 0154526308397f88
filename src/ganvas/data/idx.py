"""IDX, the format of MNIST's files, plain or gzipped (recognized by content, not by name).

Source: the description at the foot of http://yann.lecun.com/exdb/mnist/ : two zero bytes, a type
code, the number of dimensions, each dimension as a big-endian 32-bit number, then the values.
"""

import gzip
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ganvas.data.files import DEFLATE_RATIO, file_stamp, head, open_file, read_errors
from ganvas.data.image_set import validate_labels
from ganvas.data.image_stream import ImageArray, ImageStream, Labels, layout, pixel_chunks, read_exactly
from ganvas.data.mapped_files import map_file
from ganvas.errors import DataError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes before the first value."""
        return 4 + 4 * len(self.shape)


def looks_like_idx(start: bytes) -> bool:
    """Whether a file that begins so is IDX or gzip."""
    return start[:2] == _GZIP or (start[:2] == b"\0\0" and len(start) > 3 and start[2] in _TYPES)


def idx_file(folder: Path, name: str) -> Path | None:
    """The path of an IDX file: plain or .gz, or as some unpackers rename it (.idx3); None if missing."""
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (folder / stem, folder / f"{stem}.gz"):
            if os.path.lexists(path):  # what is no regular file is refused when it is opened
                return path
    return None


def read_images(path: Path) -> ImageStream:
    """The images of one IDX file.

    Args:
        path: an IDX file of unsigned bytes, [N, H, W] (or 4 dimensions, channels first or last).

    Returns:
        A stream without labels.

    Raises:
        DataError: not IDX, labels instead of images, or a size that cannot be.
    """
    header = _header(path)
    if len(header.shape) < 3:
        raise DataError(
            f"{path}: expected IDX images (3 dimensions), got {len(header.shape)} dimension(s) as "
            "in a file of labels; exchange the two files or their names"
        )
    if header.dtype != np.uint8:
        raise DataError(
            f"{path}: expected IDX images of unsigned bytes, got {header.dtype}; scale them to 0..255"
        )
    shape, channels_last = layout(header.shape, str(path))
    _check_length(path, header)
    plain = not _gzipped(path)

    @contextmanager
    def at_pixels() -> Iterator[BinaryIO]:
        """The file opened at its first pixel."""
        with _opened(path) as stream:
            read_exactly(stream, header.length)
            yield stream

    def in_place() -> ImageArray:
        """The images as a memory map of the file."""
        return map_file(path, header.length, shape)

    return ImageStream(
        shape=shape,
        chunks=lambda: pixel_chunks(at_pixels, header.shape, path),
        labels=None,
        class_names=(),
        origin=str(path.resolve()),
        stamp=file_stamp(path),
        in_place=in_place if plain and (not channels_last or shape[1] == 1) else None,
    )


def read_labels(path: Path, count: int) -> Labels:
    """The labels of one IDX file, int64 [N].

    QMNIST's labels are [N, 8] with the class in the first column; plain ones are [N].

    Raises:
        DataError: not IDX, images instead of labels, another length than `count`.
    """
    header = _header(path)
    if len(header.shape) > 2:
        raise DataError(
            f"{path}: expected IDX labels (1 dimension), got {len(header.shape)} dimensions as in "
            "a file of images; exchange the two files or their names"
        )
    if header.shape[0] != count:
        raise DataError(
            f"{path}: expected one label per image, so {count}, got {header.shape[0]}; "
            "check that images and labels belong together"
        )
    if len(header.shape) == 2 and not 1 <= header.shape[1] <= 64:
        raise DataError(f"{path}: expected IDX labels [N], got {list(header.shape)}")
    _check_length(path, header)
    wanted = math.prod(header.shape) * header.dtype.itemsize
    with _opened(path) as stream:
        read_exactly(stream, header.length)
        data = read_exactly(stream, wanted + 1)
    if len(data) != wanted:
        raise DataError(
            f"{path}: expected {wanted} bytes of labels as its header says, got "
            f"{'more' if len(data) > wanted else len(data)}; fetch or make it again"
        )
    labels = np.frombuffer(data, header.dtype).reshape(header.shape)
    if labels.ndim == 2:
        labels = labels[:, 0]
    return validate_labels(labels, count, str(path))


def _header(path: Path) -> _Header:
    with _opened(path) as stream:
        magic = stream.read(4)
        if not magic:
            raise DataError(f"{path}: expected an IDX file, got an empty one; fetch it again")
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
            raise DataError(
                f"{path}: expected an IDX file (magic 00000803 for images, 00000801 for labels), "
                f"got {magic.hex()}; check the file"
            )
        dimensions = magic[3]
        sizes = stream.read(4 * dimensions)
    if not 1 <= dimensions <= 4 or len(sizes) < 4 * dimensions:
        raise DataError(
            f"{path}: expected an IDX file of 1 to 4 dimensions, got {dimensions} and "
            f"{len(sizes)} bytes for their sizes; check the file"
        )
    return _Header(np.dtype(_TYPES[magic[2]]), struct.unpack(f">{dimensions}I", sizes))


def _check_length(path: Path, header: _Header) -> None:
    """Check the declared size against the file's before memory is allocated."""
    declared = header.length + math.prod(header.shape) * header.dtype.itemsize
    with read_errors(path):
        size = path.stat().st_size
    if declared > size * DEFLATE_RATIO if _gzipped(path) else declared != size:
        raise DataError(
            f"{path}: expected {declared} bytes for {list(header.shape)} as its header says, got a "
            f"file of {size}; it is cut off or damaged, fetch or make it again"
        )


def _gzipped(path: Path) -> bool:
    return head(path, 2) == _GZIP


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    packed = _gzipped(path)
    with open_file(path) as raw:
        if not packed:
            yield raw
            return
        with gzip.open(raw) as stream:
            yield cast(BinaryIO, stream)

"""NumPy's .npy format: one array, as a file of its own or as a member of an .npz.

NumPy parses the header; pickled objects are refused before anything is read. `np.load` is not used here: it
allocates what a damaged header declares, reads whole arrays at once, accepts files with trailing bytes, and
cannot memory-map or stream a member of an .npz. Our own memory maps are opened by `np.load` (materialize).
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ganvas.data.files import file_stamp, open_file, read_errors
from ganvas.data.image_stream import ImageArray, ImageStream, layout, pixel_chunks, read_exactly
from ganvas.errors import DataError

MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class NpyArray:
    """An array in a file: the header is read, the values are not.

    Attributes:
        where: path, and member of the archive, for error messages.
        open: opens the file at its first byte.
        dtype, shape: as its header declares.
        offset: bytes before the first value.
    """

    where: Path
    open: Callable[[], AbstractContextManager[BinaryIO]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @contextmanager
    def at_values(self) -> Iterator[BinaryIO]:
        """The file opened at its first value."""
        with self.open() as stream:
            read_exactly(stream, self.offset)
            yield stream


def look(where: Path, open_file: Callable[[], AbstractContextManager[BinaryIO]], size: int) -> NpyArray:
    """Read the header of an array and check it against the size of the file.

    Args:
        where: for error messages.
        open_file: opens the file at its first byte.
        size: bytes of the whole file, decompressed.

    Raises:
        DataError: not .npy, pickled objects, Fortran order, or a size that differs from the declared one.
    """
    with read_errors(where), open_file() as stream:
        shape, fortran, dtype = _header(stream)
        offset = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{where}: expected plain numbers, got pickled Python objects, which ganvas never "
            "loads; save a uint8 array instead"
        )
    if any(side < 0 for side in shape):
        raise DataError(f"{where}: expected a shape of positive sizes, got {list(shape)}")
    if fortran and len(shape) > 1:
        raise DataError(
            f"{where}: expected an array in C order, got Fortran order; save np.ascontiguousarray(array)"
        )
    declared = offset + math.prod(shape) * dtype.itemsize
    if declared != size:
        raise DataError(
            f"{where}: expected {declared} bytes for {dtype} {list(shape)} as its header says, "
            f"got {size}; it is cut off or damaged, make it again"
        )
    return NpyArray(where, open_file, dtype, shape, offset)


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype; ValueError when they cannot be parsed."""
    with warnings.catch_warnings():
        # Python's parser warns about odd literals in a damaged header; the header is refused.
        warnings.simplefilter("ignore")
        version = npy_format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f".npy format {version[0]}.{version[1]}, not 1.0 or 2.0")
        try:
            if version == (1, 0):
                return npy_format.read_array_header_1_0(stream)
            return npy_format.read_array_header_2_0(stream)
        except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile):
            raise
        except Exception as error:
            # The header is a Python literal: its tokenizer, parser and NumPy's own code each raise
            # their own kinds (TokenError, SyntaxError, TypeError, RecursionError, ...).
            raise ValueError(f"unreadable .npy header, {type(error).__name__}") from error


def image_stream(array: NpyArray, origin: str, stamped: str) -> ImageStream:
    """An array as a stream of images without labels.

    Raises:
        DataError: not uint8, or a shape that is not that of images.
    """
    if array.dtype != np.uint8:
        remedy = {
            "f": "scale them to 0..255 and convert with .astype('uint8')",
            "b": "save (images * 255).astype('uint8')",
        }.get(array.dtype.kind, "convert with .astype('uint8')")
        raise DataError(f"{array.where}: expected uint8 images, got {array.dtype}; {remedy}")
    shape, _ = layout(array.shape, str(array.where))
    return ImageStream(
        shape=shape,
        chunks=lambda: pixel_chunks(array.at_values, array.shape, array.where),
        labels=None,
        class_names=(),
        origin=origin,
        stamp=stamped,
    )


def read_all(array: NpyArray) -> NDArray[Any]:
    """A small array, such as labels, read at once; raises DataError when it is cut off."""
    wanted = math.prod(array.shape) * array.dtype.itemsize
    with read_errors(array.where), array.at_values() as stream:
        data = read_exactly(stream, wanted + 1)
    if len(data) != wanted:
        raise DataError(
            f"{array.where}: expected {wanted} bytes of values as its header says, got "
            f"{'more' if len(data) > wanted else len(data)}; make it again"
        )
    return np.frombuffer(data, array.dtype).reshape(array.shape)


def read_npy(path: Path) -> ImageStream:
    """The images of a .npy file: uint8 [N, H, W], [N, C, H, W] or [N, H, W, C], unlabeled.

    A file laid out as [N, H, W] or [N, C, H, W] can be memory-mapped in place.

    Raises:
        DataError: see `look` and `image_stream`.
    """
    with read_errors(path):
        size = path.stat().st_size
    array = look(path, lambda: open_file(path), size)
    stream = image_stream(array, str(path.resolve()), file_stamp(path))
    _, channels_last = layout(array.shape, str(path))
    if channels_last and stream.shape[1] > 1:
        return stream

    def in_place() -> ImageArray:
        return np.memmap(path, np.uint8, "r", array.offset, stream.shape)

    return replace(stream, in_place=in_place)

"""NumPy's formats: .npy, one array, and .npz, a zip of arrays with Keras's keys or `images` and `labels`.

NumPy parses the headers and reads the labels; pickled objects are refused before anything is read. `np.load`
is not used for images: it allocates what a damaged header declares, reads whole arrays at once, accepts files
with trailing bytes, and cannot stream a member of an .npz.
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ganvas.data.files import DEFLATE_RATIO, file_stamp, open_file, read_errors
from ganvas.data.image_set import numbered_class_names, validate_labels
from ganvas.data.image_stream import ImageArray, ImageStream, layout, pixel_chunks, read_exactly
from ganvas.data.mapped_files import map_file
from ganvas.data.safe_zip import members, open_zip
from ganvas.errors import DataError

NPY_MAGIC = b"\x93NUMPY"
_KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_OWN = ("images", "labels")


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


def read_header(where: Path, opener: Callable[[], AbstractContextManager[BinaryIO]], size: int) -> NpyArray:
    """Read the header of an array and check it against the size of the file.

    Args:
        where: for error messages.
        opener: opens the file at its first byte.
        size: bytes of the whole file, decompressed.

    Raises:
        DataError: not .npy, pickled objects, Fortran order, or a size that differs from the declared one.
    """
    with read_errors(where), opener() as stream:
        shape, fortran, dtype = _parse_header(stream)
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
    return NpyArray(where, opener, dtype, shape, offset)


def _parse_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
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


def _image_stream(array: NpyArray, origin: str, stamped: str) -> ImageStream:
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


def _read_labels(array: NpyArray) -> NDArray[Any]:
    """The values of an array, read at once by NumPy; its header has been checked against its size.

    Raises:
        DataError: the values are cut off, or more follow them.
    """
    with read_errors(array.where), array.open() as stream:
        values: NDArray[Any] = npy_format.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise DataError(
                f"{array.where}: expected its end after {len(values)} values, got more; make it again"
            )
    return values


def read_npy(path: Path) -> ImageStream:
    """The images of a .npy file: uint8 [N, H, W], [N, C, H, W] or [N, H, W, C], unlabeled.

    A file laid out as [N, H, W] or [N, C, H, W] can be memory-mapped in place.

    Raises:
        DataError: see `read_header` and `_image_stream`.
    """
    with read_errors(path):
        size = path.stat().st_size
    array = read_header(path, lambda: open_file(path), size)
    stream = _image_stream(array, str(path.resolve()), file_stamp(path))
    _, channels_last = layout(array.shape, str(path))
    if channels_last and stream.shape[1] > 1:
        return stream

    def in_place() -> ImageArray:
        """The images as a memory map of the file."""
        return map_file(path, array.offset, stream.shape)

    return replace(stream, in_place=in_place)


def npz_splits(path: Path) -> tuple[str, ...]:
    """The splits in an .npz: ("train", "test") with Keras's keys, else ("train",).

    Raises:
        DataError: not a zip that can be read, or neither kind of keys.
    """
    keys = _keys(path)
    if _OWN[0] in keys:
        return ("train",)
    present = tuple(split for split, (images, _) in _KERAS.items() if images in keys)
    if not present:
        raise DataError(
            f"{path}: expected arrays 'images' (and 'labels'), or Keras's 'x_train', 'y_train', "
            f"'x_test', 'y_test'; got {', '.join(sorted(keys)[:8]) or 'none'}; save it with these"
        )
    return present


def read_npz(path: Path, split: str) -> ImageStream:
    """One split of an .npz, uint8 images [N, H, W], [N, H, W, C] or [N, C, H, W], labels or none.

    Args:
        path: the file.
        split: one of `npz_splits(path)`.

    Raises:
        DataError: damaged, pickled, another dtype or shape, labels of another length.
    """
    keys = _keys(path)
    images_key, labels_key = _OWN if _OWN[0] in keys else _KERAS[split]
    origin = f"{path.resolve()}\n{images_key}"
    stream = _image_stream(_member_header(path, images_key), origin, file_stamp(path))
    if labels_key not in keys:
        return stream
    raw = _read_labels(_member_header(path, labels_key))
    labels = validate_labels(raw, stream.shape[0], f"{path}: {labels_key}")
    return replace(stream, labels=labels, class_names=numbered_class_names(labels))


def is_npz(path: Path) -> bool:
    """Whether a zip contains arrays, whatever its name is."""
    return bool(_keys(path))


def _keys(path: Path) -> set[str]:
    with open_zip(path) as archive:
        names = members(archive)
    return {name.removesuffix(".npy") for name in names if name.endswith(".npy")}


def _member_header(path: Path, key: str) -> NpyArray:
    with open_zip(path) as archive:
        info = members(archive)[f"{key}.npy"]
    if info.file_size > (info.compress_size + 64) * DEFLATE_RATIO:
        raise DataError(
            f"{path}: {key}: expected a size that {info.compress_size} compressed bytes can have, got "
            f"{info.file_size}; it is damaged, make it again"
        )
    return read_header(Path(f"{path}:{key}"), partial(_open_member, path, info), info.file_size)


@contextmanager
def _open_member(path: Path, info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    with open_zip(path) as archive, archive.open(info) as stream:
        yield cast(BinaryIO, stream)

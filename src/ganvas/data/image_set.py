"""`ImageSet`: images, their labels and their source, the data set as the rest of ganvas receives it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganvas.data.mapped_files import check_unchanged, verified_hash
from ganvas.errors import DataError, printable
from ganvas.utils.memory import release_pages

if TYPE_CHECKING:
    from hashlib import _Hash

SMALLEST, LARGEST = 8, 256  # pixels of a side
MOST_CLASSES = 65_536
# Images read from a memory map before its pages are released: each read maps up to a megabyte around it.
IMAGES_PER_READ = 32
_CHUNK_BYTES = 4 * 2**20
_PREVIEW_IMAGES, _PREVIEW_SIDE = 36, 256  # images, and least pixels of the shorter side


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size and mode. Treat the arrays as read-only: they may be memory-mapped.

    Attributes:
        name: a published set's name, or the stem of the user's folder or file.
        images: uint8 [N, C, H, W], values 0 to 255, C 1 (gray) or 3 (RGB), H and W in 8..256.
        labels: int64 [N], each an index into `class_names`; None for an unlabeled set.
        class_names: one printable name per class; () without labels.
        source: where the images were read from: a path, or words.
        note: a sentence the caller should display, as when another set is used instead; often "".

    Raises:
        DataError: the arrays are not as described above.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8:
            raise DataError(
                f"{self.name}: expected uint8 images, got {self.images.dtype}; "
                "scale them to 0..255 and convert with .astype('uint8')"
            )
        validate_image_shape(self.images.shape, self.name)
        if self.labels is None:
            if self.class_names:
                raise DataError(f"{self.name}: expected labels with the class names, got none")
            return
        checked = validate_labels(self.labels, len(self.images), self.name)
        if checked.max() >= len(self.class_names):
            raise DataError(
                f"{self.name}: expected a class name for every label, got label {checked.max()} "
                f"and {len(self.class_names)} names"
            )
        object.__setattr__(self, "labels", checked)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        """One line: name, count, size, channels, classes and source."""
        channels, height, width = self.image_shape
        kind = "gray" if channels == 1 else "RGB"
        classes = f"{self.num_classes} classes" if self.labels is not None else "no labels"
        size = f"{len(self):,} images {height}x{width} {kind}"
        return printable(f"ImageSet({self.name!r}: {size}, {classes}, {self.source})")

    def _repr_png_(self) -> bytes:
        """The first images in a grid, as a PNG file's bytes: what a notebook displays."""
        from ganvas.utils.images import encode_png, grid_columns, make_grid, to_pil, upscale

        preview = np.array(self.images[:_PREVIEW_IMAGES])
        return encode_png(upscale(to_pil(make_grid(preview, grid_columns(len(preview)))), _PREVIEW_SIDE))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 without labels."""
        return len(self.class_names)

    def one_hot(self) -> NDArray[np.float32]:
        """Labels as float32 [N, classes]: 1 at an image's class, 0 elsewhere.

        Raises:
            DataError: the set has no labels.
        """
        if self.labels is None:
            raise DataError(f"{self.name}: expected labels to make one-hot, got a set without any")
        rows: NDArray[np.float32] = np.eye(self.num_classes, dtype=np.float32)[self.labels]
        return rows

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the shape, the images and the labels.

        It depends on nothing else: the same images have the same fingerprint as IDX, .npz, .npy, folder
        or zip, at any path. Hashed in chunks, so a memory-mapped set is never loaded whole.
        """
        digest = verified_hash(self.images) or hash_images(self.images)
        if self.labels is not None:
            digest.update(b"\nlabels int64\n")
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


def hash_images(images: NDArray[np.uint8]) -> "_Hash":
    """SHA-256 of the shape and the values of images [N, C, H, W], read in chunks."""
    digest = new_images_hash(images.shape)
    for chunk in iter_chunks(images):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest


def new_images_hash(shape: tuple[int, ...]) -> "_Hash":
    """The hash of `hash_images` before the values."""
    return hashlib.sha256(f"ganvas uint8 {list(shape)}\n".encode())


def rows_per_chunk(shape: tuple[int, ...]) -> int:
    """Number of images in a chunk of about 4 MiB."""
    return max(1, _CHUNK_BYTES // max(1, int(np.prod(shape[1:], dtype=np.int64))))


def iter_chunks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield images [N, ...] in chunks of about 4 MiB; pages of a memory map are released after each.

    Raises:
        MachineError: the file of a memory map has changed.
    """
    rows = rows_per_chunk(images.shape)
    for start in range(0, len(images), rows):
        check_unchanged(images)
        yield images[start : start + rows]
        release_pages(images)
    check_unchanged(images)


def take_images(images: NDArray[np.uint8], index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Copy the images of these indices into an array uint8 [n, C, H, W] in memory.

    A memory map is read from front to back, a few images at a time, and its pages are released.

    Raises:
        MachineError: the file of a memory map has changed.
    """
    if not isinstance(images, np.memmap):
        return images[index]
    order = np.argsort(index)
    result = np.empty((len(index), *images.shape[1:]), np.uint8)
    for rows in np.array_split(order, -(-len(order) // IMAGES_PER_READ)):
        check_unchanged(images)
        result[rows] = images[index[rows]]
        release_pages(images)
    check_unchanged(images)
    return result


def validate_image_shape(shape: tuple[int, ...], where: str) -> tuple[int, int, int, int]:
    """Return `shape` as (N, C, H, W) if ganvas supports it.

    Raises:
        DataError: not four dimensions, no images, not 1 or 3 channels, or a side out of range.
    """
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise DataError(
            f"{where}: expected images [N, C, H, W] with C 1 (gray) or 3 (RGB), got {list(shape)}; "
            "reshape them"
        )
    count, channels, height, width = shape
    if count < 1:
        raise DataError(f"{where}: expected at least one image, got none")
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise DataError(
            f"{where}: expected sides of {SMALLEST} to {LARGEST} pixels, got {width}x{height} "
            "(width x height); give a size and how to fit it: crop, pad or resize"
        )
    return count, channels, height, width


def validate_labels(labels: NDArray[Any], count: int, where: str) -> NDArray[np.int64]:
    """Labels as int64 [N].

    Args:
        labels: whole numbers, [N] or [N, 1] (as Keras gives CIFAR-10's).
        count: number of images.
        where: start of the error message.

    Raises:
        DataError: labels of another length, not integers, negative or too large.
    """
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where}: expected labels that are whole numbers, got {labels.dtype}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise DataError(
            f"{where}: expected one label per image, so {count}, got labels {list(labels.shape)}; "
            "check that images and labels belong together"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(
            f"{where}: expected labels from 0 to {MOST_CLASSES - 1}, got {low} to {high}; "
            "number the classes from 0"
        )
    return labels.astype(np.int64, copy=False)


def numbered_class_names(labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Class names for labels without names: the numbers themselves."""
    return tuple(str(label) for label in range(int(labels.max()) + 1))

"""`ImageStream`: images whose shape and labels are known and whose pixels are read in chunks.

Every reader returns an `ImageStream`; cropping, joining and checking wrap one stream in another;
`materialize` reads the last one into memory or into a memory-mapped file. Nothing is held twice.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganvas.data.files import read_errors
from ganvas.data.image_set import rows_per_chunk, validate_image_shape
from ganvas.errors import DataError

ImageArray = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ImageStream:
    """A set of images whose headers have been read, but not the pixels.

    Attributes:
        shape: (N, C, H, W), within the sizes of an ImageSet.
        chunks: gives the images in order, uint8 [n, C, H, W], N in all; may be called again.
        labels: int64 [N] or None.
        class_names: one printable name per class; () without labels.
        origin: what is read and how: path and options. Names the cache file of a memory map.
        stamp: see `file_stamp`, of all files: if it changes, a cached memory map is stale.
        in_place: memory-maps the images in place, if the file is uncompressed and laid out as [N, C, H, W].
        note: a sentence for people, or "".
        names: one printable name per image if each is a file; else ().
    """

    shape: tuple[int, int, int, int]
    chunks: Callable[[], Iterator[ImageArray]]
    labels: Labels | None
    class_names: tuple[str, ...]
    origin: str
    stamp: str
    in_place: Callable[[], ImageArray] | None = None
    note: str = ""
    names: tuple[str, ...] = ()


def layout(shape: tuple[int, ...], where: str) -> tuple[tuple[int, int, int, int], bool]:
    """The shape [N, C, H, W] of an array of images, and whether its channels come last.

    Args:
        shape: [N, H, W], [N, C, H, W] or [N, H, W, C], C 1 or 3. Sides are 8 or more, so the
            axis of 1 or 3 is the channels'.
        where: what the error line begins with.

    Raises:
        DataError: no such layout, or a size that ganvas cannot use.
    """
    if len(shape) == 3:
        return validate_image_shape((shape[0], 1, *shape[1:]), where), False
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        return validate_image_shape((shape[0], shape[3], shape[1], shape[2]), where), True
    if len(shape) == 4 and shape[1] in (1, 3):
        return validate_image_shape(shape, where), False
    raise DataError(
        f"{where}: expected images [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3, "
        f"got {list(shape)}; reshape them"
    )


def pixel_chunks(
    open_pixels: Callable[[], AbstractContextManager[BinaryIO]],
    array_shape: tuple[int, ...],
    path: Path,
) -> Iterator[ImageArray]:
    """Read raw uint8 images in order, and see that they end where they should.

    Args:
        open_pixels: opens the file at the first pixel.
        array_shape: shape of the array in the file, one of `layout`'s.
        path: for the error line.

    Yields:
        uint8 [n, C, H, W].

    Raises:
        DataError: the file has fewer or more bytes than its header says, or is damaged.
    """
    (count, channels, height, width), channels_last = layout(array_shape, str(path))
    image_bytes = channels * height * width
    rows = rows_per_chunk((count, channels, height, width))
    with read_errors(path), open_pixels() as stream:
        for start in range(0, count, rows):
            wanted = min(rows, count - start)
            data = read_exactly(stream, wanted * image_bytes)
            if len(data) < wanted * image_bytes:
                got = start + len(data) // image_bytes
                raise DataError(
                    f"{path}: expected {count} images of {width}x{height} as its header says, "
                    f"got a file that ends after {got}; fetch or make it again"
                )
            flat = np.frombuffer(data, np.uint8)
            if channels_last:
                yield flat.reshape(wanted, height, width, channels).transpose(0, 3, 1, 2)
            else:
                yield flat.reshape(wanted, channels, height, width)
        # Reading past the end also makes gzip and zip compare their checksums.
        if stream.read(1):
            raise DataError(
                f"{path}: expected its end after {count} images of {width}x{height}, got more "
                "bytes; fetch or make it again"
            )


def read_exactly(stream: BinaryIO, length: int) -> bytearray:
    """Read `length` bytes, or fewer at the end of the file.

    Reads in pieces, so that a wrong header allocates no memory.
    """
    data = bytearray()
    while len(data) < length:
        piece = stream.read(min(length - len(data), 2**20))
        if not piece:
            break
        data += piece
    return data


def concat_streams(first: ImageStream, second: ImageStream, where: str) -> ImageStream:
    """Two streams one after the other, as the training and the test set for split 'all'.

    Raises:
        DataError: images of another shape, or labels on one side only.
    """
    if first.shape[1:] != second.shape[1:]:
        raise DataError(
            f"{where}: expected training and test images of one shape, got "
            f"{list(first.shape[1:])} and {list(second.shape[1:])}"
        )
    labels: Labels | None = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    elif first.labels is not None or second.labels is not None:
        raise DataError(f"{where}: expected labels for training and test images alike, got one")

    def chunks() -> Iterator[ImageArray]:
        """Yield the images of the first stream, then those of the second."""
        yield from first.chunks()
        yield from second.chunks()

    return ImageStream(
        shape=(first.shape[0] + second.shape[0], *first.shape[1:]),
        chunks=chunks,
        labels=labels,
        class_names=max(first.class_names, second.class_names, key=len),
        origin=f"{first.origin}\n{second.origin}",
        stamp=f"{first.stamp}\n{second.stamp}",
        note=" ".join(note for note in dict.fromkeys((first.note, second.note)) if note),
    )


def transpose_stream(stream: ImageStream) -> ImageStream:
    """Rows and columns exchanged: in EMNIST's files every letter is transposed."""
    count, channels, height, width = stream.shape
    return replace(
        stream,
        shape=(count, channels, width, height),
        chunks=lambda: (chunk.swapaxes(2, 3) for chunk in stream.chunks()),
        origin=f"{stream.origin}\ntransposed",
        in_place=None,
    )


def verify_stream(stream: ImageStream, sha256: str, where: str) -> ImageStream:
    """Gray images that must be the published ones, bit for bit; checked as they pass.

    Args:
        stream: the images, C = 1.
        sha256: of the decompressed IDX file, whatever container the images came in.
        where: what the error line begins with.
    """

    def chunks() -> Iterator[ImageArray]:
        """Yield the images, and compare their hash at the end."""
        count, _, height, width = stream.shape
        digest = hashlib.sha256(struct.pack(">IIII", 0x0803, count, height, width))
        for chunk in stream.chunks():
            digest.update(np.ascontiguousarray(chunk).data)
            yield chunk
        _compare(digest.hexdigest(), sha256, where)

    # Another origin: the cached memory map of the same file as a user's own set has not been compared.
    origin = f"{stream.origin}\npublished, SHA-256 {sha256}"
    return replace(stream, chunks=chunks, origin=origin, in_place=None)


def verify_labels(labels: Labels, sha256: str, where: str) -> None:
    """The same for labels of 0 to 255; raises DataError when they are not the published ones."""
    head = struct.pack(">II", 0x0801, len(labels))
    _compare(hashlib.sha256(head + labels.astype(np.uint8).tobytes()).hexdigest(), sha256, where)


def _compare(got: str, expected: str, where: str) -> None:
    if got != expected:
        raise DataError(
            f"{where}: expected the published data (SHA-256 {expected[:12]}…), got {got[:12]}…; "
            "fetch it again, or pass its path to use it as a set of your own"
        )

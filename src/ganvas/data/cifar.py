"""CIFAR-10's binary version: records of one label byte and 3 x 32 x 32 bytes of pixels.

Source: https://www.cs.toronto.edu/~kriz/cifar.html ("Binary version"); no pickles. The .tar.gz is
read as it is, or the folder `cifar-10-batches-bin` that it unpacks to.
"""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import numpy as np

from ganvas.data.files import file_stamp, open_file, read_errors
from ganvas.data.image_set import rows_per_chunk, validate_labels
from ganvas.data.image_stream import ImageArray, ImageStream, read_exactly
from ganvas.errors import DataError

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BATCHES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
_RECORD = 1 + 3 * 32 * 32
_MOST_RECORDS = 10_000  # per batch; the published ones have exactly as many


class _Bounded:
    """A stream that ends in an error rather than unpack without end."""

    def __init__(self, stream: BinaryIO, limit: int, path: Path) -> None:
        self._stream, self._left, self._path = stream, limit, path

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; raises DataError beyond the limit."""
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(
                f"{self._path}: expected CIFAR-10's six batches, got an archive that unpacks to "
                "far more; fetch it again"
            )
        return data


def read_archive(path: Path, split: str) -> ImageStream:
    """One split ("train" or "test") of the .tar.gz; the batches wanted are held in memory.

    The archive lists its batches out of order and gzip cannot be read backwards.

    Raises:
        DataError: damaged, cut off, or a batch missing.
    """
    contents: dict[str, bytearray] = {}
    limit = 8 * _MOST_RECORDS * _RECORD
    with read_errors(path), open_file(path) as raw, gzip.open(raw) as unpacked:
        bounded = _Bounded(cast(BinaryIO, unpacked), limit, path)
        with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isreg() or name not in BATCHES[split]:
                    continue
                if not 0 < member.size <= _MOST_RECORDS * _RECORD:
                    raise DataError(
                        f"{path}: {name}: expected at most {_MOST_RECORDS} records of {_RECORD} "
                        f"bytes, got {member.size} bytes; fetch it again"
                    )
                file = archive.extractfile(member)
                contents[name] = read_exactly(cast(BinaryIO, file), member.size)
        while bounded.read(2**20):  # to the end, where gzip compares its checksum
            pass
    missing = [name for name in BATCHES[split] if name not in contents]
    if missing:
        raise DataError(f"{path}: expected {missing[0]} inside, got none; fetch it again")
    batches = [(name, contents[name]) for name in BATCHES[split]]
    return _stream(batches, path, f"{path.resolve()}\n{split}", file_stamp(path))


def read_folder(path: Path, split: str) -> ImageStream:
    """One split of the unpacked folder; raises DataError as `read_archive`."""
    batches = []
    for name in BATCHES[split]:
        with open_file(path / name) as stream:
            batches.append((name, read_exactly(stream, _MOST_RECORDS * _RECORD + 1)))
    stamps = "\n".join(file_stamp(path / name) for name in BATCHES[split])
    return _stream(batches, path, f"{path.resolve()}\n{split}", stamps)


def _stream(batches: list[tuple[str, bytearray]], path: Path, origin: str, stamps: str) -> ImageStream:
    arrays: list[ImageArray] = []
    for name, data in batches:
        if not data or len(data) % _RECORD or len(data) > _MOST_RECORDS * _RECORD:
            raise DataError(
                f"{path}: {name}: expected whole records of {_RECORD} bytes, at most "
                f"{_MOST_RECORDS}, got {len(data)} bytes; fetch it again"
            )
        arrays.append(np.frombuffer(data, np.uint8).reshape(-1, _RECORD))
    count = sum(len(array) for array in arrays)
    raw = np.concatenate([array[:, 0] for array in arrays])
    if raw.max() >= len(CLASSES):
        raise DataError(f"{path}: expected labels of 0 to 9, got {raw.max()}; fetch it again")

    def chunks() -> Iterator[ImageArray]:
        """Yield the images of all batches."""
        rows = rows_per_chunk((count, 3, 32, 32))
        for array in arrays:
            for start in range(0, len(array), rows):
                yield array[start : start + rows, 1:].reshape(-1, 3, 32, 32)

    return ImageStream(
        shape=(count, 3, 32, 32),
        chunks=chunks,
        labels=validate_labels(raw, count, str(path)),
        class_names=CLASSES,
        origin=origin,
        stamp=stamps,
    )

"""NumPy's .npz: a zip of arrays, with Keras's keys or with `images` and `labels`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from ganvas.data import npy
from ganvas.data.files import file_stamp
from ganvas.data.image_set import numbered_class_names, validate_labels
from ganvas.data.image_stream import ImageStream
from ganvas.data.safe_zip import members, open_zip
from ganvas.errors import DataError

_KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_OWN = ("images", "labels")


def splits(path: Path) -> tuple[str, ...]:
    """Which splits an .npz holds: ("train", "test") with Keras's keys, else ("train",).

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
        split: one of `splits(path)`.

    Raises:
        DataError: damaged, pickled, another dtype or shape, labels of another length.
    """
    keys = _keys(path)
    images_key, labels_key = _OWN if _OWN[0] in keys else _KERAS[split]
    origin = f"{path.resolve()}\n{images_key}"
    stream = npy.image_stream(_look(path, images_key), origin, file_stamp(path))
    if labels_key not in keys:
        return stream
    raw = npy.read_all(_look(path, labels_key))
    labels = validate_labels(raw, stream.shape[0], f"{path}: {labels_key}")
    return replace(stream, labels=labels, class_names=numbered_class_names(labels))


def holds_arrays(path: Path) -> bool:
    """Whether a zip is an .npz, by what it holds rather than by its name."""
    return bool(_keys(path))


def _keys(path: Path) -> set[str]:
    with open_zip(path) as archive:
        names = [info.filename for info in members(archive)]
    return {name.removesuffix(".npy") for name in names if name.endswith(".npy")}


def _look(path: Path, key: str) -> npy.NpyArray:
    with open_zip(path) as archive:
        info = archive.getinfo(f"{key}.npy")
    if info.file_size > (info.compress_size + 64) * 1032:
        raise DataError(f"{path}: {key} says it is larger than it can be; it is damaged")
    return npy.look(Path(f"{path}:{key}"), partial(_member, path, info.filename), info.file_size)


@contextmanager
def _member(path: Path, name: str) -> Iterator[BinaryIO]:
    with open_zip(path) as archive, archive.open(name) as stream:
        yield cast(BinaryIO, stream)

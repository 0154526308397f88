"""A set of the user's own: what kind of file or folder a path is, and which splits it has."""

from dataclasses import replace
from pathlib import Path

from ganvas.data import album, idx, npy, npz
from ganvas.data.files import head, reading
from ganvas.data.fit import Fit
from ganvas.data.imageset import numbered
from ganvas.data.known import idx_file
from ganvas.data.pictures import looks_like_picture
from ganvas.data.stream import ImageStream, joined
from ganvas.errors import DataError, NoSplitError

_IDX_NAMES = {"train": ("train",), "test": ("t10k", "test")}


def read_own(path: Path, split: str, fit: Fit | None) -> ImageStream:
    """The images at a path.

    Args:
        path: a folder of IDX files (train-images-idx3-ubyte, t10k-..., .gz or not) or of pictures;
            or an IDX file, .npz, .npy or .zip of pictures, told by content.
        split: "train", "test" or "all"; where there is one split only, "train" and "all" are it.
        fit: needed here already for pictures of mixed sizes.

    Raises:
        DataError: nothing there, nothing that can be used, damaged, or no such split.
    """
    with reading(path):
        is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
    if not exists:
        raise DataError(f"{path}: expected a file or folder of images, got nothing there; check it")
    if is_folder:
        return _folder(path, split, fit)
    if not is_file:
        raise DataError(f"{path}: expected a file or folder, got a device or pipe; name another")
    return _file(path, split, fit)


def _folder(path: Path, split: str, fit: Fit | None) -> ImageStream:
    with reading(path):
        found = {half: _idx_pair(path, half) for half in _IDX_NAMES}
    pairs = {half: pair for half, pair in found.items() if pair[0] or pair[1]}
    if not pairs:
        _only_split(path, split)
        return album.read_folder(path, fit)
    halves = _halves(path, split, tuple(pairs))
    streams = [_read_pair(path, half, pairs[half]) for half in halves]
    return _together(streams, path)


def _file(path: Path, split: str, fit: Fit | None) -> ImageStream:
    start = head(path)
    if not start:
        raise DataError(f"{path}: expected images, got an empty file; fetch or make it again")
    if start.startswith(b"PK"):
        if path.suffix.lower() == ".npz" or npz.holds_arrays(path):
            halves = _halves(path, split, npz.splits(path))
            streams = [npz.read_npz(path, half) for half in halves]
            return _together(streams, path)
        _only_split(path, split)
        return album.read_zip(path, fit)
    _only_split(path, split)
    if start.startswith(npy.MAGIC):
        return npy.read_npy(path)
    if looks_like_picture(start):
        raise DataError(f"{path}: expected a set of images, got a single picture; pass the folder it lies in")
    if idx.looks_like_idx(start):
        return idx.read_images(path)
    raise DataError(
        f"{path}: expected an IDX file, .npz, .npy or .zip of pictures, got a file that begins "
        f"with {start[:8].hex()}; check the file"
    )


def _together(streams: list[ImageStream], path: Path) -> ImageStream:
    if len(streams) == 1:
        return streams[0]
    train, test = streams
    return joined(train, test, str(path))


def _idx_pair(folder: Path, half: str) -> tuple[Path | None, Path | None]:
    for stem in _IDX_NAMES[half]:
        images = idx_file(folder, f"{stem}-images-idx3-ubyte")
        labels = idx_file(folder, f"{stem}-labels-idx1-ubyte")
        if images or labels:
            return images, labels
    return None, None


def _read_pair(folder: Path, half: str, pair: tuple[Path | None, Path | None]) -> ImageStream:
    images, labels = pair
    if images is None:
        raise DataError(f"{folder}: expected {half} images beside {labels}, got none; fetch them")
    stream = idx.read_images(images)
    if labels is None:
        return stream
    classes = idx.read_labels(labels, stream.shape[0])
    return replace(stream, labels=classes, class_names=numbered(classes))


def _halves(path: Path, split: str, there: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the splits that are there make up the wanted one."""
    if split == "all":
        return there
    if split not in there:
        raise NoSplitError(f"{path}: expected a {split} split, got only {there[0]!r}; ask for that")
    return (split,)


def _only_split(path: Path, split: str) -> None:
    if split == "test":
        raise NoSplitError(
            f"{path}: expected a test split, got a set that has one split only; ask for 'train'"
        )

"""User data: the kind of a file or folder, and the splits that it has."""

from dataclasses import replace
from pathlib import Path

from ganvas.data import idx, image_folder, numpy_files
from ganvas.data.files import head, read_errors
from ganvas.data.image_files import looks_like_image
from ganvas.data.image_set import numbered_class_names
from ganvas.data.image_stream import ImageStream, concat_streams
from ganvas.data.resize import Resize
from ganvas.errors import DataError, NoSplitError

_IDX_NAMES = {"train": ("train",), "test": ("t10k", "test")}


def read_user_data(path: Path, split: str, resize: Resize | None) -> ImageStream:
    """The images at a path.

    Args:
        path: a folder of IDX files (train-images-idx3-ubyte, t10k-..., .gz or not) or of images;
            or an IDX file, .npz, .npy or .zip of images, recognized by content.
        split: "train", "test" or "all"; with a single split, "train" and "all" are the same.
        resize: the target size; required for images of mixed sizes.

    Raises:
        DataError: not a supported format, damaged, or no such split.
    """
    with read_errors(path):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder:
        return _folder(path, split, resize)
    if not is_file:
        raise DataError(
            f"{path}: expected a file or folder, got a device, named pipe or socket; name another"
        )
    return _file(path, split, resize)


def _folder(path: Path, split: str, resize: Resize | None) -> ImageStream:
    with read_errors(path):
        pairs = {half: _idx_pair(path, half) for half in _IDX_NAMES}
    pairs = {half: pair for half, pair in pairs.items() if pair[0] or pair[1]}
    if not pairs:
        _only_split(path, split)
        return image_folder.read_folder(path, resize)
    halves = _halves(path, split, tuple(pairs))
    streams = [_read_pair(path, half, pairs[half]) for half in halves]
    return _concat(streams, path)


def _file(path: Path, split: str, resize: Resize | None) -> ImageStream:
    start = head(path)
    if not start:
        raise DataError(f"{path}: expected images, got an empty file; fetch or make it again")
    if start.startswith(b"PK"):
        if path.suffix.lower() == ".npz" or numpy_files.is_npz(path):
            halves = _halves(path, split, numpy_files.npz_splits(path))
            streams = [numpy_files.read_npz(path, half) for half in halves]
            return _concat(streams, path)
        _only_split(path, split)
        return image_folder.read_zip(path, resize)
    _only_split(path, split)
    if start.startswith(numpy_files.NPY_MAGIC):
        return numpy_files.read_npy(path)
    if looks_like_image(start):
        raise DataError(f"{path}: expected a set of images, got a single image; pass its folder")
    if idx.looks_like_idx(start):
        return idx.read_images(path)
    raise DataError(
        f"{path}: expected an IDX file, .npz, .npy or .zip of images, got a file that begins "
        f"with {start[:8].hex()}; check the file"
    )


def _concat(streams: list[ImageStream], path: Path) -> ImageStream:
    if len(streams) == 1:
        return streams[0]
    train, test = streams
    return concat_streams(train, test, str(path))


def _idx_pair(folder: Path, half: str) -> tuple[Path | None, Path | None]:
    for stem in _IDX_NAMES[half]:
        images = idx.idx_file(folder, f"{stem}-images-idx3-ubyte")
        labels = idx.idx_file(folder, f"{stem}-labels-idx1-ubyte")
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
    return replace(stream, labels=classes, class_names=numbered_class_names(classes))


def _halves(path: Path, split: str, present: tuple[str, ...]) -> tuple[str, ...]:
    """The splits in the data that make up `split`."""
    if split == "all":
        return present
    if split not in present:
        raise NoSplitError(f"{path}: expected a {split} split, got only {present[0]!r}; ask for that")
    return (split,)


def _only_split(path: Path, split: str) -> None:
    if split == "test":
        raise NoSplitError(
            f"{path}: expected a test split, got a set that has one split only; ask for 'train'"
        )

"""Published sets on this machine: the folders to search, and reading a set from one of them.

The name of a published set means the published data, in whatever folder: the number of images and, where
known, the SHA-256 of the payload must match. Other files in the same format are user data, used by path.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ganvas.data import cifar, idx, numpy_files
from ganvas.data.files import cache_folder, expand_home
from ganvas.data.image_stream import (
    ImageStream,
    concat_streams,
    transpose_stream,
    verify_labels,
    verify_stream,
)
from ganvas.data.published_sets import IdxSplit, PublishedFile, PublishedSet
from ganvas.errors import DataError

# torchvision has no default folder; its examples use root="data" or "./data".
TORCHVISION_ROOTS = ("data", "~/data", "~/.cache/torchvision")
KERAS = "~/.keras/datasets"
DEBIAN = "/usr/share/datasets"  # package dataset-fashion-mnist


class NotFoundHere(Exception):  # noqa: N818 - caught by the search
    """The set is not in a folder."""


@dataclass(frozen=True)
class SearchPath:
    """A folder to search.

    Attributes:
        folder: the folder, whether it exists or not.
        named_by_user: damaged data in it is an error; in other folders it is skipped.
        downloaded: its files are those that ganvas downloaded.
    """

    folder: Path
    named_by_user: bool = False
    downloaded: bool = False


def published_files(known: PublishedSet, split: str) -> list[PublishedFile]:
    """The files to download for a split, or for "all"."""
    halves = ("train", "test") if split == "all" else (split,)
    return list(dict.fromkeys(file for half in halves for file in known.published[half]))


def cache_search_path(known: PublishedSet) -> SearchPath:
    """The set's folder in the cache of ganvas, where downloads are stored."""
    return SearchPath(cache_folder() / "data" / known.folder_name, downloaded=True)


def search_paths(known: PublishedSet) -> list[SearchPath]:
    """All folders to search, in order, each once, whether they exist or not.

    Raises:
        DataError: GANVAS_DATA is set to something that is not a folder.
    """
    paths = [SearchPath(folder, named_by_user=True) for folder in _named_by_user(known)]
    paths.append(cache_search_path(known))
    for root in TORCHVISION_ROOTS:
        if known.torchvision:
            paths.append(SearchPath(expand_home(root) / known.torchvision / "raw"))
        if known.cifar:
            paths.append(SearchPath(expand_home(root)))
    if known.npz or known.cifar:
        paths.append(SearchPath(expand_home(KERAS)))
    else:
        paths.append(SearchPath(expand_home(KERAS) / known.name))
    if known.name == "fashion-mnist":
        paths.append(SearchPath(Path(DEBIAN) / known.name))
    # In the home folder, "data" and "~/data" are the same.
    unique: dict[Path, SearchPath] = {}
    for path in paths:
        unique.setdefault(path.folder.absolute(), path)
    return list(unique.values())


def _named_by_user(known: PublishedSet) -> list[Path]:
    value = os.environ.get("GANVAS_DATA")
    if not value:
        return []
    root = expand_home(value)
    if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises on names that are too long
        raise DataError(
            f"GANVAS_DATA: expected a folder that contains {known.folder_name}/, got {value!r}, which is "
            "not a folder; correct or unset it"
        )
    return [root / name for name in dict.fromkeys((known.name, known.folder_name))]


def read_published(known: PublishedSet, folder: Path, split: str) -> ImageStream:
    """One split ("train", "test" or "all") of a published set, from `folder`.

    Raises:
        NotFoundHere: the files are not there.
        DataError: they are there, but damaged or not the published ones (in part detected only when the
            stream is read).
    """
    if split == "all":
        train, test = (read_published(known, folder, half) for half in ("train", "test"))
        return concat_streams(train, test, str(folder))
    if known.cifar:
        return _read_cifar(folder, split)
    stream = _read_idx(known, known.idx[split], folder, split)
    return transpose_stream(stream) if known.transposed else stream


def _read_idx(known: PublishedSet, files: IdxSplit, folder: Path, split: str) -> ImageStream:
    images, labels = idx.idx_file(folder, files.images), idx.idx_file(folder, files.labels)
    if images is not None and labels is not None:
        where = str(images)
        stream = idx.read_images(images)
        classes = idx.read_labels(labels, stream.shape[0])
    elif known.npz and os.path.lexists(folder / known.npz):
        where = str(folder / known.npz)
        if split not in numpy_files.npz_splits(folder / known.npz):
            raise DataError(f"{where}: expected Keras's x_{split}, got none; fetch it again")
        stream = numpy_files.read_npz(folder / known.npz, split)
        if stream.labels is None:
            raise DataError(f"{where}: expected Keras's y_{split}, got none; fetch it again")
        classes = stream.labels
    elif images is not None or labels is not None:
        present, missing = (images, files.labels) if images else (labels, files.images)
        raise NotFoundHere(f"{present} without {missing}")
    else:
        raise NotFoundHere(f"no {files.images}")
    if stream.shape[:2] != (files.count, 1):
        raise DataError(
            f"{where}: expected {files.count} gray images, got {stream.shape[0]}; "
            "fetch it again, or pass its path to use it as a set of your own"
        )
    if files.images_sha256:
        stream = verify_stream(stream, files.images_sha256, where)
        verify_labels(classes, files.labels_sha256, str(labels or where))
    low, high = known.first_label, known.first_label + len(known.class_names) - 1
    if classes.min() < low or classes.max() > high:
        raise DataError(
            f"{labels or where}: expected labels of {low} to {high}, got {classes.min()} to "
            f"{classes.max()}; fetch it again"
        )
    return replace(stream, labels=classes - low, class_names=known.class_names)


def _read_cifar(folder: Path, split: str) -> ImageStream:
    if os.path.lexists(folder / cifar.ARCHIVE):
        stream = cifar.read_archive(folder / cifar.ARCHIVE, split)
    elif (folder / cifar.FOLDER).is_dir():
        stream = cifar.read_folder(folder / cifar.FOLDER, split)
    elif os.path.lexists(folder / cifar.BATCHES[split][0]):
        stream = cifar.read_folder(folder, split)
    else:
        raise NotFoundHere(f"no {cifar.ARCHIVE} and no {cifar.FOLDER}")
    expected = 10_000 * len(cifar.BATCHES[split])
    if stream.shape[0] != expected:
        raise DataError(f"{folder}: expected {expected} images, got {stream.shape[0]}; fetch again")
    return stream

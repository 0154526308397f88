"""Reading a set of the catalogue from one place on the disk, and holding it to what was published.

A name of the catalogue means the published data, wherever it is found: the number of images and,
where known, the SHA-256 of the payload must be right. Other files of the same form are a set of
the user's own, used by their path.
"""

from dataclasses import replace
from pathlib import Path

from ganvas.data import cifar, idx, npz
from ganvas.data.catalog import IdxSplit, KnownSet
from ganvas.data.stream import ImageStream, joined, transposed, verified, verify_labels
from ganvas.errors import DataError


class NotHere(Exception):  # noqa: N818 - an answer, not an error of the user's
    """A place does not hold the set at all."""


def read_known(known: KnownSet, place: Path, split: str) -> ImageStream:
    """One split ("train", "test" or "all") of a published set, from the folder `place`.

    Raises:
        NotHere: the files are not there.
        DataError: they are, but are damaged or not the published ones (some of it is found only
            when the stream is read).
    """
    if split == "all":
        train, test = (read_known(known, place, half) for half in ("train", "test"))
        return joined(train, test, str(place))
    if known.cifar:
        return _read_cifar(place, split)
    stream = _read_idx(known, known.idx[split], place, split)
    return transposed(stream) if known.lying else stream


def idx_file(folder: Path, name: str) -> Path | None:
    """An IDX file by its name: plain or .gz, and as some unpackers call it (-idx3 to .idx3)."""
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (folder / stem, folder / f"{stem}.gz"):
            if path.is_file():
                return path
    return None


def _read_idx(known: KnownSet, files: IdxSplit, place: Path, split: str) -> ImageStream:
    images, labels = idx_file(place, files.images), idx_file(place, files.labels)
    if images is not None and labels is not None:
        where = str(images)
        stream = idx.read_images(images)
        classes = idx.read_labels(labels, stream.shape[0])
    elif known.npz and (place / known.npz).is_file():
        where = str(place / known.npz)
        if split not in npz.splits(place / known.npz):
            raise DataError(f"{where}: expected Keras's x_{split}, got none; fetch it again")
        stream = npz.read_npz(place / known.npz, split)
        if stream.labels is None:
            raise DataError(f"{where}: expected Keras's y_{split}, got none; fetch it again")
        classes = stream.labels
    elif images is not None or labels is not None:
        there, missing = (images, files.labels) if images else (labels, files.images)
        raise NotHere(f"{there} without {missing}")
    else:
        raise NotHere(f"no {files.images}")
    if stream.shape[:2] != (files.count, 1):
        raise DataError(
            f"{where}: expected {files.count} grey images, got {stream.shape[0]}; "
            "fetch it again, or pass its path to use it as a set of your own"
        )
    if files.images_sha256:
        stream = verified(stream, files.images_sha256, where)
        verify_labels(classes, files.labels_sha256, str(labels or where))
    low, high = known.first_label, known.first_label + len(known.class_names) - 1
    if classes.min() < low or classes.max() > high:
        raise DataError(
            f"{labels or where}: expected labels of {low} to {high}, got {classes.min()} to "
            f"{classes.max()}; fetch it again"
        )
    return replace(stream, labels=classes - low, class_names=known.class_names)


def _read_cifar(place: Path, split: str) -> ImageStream:
    if (place / cifar.ARCHIVE).is_file():
        stream = cifar.read_archive(place / cifar.ARCHIVE, split)
    elif (place / cifar.FOLDER).is_dir():
        stream = cifar.read_folder(place / cifar.FOLDER, split)
    elif (place / cifar.BATCHES[split][0]).is_file():
        stream = cifar.read_folder(place, split)
    else:
        raise NotHere(f"no {cifar.ARCHIVE} and no {cifar.FOLDER}")
    expected = 10_000 * len(cifar.BATCHES[split])
    if stream.shape[0] != expected:
        raise DataError(f"{place}: expected {expected} images, got {stream.shape[0]}; fetch again")
    return stream

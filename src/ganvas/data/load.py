"""`load_dataset`: from a name or a path to an ImageSet."""

import math
import os
from dataclasses import replace
from pathlib import Path

from ganvas.data.download import NotFetched, fetch_all, verify_downloads
from ganvas.data.files import expand_home, read_errors
from ganvas.data.image_set import ImageSet
from ganvas.data.image_stream import ImageStream
from ganvas.data.materialize import materialize_stream
from ganvas.data.numpy_files import read_npz
from ganvas.data.published_files import (
    NotFoundHere,
    SearchPath,
    cache_search_path,
    published_files,
    read_published,
    search_paths,
)
from ganvas.data.published_sets import BUNDLED, DATASET_NAMES, DIGITS, PUBLISHED, PublishedSet
from ganvas.data.resize import METHODS, Resize, resize_stream
from ganvas.data.user_data import read_user_data
from ganvas.errors import DataError, DownloadError, NoSplitError, StorageError, did_you_mean, printable
from ganvas.utils.memory import MMAP_THRESHOLD

SPLITS = ("train", "test", "all")
_BUNDLED_FILE = Path(__file__).parent / "bundled" / "mnist_5k.npz"


def load_dataset(
    name_or_path: str | Path | None = None,
    *,
    split: str = "train",
    size: int | None = None,
    resize: str | None = None,
    mmap_threshold: float = MMAP_THRESHOLD,
    allow_download: bool = True,
) -> ImageSet:
    """Load a published set by its name, or images from a path.

    The name of a published set always means that set, even if a folder here has the same name (write
    ./mnist for the folder); a `Path` is always a path. None means MNIST, or the digits bundled with
    ganvas if MNIST is not available; `note` then says so.

    Args:
        name_or_path: one of `DATASET_NAMES`; a folder of IDX files or images; an IDX file, .npz, .npy,
            or .zip of images.
        split: "train", "test", or "all" (training images, then test images). Sets with one split
            call it "train"; "all" is the same there.
        size: height and width in pixels, 8 to 256; None keeps the size of the images.
        resize: "crop" scales the short side and takes the center, "pad" scales the long side and pads
            with black, "resize" changes the aspect ratio. Required when images have another size.
        mmap_threshold: a set larger than this fraction of the available memory is memory-mapped.
        allow_download: whether the network may be used.

    Returns:
        uint8 images [N, C, H, W] of 0 to 255, and labels if the set has them.

    Raises:
        DataError: no such name or path, invalid or damaged data, images of another size without `resize`.
        DownloadError: a published set is not on this machine and cannot be downloaded.
        StorageError: the cache cannot be written.
    """
    _check_options(split, mmap_threshold)
    target = _resize(size, resize)
    if name_or_path is None:
        try:
            return _search(PUBLISHED["mnist"], split, target, mmap_threshold, allow_download)
        except (_NotFound, StorageError) as error:
            return _load_bundled(split, target, mmap_threshold, instead_of=str(error))
    if isinstance(name_or_path, str):
        if name_or_path == BUNDLED:
            return _load_bundled(split, target, mmap_threshold)
        if name_or_path in PUBLISHED:
            return _load_published(PUBLISHED[name_or_path], split, target, mmap_threshold, allow_download)
        _refuse_unknown(name_or_path)
    path = expand_home(name_or_path)
    _refuse_missing(path, str(name_or_path))
    stream = resize_stream(read_user_data(path, split, target), target, str(path))
    return _finish(path.resolve().stem or str(path), stream, mmap_threshold, str(path))


def _check_options(split: str, mmap_threshold: float) -> None:
    if split not in SPLITS:
        raise DataError(f"split: expected {', '.join(SPLITS)}, got {split!r}; {did_you_mean(split, SPLITS)}")
    if not (math.isfinite(mmap_threshold) and 0 <= mmap_threshold <= 1):
        raise DataError(
            f"mmap_threshold: expected 0 to 1, got {mmap_threshold}; give a fraction of the available memory"
        )


def _resize(size: int | None, how: str | None) -> Resize | None:
    if size is None:
        if how is not None:
            raise DataError(
                f"resize: expected a size to {how if how in METHODS else 'resize'} to, got none; give one"
            )
        return None
    return Resize(size, how)


def _refuse_unknown(word: str) -> None:
    """Refuse a word that is no name of a set and neither exists nor looks like a path."""
    separators = [os.sep, "/", *([os.altsep] if os.altsep else [])]
    if not word or "\0" in word:
        raise DataError(f"data: expected a name or a path, got {word!r}; {did_you_mean(word, DATASET_NAMES)}")
    looks_like_path = any(s in word for s in separators) or word.startswith(("~", "."))
    if not looks_like_path and not os.path.lexists(word):
        raise DataError(
            f"data: expected the name of a set or a path, got {word!r}, which is neither; "
            f"{did_you_mean(word, DATASET_NAMES)}"
        )


def _refuse_missing(path: Path, written: str) -> None:
    """Refuse a path that does not exist, as the user wrote it (a trailing slash included)."""
    with read_errors(path):
        exists, is_link = path.exists(), path.is_symlink()
    if not exists and is_link:
        raise DataError(
            f"{written}: expected a file or folder of images, got a link that leads nowhere; remove it"
        )
    if not exists:
        raise DataError(f"{written}: no such file or folder, expected one of images; check the path")


class _NotFound(Exception):  # noqa: N818 - `load_dataset` turns it into its own error
    """A published set is not available; the message lists where it was searched."""


def _load_published(
    known: PublishedSet, split: str, resize: Resize | None, mmap_threshold: float, allow_download: bool
) -> ImageSet:
    """A published set; a `DownloadError` says where it was searched and what to do."""
    try:
        return _search(known, split, resize, mmap_threshold, allow_download)
    except _NotFound as error:
        raise DownloadError(
            f"{known.name}: not on this machine and not downloaded ({error}); set GANVAS_DATA "
            f"to a folder that contains {known.folder_name}/, or pass a path with --data, or use the "
            f"bundled --data {BUNDLED}"
        ) from None


def _search(
    known: PublishedSet, split: str, resize: Resize | None, mmap_threshold: float, allow_download: bool
) -> ImageSet:
    """Search every folder in order, then download; the first folder that has the set is used."""
    tried = [] if os.environ.get("GANVAS_DATA") else ["GANVAS_DATA (not set)"]
    for path in search_paths(known):
        result = _load_from(known, path, split, resize, mmap_threshold, tried)
        if result is not None:
            return result
    reasons = ["downloads were not allowed"]
    if allow_download:
        cache = cache_search_path(known)
        try:
            fetch_all(published_files(known, split), known.mirrors, cache.folder)
        except NotFetched as error:
            reasons = [str(reason) for reason in error.args]
        else:
            result = _load_from(
                known, replace(cache, named_by_user=True), split, resize, mmap_threshold, tried
            )
            if result is not None:
                return result
            reasons = tried[-1:]
    raise _NotFound(f"searched {', '.join(dict.fromkeys(tried))}; mirrors: {', '.join(reasons)}")


def _load_from(
    known: PublishedSet,
    path: SearchPath,
    split: str,
    resize: Resize | None,
    mmap_threshold: float,
    tried: list[str],
) -> ImageSet | None:
    """The set from one folder; None, with the reason appended to `tried`, if it is missing or unusable."""
    try:
        if path.downloaded:
            verify_downloads(published_files(known, split), path.folder)
        stream = read_published(known, path.folder, split)
    except NotFoundHere as answer:
        tried.append(f"{path.folder}: {answer}" if os.path.lexists(path.folder) else f"{path.folder}")
        return None
    except DataError as error:
        if path.named_by_user:
            raise
        tried.append(str(error))
        return None
    stream = resize_stream(stream, resize, known.name)
    try:
        return _finish(known.name, stream, mmap_threshold, str(path.folder))
    except DataError as error:
        if path.named_by_user:
            raise
        tried.append(str(error))
        return None


def _load_bundled(split: str, resize: Resize | None, mmap_threshold: float, instead_of: str = "") -> ImageSet:
    if split == "test":
        raise NoSplitError(
            f"{BUNDLED}: expected a test split, got a set that has one split only; ask for 'train'"
            + (f" ({instead_of})" if instead_of else "")
        )
    stream = replace(read_npz(_BUNDLED_FILE, "train"), class_names=DIGITS)
    stream = resize_stream(stream, resize, BUNDLED)
    source = f"{BUNDLED} (bundled with ganvas)"
    if instead_of:
        source = f"{BUNDLED} (bundled with ganvas; MNIST itself was not found: {instead_of})"
        stream = replace(stream, note=f"using {source}")
    return _finish(BUNDLED, stream, mmap_threshold, source)


def _finish(name: str, stream: ImageStream, mmap_threshold: float, source: str) -> ImageSet:
    images = materialize_stream(stream, mmap_threshold)
    return ImageSet(
        printable(name), images, stream.labels, stream.class_names, source, printable(stream.note)
    )

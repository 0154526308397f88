"""`load`: a name or a path in, an ImageSet out."""

import math
import os
from dataclasses import replace
from pathlib import Path

from ganvas.data.catalog import BUNDLED, CATALOG, DIGITS, NAMES, KnownSet
from ganvas.data.download import NotFetched, fetch_all
from ganvas.data.fit import WAYS, Fit, fitted
from ganvas.data.gather import gather
from ganvas.data.imageset import ImageSet
from ganvas.data.known import NotHere, read_known
from ganvas.data.npz import read_npz
from ganvas.data.own import read_own
from ganvas.data.places import Place, cache_place, places
from ganvas.data.stream import ImageStream
from ganvas.errors import DataError, DownloadError, NoSplitError, StorageError, nearest
from ganvas.memory import SHARE

SPLITS = ("train", "test", "all")
_BUNDLED_FILE = Path(__file__).parent / "bundled" / "mnist_5k.npz"


def load(
    name_or_path: str | Path | None = None,
    *,
    split: str = "train",
    size: int | None = None,
    fit: str | None = None,
    memory_share: float = SHARE,
    allow_download: bool = True,
) -> ImageSet:
    """A set of images by its name in the catalogue, or from a path.

    A bare name of the catalogue always means the catalogue's set, even if a folder here is called
    the same (write ./mnist for that); a `Path` is always a path. With None it is MNIST, or the
    digits bundled with ganvas when MNIST is not to be had; `note` then says so.

    Args:
        name_or_path: one of `NAMES`; a folder of IDX files or pictures; an IDX file, .npz, .npy,
            or .zip of pictures.
        split: "train", "test", or "all" (training images, then test images). Sets with one split
            call it "train"; "all" is the same there.
        size: height and width wanted, 8 to 256; None keeps what the images have.
        fit: "crop" scales the short side and cuts the middle out, "pad" scales the long side and
            fills up with black, "resize" squashes. Needed when images have another size.
        memory_share: a set larger than this share of the memory now available is memory-mapped.
        allow_download: whether the network may be used.

    Returns:
        uint8 images [N, C, H, W] of 0 to 255, and labels where there are any.

    Raises:
        DataError: no such name or path, bad or damaged data, sizes that do not fit.
        DownloadError: a set of the catalogue is not on this machine and cannot be fetched.
        StorageError: the cache cannot be written.
    """
    if split not in SPLITS:
        raise DataError(f"split: expected {', '.join(SPLITS)}, got {split!r}; {nearest(split, SPLITS)}")
    if not (math.isfinite(memory_share) and 0 <= memory_share <= 1):
        raise DataError(f"memory_share: expected 0 to 1, got {memory_share}; choose a share")
    wanted = _fit(size, fit)
    if name_or_path is None:
        try:
            return _load_known(CATALOG["mnist"], split, wanted, memory_share, allow_download)
        except (_NotFound, StorageError) as error:
            return _load_bundled(split, wanted, memory_share, instead_of=str(error))
    if isinstance(name_or_path, str):
        if name_or_path == BUNDLED:
            return _load_bundled(split, wanted, memory_share)
        if name_or_path in CATALOG:
            known = CATALOG[name_or_path]
            try:
                return _load_known(known, split, wanted, memory_share, allow_download)
            except _NotFound as error:
                raise DownloadError(
                    f"{known.name}: expected it on this machine or for download, got neither "
                    f"({error}); set GANVAS_DATA to a folder that holds {known.place}/, or pass a "
                    f"path with --data, or use the bundled --data {BUNDLED}"
                ) from None
        _refuse_unknown(name_or_path)
    path = Path(name_or_path).expanduser()
    stream = fitted(read_own(path, split, wanted), wanted, str(path))
    return _finish(path.resolve().stem or str(path), stream, memory_share, str(path))


def _fit(size: int | None, how: str | None) -> Fit | None:
    if size is None:
        if how is not None:
            raise DataError(f"fit: expected a size to {how if how in WAYS else 'fit'} to, got none; give one")
        return None
    return Fit(size, how)


def _refuse_unknown(word: str) -> None:
    """A word that is no name, no path that exists, and does not look like a path, is a slip."""
    separators = [os.sep, "/", *([os.altsep] if os.altsep else [])]
    if not word or "\0" in word:
        raise DataError(f"data: expected a name or a path, got {word!r}; {nearest(word, NAMES)}")
    looks_like_path = any(s in word for s in separators) or word.startswith(("~", "."))
    if not looks_like_path and not os.path.lexists(word):
        raise DataError(
            f"data: expected the name of a set or a path, got {word!r}, which is neither; "
            f"{nearest(word, NAMES)}"
        )


class _NotFound(Exception):  # noqa: N818 - an answer that `load` puts into words
    """A set of the catalogue is not to be had; says in words where it was looked for."""


def _load_known(
    known: KnownSet, split: str, fit: Fit | None, memory_share: float, allow_download: bool
) -> ImageSet:
    """Look in every place in turn, then download; the first place that holds the set wins."""
    tried = [] if os.environ.get("GANVAS_DATA") else ["GANVAS_DATA (not set)"]
    for place in places(known):
        found = _load_place(known, place, split, fit, memory_share, tried)
        if found is not None:
            return found
    reasons = ["no mirror, since downloads were not allowed"]
    if allow_download:
        halves = ("train", "test") if split == "all" else (split,)
        files = list(dict.fromkeys(file for half in halves for file in known.published[half]))
        cache = cache_place(known)
        try:
            fetch_all(files, known.mirrors, cache)
        except NotFetched as error:
            reasons = [str(reason) for reason in error.args]
        else:
            found = _load_place(known, Place(cache, True), split, fit, memory_share, tried)
            if found is not None:
                return found
            reasons = tried[-1:]
    raise _NotFound(f"looked in {'; '.join(tried)}; asked {'; '.join(reasons)}")


def _load_place(
    known: KnownSet,
    place: Place,
    split: str,
    fit: Fit | None,
    memory_share: float,
    tried: list[str],
) -> ImageSet | None:
    """The set from one place; None, and why in `tried`, when it is not there or not usable."""
    try:
        stream = read_known(known, place.folder, split)
    except NotHere as answer:
        tried.append(f"{place.folder}" if not place.folder.exists() else f"{place.folder}: {answer}")
        return None
    except DataError as error:
        if place.named_by_user:
            raise
        tried.append(str(error))
        return None
    stream = fitted(stream, fit, known.name)
    try:
        return _finish(known.name, stream, memory_share, str(place.folder))
    except DataError as error:
        if place.named_by_user:
            raise
        tried.append(str(error))
        return None


def _load_bundled(split: str, fit: Fit | None, memory_share: float, instead_of: str = "") -> ImageSet:
    if split == "test":
        raise NoSplitError(
            f"{BUNDLED}: expected a test split, got a set that has one split only; ask for 'train'"
            + (f" ({instead_of})" if instead_of else "")
        )
    stream = replace(read_npz(_BUNDLED_FILE, "train"), class_names=DIGITS)
    stream = fitted(stream, fit, BUNDLED)
    source = f"{BUNDLED} (bundled with ganvas)"
    if instead_of:
        source = f"{BUNDLED} (bundled with ganvas; MNIST itself was not found: {instead_of})"
        stream = replace(stream, note=f"using {source}")
    return _finish(BUNDLED, stream, memory_share, source)


def _finish(name: str, stream: ImageStream, memory_share: float, source: str) -> ImageSet:
    images = gather(stream, memory_share)
    return ImageSet(name, images, stream.labels, stream.class_names, source, stream.note)

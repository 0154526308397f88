"""A folder or a .zip of pictures as one set; sub-folders are classes.

- Hidden files, __MACOSX and Thumbs.db are passed over; other files that neither are pictures nor
  have a picture's ending are passed over too, and the set's note says so.
- Folders that wrap all pictures are no classes: they are taken off. Below, the first level names
  the class, classes are numbered in sorted order, pictures sorted by their path.
"""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from ganvas.data.files import opened, reading, stamp
from ganvas.data.fit import Fit
from ganvas.data.imageset import check_image_shape, rows_a_chunk
from ganvas.data.pictures import Look, decode, look, looks_like_picture
from ganvas.data.stream import ImageStream, Labels, Pixels, read_exactly
from ganvas.data.zips import members, opened_zip
from ganvas.errors import DataError

# A file with such an ending is meant to be a picture, so it must be one.
_ENDINGS = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp",
    ".gif", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".ico", ".ppm", ".pgm",
}  # fmt: skip
_MOST_FILE_BYTES = 64 * 2**20

# The place of a picture in its folder or archive.
Name = PurePosixPath
Opener = Callable[[Name], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class _Album:
    """Files by name, and how to open them; `opening` holds the archive open meanwhile."""

    path: Path
    names: list[Name]
    opening: Callable[[], AbstractContextManager[Opener]]
    stamp: str


def read_folder(path: Path, fit: Fit | None = None) -> ImageStream:
    """The pictures of a folder; see the head of this file and `_read`."""
    files = {Name(file.relative_to(path).as_posix()): file for file in _walk(path) if _seen(file, path)}

    @contextmanager
    def opening() -> Iterator[Opener]:
        yield lambda name: opened(files[name])

    stamps = "\n".join(f"{name} {stamp(files[name])}" for name in sorted(files))
    return _read(_Album(path, sorted(files), opening, stamps), fit)


def read_zip(path: Path, fit: Fit | None = None) -> ImageStream:
    """The pictures of a .zip, read in memory one by one; nothing is extracted."""
    with opened_zip(path) as archive:
        names = {Name(info.filename): info for info in members(archive)}
    names = {name: info for name, info in names.items() if not _hidden(name)}

    @contextmanager
    def opening() -> Iterator[Opener]:
        with opened_zip(path) as archive:

            @contextmanager
            def member(name: Name) -> Iterator[BinaryIO]:
                size = names[name].file_size
                if size > _MOST_FILE_BYTES:
                    raise DataError(
                        f"{path}: {name}: expected a picture of at most {_MOST_FILE_BYTES} bytes, "
                        f"got {size}; replace or remove it"
                    )
                with reading(f"{path}: {name}"), archive.open(names[name]) as stream:
                    # The last read compares the checksum. What lies beyond the size that the
                    # archive tells is never unpacked.
                    data = read_exactly(stream, size + 1)  # type: ignore[arg-type]
                if len(data) != size:
                    raise DataError(
                        f"{path}: {name}: expected {size} bytes as the archive says, got "
                        f"{len(data)}; it is damaged, pack it again"
                    )
                yield io.BytesIO(data)

            yield member

    return _read(_Album(path, sorted(names), opening, stamp(path)), fit)


def _read(album: _Album, fit: Fit | None) -> ImageStream:
    """Look at every picture's header, then promise the pixels.

    Raises:
        DataError: no pictures, one that is not, mixed modes or sizes (counted), or pictures both
            beside and inside class folders.
    """
    looks, others = _look_at_all(album)
    names = list(looks)
    channels = _one_mode(album, looks)
    height, width = _one_size(album, looks, fit)
    shape = check_image_shape((len(names), channels, height, width), str(album.path))
    labels, class_names = _classes(album, names)
    return ImageStream(
        shape=shape,
        chunks=partial(_chunks, album, names, shape, fit),
        labels=labels,
        class_names=class_names,
        origin=f"{album.path.resolve()}\n{fit}",
        stamp=album.stamp,
        note=_note(album, looks, others),
        names=tuple(str(name) for name in names),
    )


def _chunks(
    album: _Album, names: list[Name], shape: tuple[int, int, int, int], fit: Fit | None
) -> Iterator[Pixels]:
    rows = rows_a_chunk(shape)
    with album.opening() as open_file:
        for start in range(0, len(names), rows):
            some = names[start : start + rows]
            chunk = np.empty((len(some), *shape[1:]), np.uint8)
            for index, name in enumerate(some):
                where = f"{album.path}: {name}"
                with open_file(name) as stream:
                    pixels = decode(stream, where, fit)
                if pixels.shape != shape[1:]:
                    raise DataError(
                        f"{where}: expected {list(shape[1:])} as its header said, got "
                        f"{list(pixels.shape)}; it changed or is damaged, try again"
                    )
                chunk[index] = pixels
            yield chunk


def _look_at_all(album: _Album) -> tuple[dict[Name, Look], list[Name]]:
    looks: dict[Name, Look] = {}
    others: list[Name] = []
    with album.opening() as open_file:
        for name in album.names:
            with open_file(name) as stream, reading(f"{album.path}: {name}"):
                start = stream.read(12)
                if looks_like_picture(start) or name.suffix.lower() in _ENDINGS:
                    stream.seek(0)
                    looks[name] = look(stream, f"{album.path}: {name}")
                else:
                    others.append(name)
    if not looks:
        raise DataError(
            f"{album.path}: expected PNG, JPEG, BMP or WebP pictures (or IDX files), got "
            f"{_some(others) if others else 'nothing'}; check the path"
        )
    return looks, others


def _one_mode(album: _Album, looks: dict[Name, Look]) -> int:
    """1 or 3 channels, or an error that counts both and names the few."""
    grey = [name for name, seen in looks.items() if seen.channels == 1]
    colour = [name for name, seen in looks.items() if seen.channels == 3]
    if grey and colour:
        few = min(grey, colour, key=len)
        raise DataError(
            f"{album.path}: expected all pictures grey or all RGB, got {len(grey)} grey and "
            f"{len(colour)} RGB (such as {few[0]}); convert or remove the {len(few)}"
        )
    return 1 if grey else 3


def _one_size(album: _Album, looks: dict[Name, Look], fit: Fit | None) -> tuple[int, int]:
    """(height, width) of the set, or an error that counts the sizes."""
    if fit is not None and fit.how is not None:
        return fit.size, fit.size
    sizes = Counter((seen.width, seen.height) for seen in looks.values())
    if len(sizes) > 1:
        counted = ", ".join(f"{n} of {w}x{h}" for (w, h), n in sizes.most_common(5))
        more = f" and {len(sizes) - 5} sizes more" if len(sizes) > 5 else ""
        raise DataError(
            f"{album.path}: expected pictures of one size, got {counted}{more}; "
            "give a size and how to fit them: crop, pad or resize"
        )
    width, height = next(iter(sizes))
    if fit is not None and (height, width) != (fit.size, fit.size):
        raise DataError(
            f"{album.path}: expected pictures of {fit.size}x{fit.size}, got {width}x{height}; say "
            "how to fit them: crop, pad or resize"
        )
    return height, width


def _classes(album: _Album, names: list[Name]) -> tuple[Labels | None, tuple[str, ...]]:
    parts = [name.parts for name in names]
    while all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    beside = [p for p in parts if len(p) == 1]
    if len(beside) == len(parts):
        return None, ()
    if beside:
        raise DataError(
            f"{album.path}: expected all pictures in class folders or none, got {len(beside)} "
            f"beside (such as {beside[0][0]}) and {len(parts) - len(beside)} inside; move them"
        )
    class_names = tuple(sorted({p[0] for p in parts}))
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[p[0]] for p in parts], np.int64), class_names


def _note(album: _Album, looks: dict[Name, Look], others: list[Name]) -> str:
    alpha = sum(seen.alpha for seen in looks.values())
    sentences = []
    if others:
        sentences.append(f"{album.path}: files that are not pictures passed over: {_some(others)}.")
    if alpha:
        sentences.append(f"{album.path}: {alpha} pictures may be transparent: laid on black.")
    return " ".join(sentences)


def _some(names: list[Name]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(str(name) for name in names[:3]) + more


def _hidden(name: Name) -> bool:
    return (
        any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
        or name.name.lower() == "thumbs.db"
    )


def _seen(file: Path, folder: Path) -> bool:
    return not _hidden(Name(file.relative_to(folder).as_posix())) and file.is_file()


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder. Links are followed, but never into a folder they lie in."""

    def stop(error: OSError) -> None:
        raise error

    with reading(folder):
        for here, below, files in os.walk(folder, followlinks=True, onerror=stop):
            real = Path(here).resolve()
            ancestors = {real, *real.parents}
            below[:] = [
                name
                for name in below
                if not name.startswith(".") and (Path(here) / name).resolve() not in ancestors
            ]
            yield from (Path(here) / name for name in files)

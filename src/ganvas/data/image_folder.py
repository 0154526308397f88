"""A folder or a .zip of images as one set; sub-folders are classes.

- Hidden files, __MACOSX and Thumbs.db are skipped. Other files that are not images and do not have the
  suffix of one are skipped too, and the set's note says so.
"""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from ganvas.data.files import expand_home, file_stamp, open_file, read_errors
from ganvas.data.image_files import MOST_FILE_BYTES, ImageInfo, decode, looks_like_image, read_info
from ganvas.data.image_set import rows_per_chunk, validate_image_shape
from ganvas.data.image_stream import ImageArray, ImageStream, Labels, read_exactly
from ganvas.data.resize import Resize
from ganvas.data.safe_zip import members, open_zip
from ganvas.errors import DataError, first_few, printable

# A file with such an ending is meant to be an image, so it must be one.
_ENDINGS = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp",
    ".gif", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".ico", ".ppm", ".pgm",
}  # fmt: skip

# The path of an image in its folder or archive.
Name = PurePosixPath
Opener = Callable[[Name], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class _ImageFiles:
    """Files by name, and how to open them.

    Attributes:
        path: the folder or archive.
        names: of its files, in the order of the images.
        open_files: gives a function that opens a file; it keeps an archive open while they are read.
        stamp: see `ImageStream`.
        skipped: names of what cannot be read.
    """

    path: Path
    names: list[Name]
    open_files: Callable[[], AbstractContextManager[Opener]]
    stamp: str
    skipped: list[Name] = field(default_factory=list)


def read_folder(path: Path, resize: Resize | None = None) -> ImageStream:
    """The images of a folder; see the head of this file and `_read`."""
    files: dict[Name, Path] = {}
    skipped: list[Name] = []  # pipes, sockets, devices and links that lead nowhere
    for file in _walk(path):
        name = Name(file.relative_to(path).as_posix())
        if not _hidden(name):
            if file.is_file():
                files[name] = file
            elif name.suffix.lower() in _ENDINGS:
                raise DataError(
                    f"{path}: {name}: expected an image, got a link that leads nowhere, or something that is "
                    "not a regular file; remove it"
                )
            else:
                skipped.append(name)

    @contextmanager
    def open_files() -> Iterator[Opener]:
        """Give a function that opens a file of the folder."""
        yield lambda name: open_file(files[name])

    stamps = "\n".join(f"{name} {file_stamp(files[name])}" for name in sorted(files))
    return _read(_ImageFiles(path, sorted(files), open_files, stamps, skipped), resize)


def read_zip(path: Path, resize: Resize | None = None) -> ImageStream:
    """The images of a .zip, read in memory one by one; nothing is extracted."""
    with open_zip(path) as archive:
        named = {Name(name): info for name, info in members(archive).items()}
    names = {name: info for name, info in named.items() if not _hidden(name)}

    @contextmanager
    def open_files() -> Iterator[Opener]:
        """Open the archive, and give a function that reads a member into memory."""
        with open_zip(path) as archive:

            @contextmanager
            def open_member(name: Name) -> Iterator[BinaryIO]:
                """A member's content, checked against its size and checksum."""
                size = names[name].file_size
                if size > MOST_FILE_BYTES:
                    raise DataError(
                        f"{path}: {name}: expected an image of at most {MOST_FILE_BYTES} bytes, "
                        f"got {size}; replace or remove it"
                    )
                with read_errors(f"{path}: {name}"), archive.open(names[name]) as stream:
                    # The last read compares the checksum. What is beyond the size that the
                    # archive declares is never unpacked.
                    data = read_exactly(stream, size + 1)  # type: ignore[arg-type]
                if len(data) != size:
                    raise DataError(
                        f"{path}: {name}: expected {size} bytes as the archive says, got "
                        f"{len(data)}; it is damaged, pack it again"
                    )
                yield io.BytesIO(data)

            yield open_member

    return _read(_ImageFiles(path, sorted(names), open_files, file_stamp(path)), resize)


def load_images(
    path: str | Path, *, shape: tuple[int, int, int], resize: str | None = None
) -> tuple[list[str], ImageArray]:
    """Load the image at `path`, or those of a folder, for a discriminator.

    Args:
        path: a PNG, JPEG, BMP or WebP file, or a folder of them.
        shape: (C, H, W) of the result.
        resize: "crop", "pad" or "resize" brings images of another size to it; with None they are an error.

    Returns:
        File names, and uint8 images [n, C, H, W].

    Raises:
        DataError: no such file, not an image, another size or number of channels.
    """
    path = expand_home(path)
    channels, height, width = shape
    if resize is not None and height != width:
        raise DataError(
            f"resize: expected a square size to {resize} to, got {width}x{height}; "
            "bring the images to that size first"
        )
    target = Resize(height, resize) if resize is not None else None
    with read_errors(path):
        is_folder = path.is_dir()
    if is_folder:
        stream = read_folder(path, target)
        pixels = np.concatenate(list(stream.chunks()))
        names = list(stream.names)
    else:
        with open_file(path) as file:
            pixels = decode(file, str(path), target)[None]
        names = [printable(str(path))]
    if pixels.shape[1] != channels:
        kinds = {1: "gray", 3: "RGB"}
        raise DataError(f"{path}: expected {kinds[channels]} images, got {kinds[pixels.shape[1]]}; convert")
    if pixels.shape[2:] != (height, width):
        raise DataError(
            f"{path}: expected images of {width}x{height}, got "
            f"{pixels.shape[3]}x{pixels.shape[2]}; choose how to resize them: crop, pad or resize"
        )
    return names, pixels


def _read(source: _ImageFiles, resize: Resize | None) -> ImageStream:
    """Read the header of every image, and return a stream of their pixels.

    Raises:
        DataError: no images, one that is not, mixed modes or sizes (counted), or images both
            beside and inside class folders.
    """
    infos, others = _read_infos(source)
    names = list(infos)
    channels = _one_mode(source, infos)
    height, width = _one_size(source, infos, resize)
    shape = validate_image_shape((len(names), channels, height, width), str(source.path))
    labels, class_names = _classes(source, names)
    return ImageStream(
        shape=shape,
        chunks=partial(_chunks, source, names, shape, resize),
        labels=labels,
        class_names=class_names,
        origin=f"{source.path.resolve()}\n{resize}",
        stamp=source.stamp,
        note=_note(source, infos, others),
        names=tuple(printable(str(name)) for name in names),
    )


def _chunks(
    source: _ImageFiles, names: list[Name], shape: tuple[int, int, int, int], resize: Resize | None
) -> Iterator[ImageArray]:
    rows = rows_per_chunk(shape)
    with source.open_files() as open_file:
        for start in range(0, len(names), rows):
            some = names[start : start + rows]
            chunk = np.empty((len(some), *shape[1:]), np.uint8)
            for index, name in enumerate(some):
                where = f"{source.path}: {name}"
                with open_file(name) as stream:
                    pixels = decode(stream, where, resize)
                if pixels.shape != shape[1:]:
                    raise DataError(
                        f"{where}: expected {list(shape[1:])} as its header says, got "
                        f"{list(pixels.shape)}; it changed or is damaged, try again"
                    )
                chunk[index] = pixels
            yield chunk


def _read_infos(source: _ImageFiles) -> tuple[dict[Name, ImageInfo], list[Name]]:
    infos: dict[Name, ImageInfo] = {}
    others = list(source.skipped)
    with source.open_files() as open_file:
        for name in source.names:
            with open_file(name) as stream, read_errors(f"{source.path}: {name}"):
                start = stream.read(12)
                if looks_like_image(start) or name.suffix.lower() in _ENDINGS:
                    stream.seek(0)
                    infos[name] = read_info(stream, f"{source.path}: {name}")
                else:
                    others.append(name)
    if not infos:
        raise DataError(
            f"{source.path}: expected PNG, JPEG, BMP or WebP images (or IDX files), got "
            f"{_some(others) if others else 'nothing'}; check the path"
        )
    return infos, others


def _one_mode(source: _ImageFiles, infos: dict[Name, ImageInfo]) -> int:
    """1 or 3 channels, or an error that counts both and names the few."""
    gray = [name for name, info in infos.items() if info.channels == 1]
    color = [name for name, info in infos.items() if info.channels == 3]
    if gray and color:
        few = min(gray, color, key=len)
        raise DataError(
            f"{source.path}: expected all images gray or all RGB, got {len(gray)} gray and "
            f"{len(color)} RGB (such as {few[0]}); convert or remove the {len(few)}"
        )
    return 1 if gray else 3


def _one_size(source: _ImageFiles, infos: dict[Name, ImageInfo], resize: Resize | None) -> tuple[int, int]:
    """(height, width) of the set, or an error that counts the sizes."""
    if resize is not None and resize.how is not None:
        return resize.size, resize.size
    sizes = Counter((info.width, info.height) for info in infos.values())
    if len(sizes) > 1:
        counted = ", ".join(f"{n} of {w}x{h}" for (w, h), n in sizes.most_common(5))
        more = f" and {len(sizes) - 5} sizes more" if len(sizes) > 5 else ""
        raise DataError(
            f"{source.path}: expected images of one size, got {counted}{more}; "
            "give a size and how to resize them: crop, pad or resize"
        )
    width, height = next(iter(sizes))
    if resize is not None and (height, width) != (resize.size, resize.size):
        raise DataError(
            f"{source.path}: expected images of {resize.size}x{resize.size}, got {width}x{height}; choose "
            "how to resize them: crop, pad or resize"
        )
    return height, width


def _classes(source: _ImageFiles, names: list[Name]) -> tuple[Labels | None, tuple[str, ...]]:
    parts = [name.parts for name in names]
    while all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    beside = [p for p in parts if len(p) == 1]
    if len(beside) == len(parts):
        return None, ()
    if beside:
        raise DataError(
            f"{source.path}: expected all images in class folders or none, got {len(beside)} "
            f"beside (such as {beside[0][0]}) and {len(parts) - len(beside)} inside; move them"
        )
    folders = sorted({p[0] for p in parts})
    class_names = tuple(printable(folder) for folder in folders)
    if len(set(class_names)) < len(class_names):
        raise DataError(f"{source.path}: expected class folders of different printed names; rename them")
    numbers = {folder: number for number, folder in enumerate(folders)}
    return np.array([numbers[p[0]] for p in parts], np.int64), class_names


def _note(source: _ImageFiles, infos: dict[Name, ImageInfo], others: list[Name]) -> str:
    alpha = sum(info.alpha for info in infos.values())
    sentences = []
    if others:
        sentences.append(f"{source.path}: files that are not images were skipped: {_some(others)}.")
    if alpha:
        sentences.append(f"{source.path}: {alpha} images may be transparent: composited on black.")
    return " ".join(sentences)


def _some(names: list[Name]) -> str:
    return first_few([str(name) for name in names], 3)


def _hidden(name: Name) -> bool:
    return (
        any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
        or name.name.lower() == "thumbs.db"
    )


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder. Links are followed, but never to a folder that contains them."""

    def stop(error: OSError) -> None:
        """Raise what `os.walk` would ignore."""
        raise error

    with read_errors(folder):
        for here, below, files in os.walk(folder, followlinks=True, onerror=stop):
            real = Path(here).resolve()
            ancestors = {real, *real.parents}
            below[:] = [
                name
                for name in below
                if not name.startswith(".") and (Path(here) / name).resolve() not in ancestors
            ]
            yield from (Path(here) / name for name in files)

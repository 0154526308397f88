"""Zip archives (.zip of images, .npz) read without trusting them. Nothing is ever extracted.

Refused: entries that climb out of the archive or are links, encryption, rare compressions, names
that occur twice, and archives that unpack to far more than a set of small images ever would.
"""

import posixpath
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganvas.data.files import open_file
from ganvas.errors import DataError

# An archive that unpacks to more than the first may unpack to at most so many times its own size.
_FREE_BYTES = 2**30
_MOST_TIMES = 100
_DRIVE = re.compile(r"^[A-Za-z]:")


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive opened for reading, all its entries checked.

    Raises:
        DataError: not a zip, damaged, encrypted, or unsafe in one of the ways above.
    """
    with open_file(path) as stream, zipfile.ZipFile(stream) as archive:
        _check(path, archive)
        yield archive


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files in an archive by name, with slashes for the backslashes of some Windows programs."""
    names = {_plain_name(info): info for info in archive.infolist()}
    return {posixpath.normpath(name): info for name, info in names.items() if not name.endswith("/")}


def _plain_name(info: zipfile.ZipInfo) -> str:
    """The name as it is in the archive, with what follows a NUL byte, and with slashes alone."""
    return info.orig_filename.replace("\\", "/")


def _check(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    for info in entries:
        name = _plain_name(info)
        if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/") or "\0" in name:
            raise DataError(
                f"{path}: expected names that stay inside the archive, got {name!r}; "
                "do not use this file, or pack it again"
            )
        if posixpath.normpath(name) == ".":
            raise DataError(f"{path}: expected names of files, got {name!r}; pack it again")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"{path}: expected files, got the link {name!r}; pack it again")
        if info.flag_bits & 0x1:
            raise DataError(f"{path}: expected no password, got encrypted {name!r}; pack it again")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(
                f"{path}: expected stored or deflated files, got compression "
                f"{info.compress_type} for {name!r}; pack it again as a plain zip"
            )
    names = Counter(posixpath.normpath(_plain_name(info)) for info in entries)  # ./a.png is a.png
    if len(names) < len(entries):
        name = names.most_common(1)[0][0]
        raise DataError(f"{path}: expected every name once, got {name!r} twice; pack it again")
    unpacked = sum(info.file_size for info in entries)
    packed = path.stat().st_size
    if unpacked > _FREE_BYTES and unpacked > _MOST_TIMES * packed:
        raise DataError(
            f"{path}: expected at most {_MOST_TIMES} times its {packed} bytes when unpacked, got "
            f"{unpacked}; it looks like a zip bomb, do not use it"
        )

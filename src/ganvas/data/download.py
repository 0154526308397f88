"""Downloads: mirrors in turn, hashes before anything is believed, a finished file or none.

pooch (with requests below it) does the talking; it is imported only here and only then.
"""

import hashlib
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from ganvas.data.catalog import PublishedFile
from ganvas.data.files import CACHE_HINT, one_line, opened, reading
from ganvas.data.zips import opened_zip
from ganvas.errors import DataError
from ganvas.files import written_aside

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_PIECE = 2**20


class NotFetched(Exception):  # noqa: N818 - caught by the search, which knows what else was tried
    """No mirror gave the files; the reasons are its arguments."""


def fetch_all(files: Sequence[PublishedFile], mirrors: Sequence[str], folder: Path) -> None:
    """Bring files into a folder, each whole and with the right hash.

    A mirror that fails is not asked again, so that being offline costs seconds, not minutes.

    Args:
        files: what is wanted; those already there, whole, are not fetched again.
        mirrors: addresses that end in "/", tried in order.
        folder: made when needed.

    Raises:
        NotFetched: every mirror failed; one reason each.
        StorageError: the folder cannot be written.
    """
    failed: dict[str, str] = {}
    for file in files:
        if not _whole(folder / file.name, file):
            for mirror in mirrors:
                if mirror in failed:
                    continue
                reason = _fetch(mirror, file, folder)
                if not reason:
                    break
                failed[mirror] = f"{mirror}: {reason}"
            else:
                raise NotFetched(*failed.values())
        if file.members:
            _take_out(folder / file.name, file.members)


def _fetch(mirror: str, file: PublishedFile, folder: Path) -> str:
    """Fetch one file from one mirror; returns why it failed, or ""."""
    if not _answers(mirror):
        return "cannot be reached"
    import pooch

    progress = _Progress(file.name) if sys.stderr.isatty() else False
    download = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=_PIECE,
        timeout=(_CONNECT_SECONDS, _READ_SECONDS),
        # A server that packs once more on the way would change the bytes that are hashed.
        headers={"Accept-Encoding": "identity"},
    )
    try:
        with written_aside(folder / file.name, durable=True, hint=CACHE_HINT) as part:
            try:
                download(mirror + file.name, part, None)
            except OSError as error:
                if error.errno is not None:  # the disk's; requests's own carry no number
                    raise
                raise _FetchError(one_line(error)) from error
            _verify(part, file.digest)
    except _FetchError as error:
        return str(error)
    return ""


def _verify(part: IO[bytes], published: str) -> None:
    part.seek(0)
    got = _digest(part, published)
    if got != published:
        raise _FetchError(f"sent other bytes than published ({got}, not {published})")


class _FetchError(Exception):
    """One mirror failed; keeps the file that is being written from taking its name."""


def _answers(mirror: str) -> bool:
    """Whether a mirror's machine takes connections, found out within a few seconds.

    Timeouts of the connection alone do not bound this: the name server has its own, and a name may
    stand for many addresses that are tried one after the other.
    """
    address = urlsplit(mirror)
    if urllib.request.getproxies():
        return True  # the proxy does the connecting
    host, port = address.hostname or "", address.port or {"http": 80}.get(address.scheme, 443)
    connected: list[bool] = []

    def connect() -> None:
        try:
            with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
                connected.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    return bool(connected)


def _whole(path: Path, file: PublishedFile) -> bool:
    if not path.is_file():
        return False
    with opened(path) as stream:
        return _digest(stream, file.digest) == file.digest


def _digest(stream: IO[bytes], like: str) -> str:
    """Digest of a stream, by the algorithm and in the form of `like` ("md5:...")."""
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return f"{algorithm}:{digest.hexdigest()}"


def _take_out(path: Path, members: Sequence[str]) -> None:
    """Copy members of a zip to files beside it, then remove the zip."""
    with opened_zip(path) as archive:
        for member in members:
            if member not in archive.namelist():
                raise DataError(f"{path}: expected {member} inside, got none; fetch it again")
            with (
                reading(path),
                archive.open(member) as stream,
                written_aside(path.parent / PurePosixPath(member).name, durable=True, hint=CACHE_HINT) as out,
            ):
                while piece := stream.read(_PIECE):
                    out.write(piece)
    with reading(path):
        path.unlink()


class _Progress:
    """A line on the terminal that counts the bytes; made to pooch's measure."""

    def __init__(self, name: str) -> None:
        self.total = 0
        self._name, self._done, self._shown = name, 0, 0.0

    def update(self, count: int) -> None:
        """Count more bytes, and show it ten times a second at most."""
        self._done += count
        now = time.monotonic()
        if now - self._shown > 0.1:
            self._show()
            self._shown = now

    def reset(self) -> None:
        """Begin to count anew."""
        self._done = 0

    def close(self) -> None:
        """Show the whole and end the line."""
        self._show()
        sys.stderr.write("\n")

    def _show(self) -> None:
        done = min(self._done, self.total) if self.total else self._done
        share = f"{done / self.total:4.0%} of {self.total / 1e6:.1f}" if self.total else done / 1e6
        sys.stderr.write(f"\rdownloading {self._name}: {share} MB")
        sys.stderr.flush()

"""Download files: mirrors in turn, each file checked against its hash before it gets its name.

pooch (on requests) does the transfer; it is imported only for a download. `pooch.retrieve`, with its retries
and hash check, is not used: it retries one address, while here a mirror that failed is skipped for all
further files, so that being offline costs seconds.
"""

import hashlib
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from ganvas.data.files import CACHE_HINT, one_line, open_file, read_errors
from ganvas.data.published_sets import PublishedFile
from ganvas.data.safe_zip import open_zip
from ganvas.errors import DataError
from ganvas.utils.io import atomic_write

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_PIECE = 2**20


class NotFetched(Exception):  # noqa: N818 - caught by the search, which knows what else was tried
    """No mirror returned the files; its arguments are the reasons."""


def fetch_all(files: Sequence[PublishedFile], mirrors: Sequence[str], folder: Path) -> None:
    """Download files to a folder, each complete and with the right hash.

    A mirror that fails is skipped from then on, so that being offline costs seconds, not minutes.

    Args:
        files: the files; those already there with the right hash are not downloaded again.
        mirrors: addresses that end in "/", tried in order.
        folder: created if it is missing.

    Raises:
        NotFetched: every mirror failed; one reason each.
        StorageError: the folder cannot be written.
    """
    failed: dict[str, str] = {}
    for file in files:
        if not _is_complete(folder / file.name, file):
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
            _extract(folder / file.name, file.members)


def verify_downloads(files: Sequence[PublishedFile], folder: Path) -> None:
    """Check the files that were downloaded to a folder against their hashes; missing ones pass.

    Raises:
        DataError: a file is not the published one.
    """
    for file in files:
        if os.path.lexists(folder / file.name) and not _is_complete(folder / file.name, file):
            raise DataError(f"{folder / file.name}: expected the published file ({file.digest}), got another")


def _fetch(mirror: str, file: PublishedFile, folder: Path) -> str:
    """Fetch one file from one mirror; returns why it failed, or ""."""
    if not _is_reachable(mirror):
        return "cannot be reached"
    import pooch

    progress = _Progress(file.name) if sys.stderr.isatty() else False
    download = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=_PIECE,
        timeout=(_CONNECT_SECONDS, _READ_SECONDS),
        # Compression by the server would change the bytes that are hashed.
        headers={"Accept-Encoding": "identity"},
    )
    try:
        with atomic_write(folder / file.name, durable=True, hint=CACHE_HINT) as part:
            try:
                download(mirror + file.name, part, None)
            except OSError as error:
                if error.errno is not None:  # of the disk; those of requests have no errno
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
    """One mirror failed; raised inside `atomic_write`, so that the file does not get its name."""


def _is_reachable(mirror: str) -> bool:
    """Whether the host of a mirror accepts connections, decided within `_CONNECT_SECONDS`.

    The connection timeout does not bound this: name resolution has a timeout of its own, and a name may
    have many addresses that are tried one after the other.
    """
    address = urlsplit(mirror)
    if urllib.request.getproxies():
        return True  # the proxy connects
    host, port = address.hostname or "", address.port or {"http": 80}.get(address.scheme, 443)
    connected: list[bool] = []

    def connect() -> None:
        """Connect to the host, and note that it was possible."""
        try:
            with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
                connected.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    return bool(connected)


def _is_complete(path: Path, file: PublishedFile) -> bool:
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises on names that are too long
        return False
    with open_file(path) as stream:
        return _digest(stream, file.digest) == file.digest


def _digest(stream: IO[bytes], like: str) -> str:
    """Digest of a stream, by the algorithm and in the form of `like` ("md5:...")."""
    algorithm = like.partition(":")[0]
    digest = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))  # type: ignore[arg-type]
    return f"{algorithm}:{digest.hexdigest()}"


def _extract(path: Path, members: Sequence[str]) -> None:
    """Copy members of a zip to files beside it, then remove the zip."""
    with open_zip(path) as archive:
        for member in members:
            if member not in archive.namelist():
                raise DataError(f"{path}: expected {member} inside, got none; fetch it again")
            with (
                read_errors(path),
                archive.open(member) as stream,
                atomic_write(path.parent / PurePosixPath(member).name, durable=True, hint=CACHE_HINT) as out,
            ):
                while piece := stream.read(_PIECE):
                    out.write(piece)
    with read_errors(path):
        path.unlink()


class _Progress:
    """A line on the terminal that counts the bytes; with the interface that pooch expects."""

    def __init__(self, name: str) -> None:
        self.total = 0
        self._name, self._done, self._displayed_at = name, 0, 0.0

    def update(self, count: int) -> None:
        """Count more bytes, and display it ten times a second at most."""
        self._done += count
        now = time.monotonic()
        if now - self._displayed_at > 0.1:
            self._display()
            self._displayed_at = now

    def reset(self) -> None:
        """Start again from 0."""
        self._done = 0

    def close(self) -> None:
        """Display the final count and end the line."""
        self._display()
        sys.stderr.write("\n")

    def _display(self) -> None:
        done = min(self._done, self.total) if self.total else self._done
        fraction = f"{done / self.total:4.0%} of {self.total / 1e6:.1f}" if self.total else done / 1e6
        sys.stderr.write(f"\rdownloading {self._name}: {fraction} MB")
        sys.stderr.flush()

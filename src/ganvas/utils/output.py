"""What ganvas writes to a terminal, and standard output and error that outlive their reader.

All lines go through `print_line`, which escapes what could act on the terminal or forge a line: names, values
and messages come from files, archives and command lines of others. Nothing else in the package prints (a test
reads the sources), but for the progress bar, whose colors and cursor are its own.

A pipe is closed by `head`, a pager or a killed `tee`, a terminal closes, a log fills the disk, a service has
no console: what is shown is lost then, but not the work that it is about. So a stream that cannot be written
goes quiet, and remembers why.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from ganvas.errors import printable, shorten

READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO})
"""Errors of a pipe, terminal or socket that nobody reads any more."""
MAX_LINE = 4_000
"""Letters of one line: a path has its place, a list of 65,536 classes has not."""

_IN_ASCII = str.maketrans({"±": "+-", "∞": " inf", "–": "-", "−": "-", "…": "...", "²": "^2", "×": "x"})


class TolerantStream:
    """A text stream whose `write` and `flush` raise no `OSError`.

    After the first, its file descriptor leads to the null device, so that whatever else writes there (a
    library, the interpreter when it exits) does not fail either. Letters that the encoding lacks are escaped.

    Args:
        stream: the stream; None, as `sys.stderr` is in a process without a console, is one that drops all.

    Attributes:
        error: the first error; None while there was none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: Any = _NullStream() if stream is None else stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write `text`, or drop it."""
        try:
            self._stream.write(_spelled(text, getattr(self._stream, "encoding", None)))
        except OSError as error:
            self._go_quiet(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream; what cannot be written is dropped."""
        try:
            self._stream.flush()
        except OSError as error:
            self._go_quiet(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _go_quiet(self, error: OSError) -> None:
        self.error = self.error or error
        with contextlib.suppress(OSError):  # no descriptor, as in a notebook
            _redirect_to_null(self._stream.fileno())


def _spelled(text: str, encoding: str | None) -> str:
    """The text in letters that `encoding` has: common signs are spelled, others escaped."""
    if text.isascii() or encoding is None:
        return text
    try:
        text.encode(encoding)  # a stream that escapes by itself, as standard error does, spells nothing
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


class _NullStream(io.TextIOBase):
    """Drops what is written."""

    def write(self, text: str) -> int:
        return len(text)


def tolerant(stream: TextIO | TolerantStream | None) -> TolerantStream:
    """The stream, as one that raises no `OSError`."""
    return stream if isinstance(stream, TolerantStream) else TolerantStream(stream)


@contextlib.contextmanager
def tolerant_output() -> Iterator[TolerantStream]:
    """Within, `sys.stdout` (which is yielded) and `sys.stderr` are tolerant streams.

    Standard descriptors that are closed lead to the null device from here on: the next file that is opened
    would get their number, and what a library prints would end up in it. Warnings and log messages, of the
    package and of libraries, are lines on standard error, as all else.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _redirect_to_null(descriptor)
    before: tuple[Any, Any] = sys.stdout, sys.stderr
    out, err = tolerant(sys.stdout), tolerant(sys.stderr)
    streams: tuple[Any, Any] = out, err
    sys.stdout, sys.stderr = streams
    handler, show_warning = _LineHandler(logging.WARNING), warnings.showwarning
    logging.getLogger().addHandler(handler)
    warnings.showwarning = _print_warning
    try:
        yield out
    finally:
        logging.getLogger().removeHandler(handler)
        warnings.showwarning = show_warning
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


class _LineHandler(logging.Handler):
    """Prints log messages with `print_line`."""

    def emit(self, record: logging.LogRecord) -> None:
        print_line(record.getMessage(), sys.stderr)


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    print_line(f"warning: {message}", sys.stderr)


def one_line(text: str) -> str:
    r"""Text with values from outside, as one line: control characters and line breaks in it are escaped.

    >>> one_line("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    return printable(shorten(text, MAX_LINE))


def print_line(line: str, stream: TextIO | None = None) -> None:
    """Print one line on standard output, or on `stream`; it is there at once."""
    out = tolerant(sys.stdout if stream is None else stream)
    out.write(f"{one_line(line)}\n")
    out.flush()


def print_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Print each of `lines` with `print_line`."""
    for line in lines:
        print_line(line, stream)


def print_json(values: Mapping[str, Any], indent: int | None = None) -> None:
    """Print a JSON object on standard output, in ASCII and whole, whatever its length."""
    tolerant(sys.stdout).write(f"{json.dumps(values, indent=indent)}\n")


def write_to_terminal(line: str) -> None:
    """Write a line to the terminal that controls this process, if there is one, past closed output."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
        try:
            os.write(descriptor, f"{one_line(line)}\n".encode())
        finally:
            os.close(descriptor)


def _redirect_to_null(descriptor: int) -> None:
    """Make `descriptor`, open or not, lead to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)

"""Streams that cannot be written go quiet, and remember why."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from ganvas.utils.output import READER_GONE, TolerantStream, tolerant, tolerant_output


@pytest.fixture
def pipe_without_reader():
    """A text stream into a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream


def test_a_stream_without_a_reader_drops_what_is_written_and_remembers_why(pipe_without_reader):
    stream = TolerantStream(pipe_without_reader)
    print("a line", file=stream, flush=True)
    stream.writelines(["more\n"] * 10_000)
    stream.flush()
    assert stream.error.errno == errno.EPIPE
    assert stream.error.errno in READER_GONE
    os.write(pipe_without_reader.fileno(), b"what a library prints does not fail either")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_remembered_as_such():
    with Path("/dev/full").open("w", encoding="utf-8") as file:
        stream = TolerantStream(file)
        print("a line", file=stream, flush=True)
    assert stream.error.errno == errno.ENOSPC
    assert stream.error.errno not in READER_GONE


def test_letters_that_the_encoding_lacks_are_replaced_or_escaped():
    content = io.BytesIO()
    stream = TolerantStream(io.TextIOWrapper(content, encoding="ascii"))
    stream.write("FID 3 ± 1 é \udcff\n")
    stream.flush()
    assert content.getvalue() == b"FID 3 +- 1 \\xe9 \\udcff\n"
    assert stream.error is None


def test_a_stream_that_is_not_there_drops_all():
    stream = tolerant(None)
    assert stream.write("a line\n") == 7
    stream.flush()
    assert stream.error is None
    assert not stream.isatty()
    assert tolerant(stream) is stream


def test_standard_streams_are_tolerant_within_the_context_only(monkeypatch, pipe_without_reader):
    monkeypatch.setattr(sys, "stdout", pipe_without_reader)
    monkeypatch.setattr(sys, "stderr", None)
    with tolerant_output() as stdout:
        print("a line")
        print("another", file=sys.stderr, flush=True)
    assert stdout.error.errno == errno.EPIPE
    assert sys.stdout is pipe_without_reader
    assert sys.stderr is None

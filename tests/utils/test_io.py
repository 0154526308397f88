"""Files are whole or not there, and only regular files are read or written, however hostile the folder."""

import contextlib
import errno
import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.errors import StorageError
from ganvas.utils import io as io_


def below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("durable", [False, True])
def test_writing_makes_the_folder_and_replaces_the_old_file(tmp_path, durable):
    path = tmp_path / "a" / "b" / "file.bin"
    for content in (b"old and long", b"new", b""):
        io_.write_bytes(path, content, durable=durable)
        assert path.read_bytes() == content
    assert below(tmp_path) == ["a", "a/b", "a/b/file.bin"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "not allowed to write"),
        (errno.EROFS, "not allowed to write"),
        (errno.EIO, "could not write"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_aside(tmp_path, number, words):
    path = tmp_path / "file.bin"
    io_.write_bytes(path, b"old")
    with pytest.raises(StorageError) as caught, io_.atomic_write(path) as stream:  # noqa: PT012
        stream.write(b"half of")
        assert path.read_bytes() == b"old"
        raise OSError(number, "as told")
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert below(tmp_path) == ["file.bin"]


def test_a_stop_in_the_midst_of_writing_leaves_the_old_file_and_nothing_aside(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    io_.write_bytes(path, b"old")

    def replace(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        io_.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert below(tmp_path) == ["file.bin"]


def test_a_folder_in_the_files_place_is_left_with_all_it_holds(tmp_path):
    path = tmp_path / "file.bin"
    path.mkdir()
    (path / "inside").write_bytes(b"kept")
    with pytest.raises(StorageError):
        io_.write_bytes(path, b"new")
    assert below(tmp_path) == ["file.bin", "file.bin/inside"]
    assert (path / "inside").read_bytes() == b"kept"


def test_a_file_in_the_folders_place_is_left_alone(tmp_path):
    (tmp_path / "folder").write_bytes(b"kept")
    with pytest.raises(StorageError):
        io_.write_bytes(tmp_path / "folder" / "file.bin", b"new")
    assert below(tmp_path) == ["folder"]
    assert (tmp_path / "folder").read_bytes() == b"kept"


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True], "b": "grün\n"}, [], "x", 1e-7])
def test_json_goes_to_disk_and_back(tmp_path, value):
    io_.write_json(tmp_path / "v.json", value)
    text = (tmp_path / "v.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert text.endswith("\n")


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": object()}])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, value):
    path = tmp_path / "v.json"
    io_.write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        io_.write_json(path, value)
    assert path.read_text() == "1\n"
    assert below(tmp_path) == ["v.json"]


def test_only_errors_of_the_system_become_storage_errors():
    with pytest.raises(StorageError, match="could not write this: as told"), io_.storage_errors("this"):
        raise OSError(errno.EIO, "as told")
    with pytest.raises(KeyError), io_.storage_errors("this"):
        raise KeyError


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with contextlib.chdir(path.parent), contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path.name)  # from within: a socket's path may not be long


def make_link_out(path):
    outside = path.parent.parent / "outside.txt"
    outside.write_bytes(b"somebody else's")
    path.symlink_to(outside)


IRREGULAR = {
    "a folder": lambda path: path.mkdir(),
    "a named pipe": make_pipe,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a symbolic link to a folder": lambda path: path.symlink_to("/"),
    "a symbolic link": make_link_out,
    "a dangling symbolic link": lambda path: path.symlink_to(path.parent.parent / "outside.txt"),
    "a symbolic link to itself": lambda path: path.symlink_to(path),
}


@pytest.fixture(params=IRREGULAR)
def irregular(request, tmp_path):
    """A path where something else than a regular file lies, and its kind."""
    path = tmp_path / "folder" / "file.bin"
    path.parent.mkdir()
    IRREGULAR[request.param](path)
    return path, request.param


def test_what_is_no_regular_file_is_not_read_and_never_blocks(irregular):
    path, kind = irregular
    with pytest.raises(io_.IrregularFileError, match="expected a regular file"):
        io_.read_regular(path, limit=100, follow_links=False)
    if kind == "a symbolic link":
        assert io_.read_regular(path, limit=100) == b"somebody else's"
    else:
        with pytest.raises(OSError, match=r"expected a regular file|No such file|symbolic links"):
            io_.read_regular(path, limit=100)


@pytest.mark.parametrize("write", [io_.append_bytes, lambda p, c: io_.write_and_sync(p, c, durable=True)])
def test_what_is_no_regular_file_is_not_written_and_no_file_is_made_outside(irregular, write):
    path, kind = irregular
    outside = path.parent.parent / "outside.txt"
    with pytest.raises(io_.IrregularFileError, match="expected a regular file"):
        write(path, b"x")
    assert outside.exists() == (kind == "a symbolic link")
    if outside.exists():
        assert outside.read_bytes() == b"somebody else's"


def test_a_whole_new_file_takes_the_place_of_a_pipe_or_link_and_not_of_what_the_link_leads_to(irregular):
    path, kind = irregular
    outside = path.parent.parent / "outside.txt"
    if kind == "a folder":
        return  # see above: it is left with all that it holds
    io_.write_bytes(path, b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    if kind == "a symbolic link":
        assert outside.read_bytes() == b"somebody else's"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_is_not_read_without_end():
    with pytest.raises(io_.IrregularFileError, match="it is a device, expected a regular file"):
        io_.read_regular(Path("/dev/zero"), limit=100)


@pytest.mark.parametrize("size", [0, 99, 100])
def test_a_file_up_to_the_limit_is_read_whole(tmp_path, size):
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * size)
    assert io_.read_regular(path, limit=100) == b"x" * size


@pytest.mark.parametrize("size", [101, 2**40])
def test_a_file_above_the_limit_is_refused_before_it_is_read(tmp_path, size):
    path = tmp_path / "file.bin"
    with path.open("wb") as file:
        file.truncate(size)  # a terabyte that takes no room
    with pytest.raises(io_.IrregularFileError, match=f"it has {size:,} bytes, expected at most 100"):
        io_.read_regular(path, limit=100)


def test_a_pipe_that_takes_the_place_of_a_file_between_look_and_opening_is_refused(tmp_path):
    """An audit hook swaps the file at the moment of `open`; without O_NONBLOCK the process would hang."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"x")
    code = f"""
import os, sys
from pathlib import Path
from ganvas.utils import io
path = {str(path)!r}
def swap(event, arguments):
    if event == "open" and arguments[0] == path and os.path.isfile(path):
        os.unlink(path)
        os.mkfifo(path)
sys.addaudithook(swap)
try:
    io.read_regular(Path(path), limit=100)
except io.IrregularFileError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "it is a named pipe, expected a regular file\n", done.stderr


def test_appending_makes_the_file_and_adds_to_it(tmp_path):
    path = tmp_path / "log"
    for line in (b"one\n", b"two\n"):
        io_.append_bytes(path, line)
    assert path.read_bytes() == b"one\ntwo\n"

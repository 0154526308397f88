"""Files are whole or not there: whatever fails, the old file stays and nothing is left aside."""

import errno
import json
import math
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

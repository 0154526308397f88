"""The cache of what is computed once per set and feature network: nothing in it is believed unverified."""

import os
import shutil
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from ganvas.errors import StorageError
from ganvas.evaluation.reference import load_reference
from ganvas.evaluation.score import real_data_baseline
from ganvas.features import cache
from ganvas.features.cache import TensorSpec, cached_tensor, cached_tensors

SPEC = TensorSpec((3,))


def ones():
    return torch.ones(3)


def zeros():
    return torch.zeros(3)


@pytest.fixture(autouse=True)
def folder(fitted_cache):
    return fitted_cache


def the_file(folder):
    (file,) = folder.iterdir()
    return file


def sealed(name, tensors):
    """A file whose checksum is right."""
    content = safetensors.torch.save(tensors)
    return cache._checksum(name, content) + content


def test_a_second_call_is_answered_from_the_file():
    assert cached_tensor("set 1", SPEC, ones).tolist() == [1, 1, 1]
    assert cached_tensor("set 1", SPEC, zeros).tolist() == [1, 1, 1]
    assert cached_tensor("set 2", SPEC, zeros).tolist() == [0, 0, 0]


def test_a_file_of_another_format_is_computed_again(monkeypatch):
    cached_tensor("set 1", SPEC, ones)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert cached_tensor("set 1", SPEC, zeros).tolist() == [0, 0, 0]


F4 = b'{"value":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}'
CORRUPTIONS = {
    "a changed byte": lambda file: file[:-1] + b"!",
    "cut off": lambda file: file[: len(file) // 2],
    "empty": lambda _: b"",
    "noise": lambda _: os.urandom(300),
    "not sealed": lambda file: file[32:],
    "sealed under another's name": lambda _: sealed("set 2", {"value": ones()}),
    "another key": lambda _: sealed("set 1", {"features": ones()}),
    "one key more": lambda _: sealed("set 1", {"value": ones(), "more": ones()}),
    "another shape": lambda _: sealed("set 1", {"value": torch.ones(4)}),
    "another number of dimensions": lambda _: sealed("set 1", {"value": torch.ones(1, 3)}),
    "another type": lambda _: sealed("set 1", {"value": torch.ones(3, dtype=torch.float64)}),
    "no tensors": lambda _: sealed("set 1", {}),
    "an unknown type": lambda _: (
        cache._checksum("set 1", c := len(F4).to_bytes(8, "little") + F4 + b"\0\0") + c
    ),
    "a header without end": lambda _: cache._checksum("set 1", c := b"\xff" * 8 + b"{") + c,
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corrupted_file_is_computed_again_and_the_log_says_so(corruption, folder, caplog):
    cached_tensor("set 1", SPEC, ones)
    assert caplog.messages == []
    file = the_file(folder)
    file.write_bytes(CORRUPTIONS[corruption](file.read_bytes()))
    assert cached_tensor("set 1", SPEC, zeros).tolist() == [0, 0, 0]
    assert caplog.messages == [f"ganvas: {file}: this cached file was corrupted, and is made again"]
    assert cached_tensor("set 1", SPEC, ones).tolist() == [0, 0, 0]
    assert len(caplog.messages) == 1


def test_two_files_that_change_names_are_computed_again(folder):
    cached_tensor("set-1", SPEC, ones)
    cached_tensor("set-2", SPEC, zeros)
    first, second = sorted(folder.iterdir())
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert cached_tensor("set-1", SPEC, lambda: torch.full((3,), 5.0)).tolist() == [5, 5, 5]
    assert cached_tensor("set-2", SPEC, lambda: torch.full((3,), 6.0)).tolist() == [6, 6, 6]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 140),
    length=st.integers(0, 40),
    other=st.binary(max_size=40),
    name=st.sampled_from("ab"),
)
def test_a_damaged_file_is_never_taken_for_the_tensor(folder, start, length, other, name):
    cached_tensor(name, SPEC, ones)
    (file,) = (path for path in folder.iterdir() if path.name.startswith(f"{name}-v"))
    whole = file.read_bytes()
    file.write_bytes(whole[:start] + other + whole[start + length :])
    if file.read_bytes() != whole:
        assert cached_tensor(name, SPEC, zeros).tolist() == [0, 0, 0]
    file.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="a system without named pipes")
@pytest.mark.parametrize("make", [getattr(os, "mkfifo", None), lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_device_in_the_place_of_a_file_is_replaced(folder, make):
    cached_tensor("set 1", SPEC, ones)
    file = the_file(folder)
    file.unlink()
    make(file)
    assert cached_tensor("set 1", SPEC, zeros).tolist() == [0, 0, 0]
    assert cached_tensor("set 1", SPEC, ones).tolist() == [0, 0, 0]


def test_a_file_of_gigabytes_is_not_read(folder):
    cached_tensor("set 1", SPEC, ones)
    os.truncate(the_file(folder), 2**40)
    assert cached_tensor("set 1", SPEC, zeros).tolist() == [0, 0, 0]


def test_a_tensor_of_unknown_size_is_cached():
    spec = TensorSpec((None,), torch.uint8)
    for count in (5, 5000):
        values = torch.arange(count).to(torch.uint8)
        for _ in range(2):
            assert torch.equal(cached_tensor(f"{count}", spec, lambda v=values: v), values)


def test_the_scores_of_a_reference_do_not_depend_on_what_was_done_to_its_cache(tmp_path, folder):
    def results():
        """The features, and what is computed from them, of a set without a test split."""
        reference = load_reference(tiny.data_file(tmp_path))
        radii, centers = reference.radii.clone(), reference.centers.clone()
        return reference.features, radii, centers, real_data_baseline(reference, 20)

    expected = results()
    files = sorted(folder.iterdir())
    assert len(files) > 3
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):  # all names exchanged
        file.write_bytes(content)
    for got, value in zip(results(), expected, strict=True):
        assert torch.equal(got, value) if isinstance(value, torch.Tensor) else got == value


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """A cache on a file system of 64 KB; where none may be mounted the test is skipped."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    monkeypatch.setenv("GANVAS_CACHE", str(path))
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_an_error_before_the_work_where_the_cache_is_required(full_disk):
    def compute():
        """Work of minutes."""
        raise AssertionError("it began")

    with pytest.raises(StorageError, match="the disk is full"):
        cached_tensors("set", {"value": TensorSpec((100, 1000))}, compute, required=True)
    assert list((full_disk / "features").iterdir()) == []


def test_a_full_disk_is_done_without_where_the_cache_is_not_required(full_disk):
    assert cached_tensor("set", TensorSpec((100, 1000)), lambda: torch.ones(100, 1000)).sum() == 100_000
    assert list((full_disk / "features").iterdir()) == []

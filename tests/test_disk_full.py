"""A full disk stops training with one clear line and leaves the last good checkpoint, or the old run."""

import os
import shutil
import subprocess
import sys

import pytest

import ganvas
import tiny
from ganvas.errors import StorageError


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB; where none may be mounted the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_in_one_line_and_leaves_the_last_good_checkpoint(tmp_path, small_disk):
    data, run = tiny.data_file(tmp_path), small_disk / "run"
    words = ["train", "mlp", "--data", str(data), "--out", str(run), "--steps", "60"]
    words += tiny.words("mlp", {"checkpoint_interval": 1, "keep_last": 60})
    done = subprocess.run(
        [sys.executable, "-m", "ganvas", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ganvas: the disk is full")
    opened = ganvas.open_run(run)
    assert 1 < opened.step < 60
    opened.generator()
    assert opened.notes == []  # the newest checkpoint is whole
    assert not [p for p in run.rglob("*") if "partial" in p.name]

    shutil.copytree(run, tmp_path / "copy")  # with room again, it goes on to the same bits
    ganvas.resume(tmp_path / "copy", steps=60, data=data, quiet=True)
    whole = tiny.train(tmp_path, "mlp", steps=60, name="whole", data=data)
    assert tiny.weights(ganvas.open_run(tmp_path / "copy")) == tiny.weights(whole)


def test_a_disk_that_is_full_at_any_point_of_overwriting_leaves_the_old_run_or_the_new_one(
    tmp_path, small_disk
):
    data, run, filler = tiny.data_file(tmp_path), small_disk / "run", small_disk / "filler"
    sizes, outcomes = [0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512], []
    errors = []
    for kilobytes in sizes:
        shutil.rmtree(run, ignore_errors=True)
        tiny.train(small_disk, "mlp", steps=2, data=data, seed=1)
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - kilobytes * 1024)
        try:
            tiny.train(small_disk, "mlp", steps=2, data=data, seed=2, overwrite=True)
        except StorageError as error:
            errors.append(str(error))
        filler.unlink()
        opened = ganvas.open_run(run)
        outcomes.append(opened.record.seed)
        opened.generator()
        assert opened.notes == []
        if opened.record.seed == 1:
            assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"} == before
        else:
            assert opened.step == 2
        assert not [p for p in run.iterdir() if p.name.startswith(".repl")]
    assert outcomes == sorted(outcomes)  # from the old run to the new one, as there is more room
    assert set(outcomes) == {1, 2}
    assert all(error.startswith("the disk is full") for error in errors)

"""A full disk stops training with one clear line and leaves the last good checkpoint."""

import shutil
import subprocess
import sys

import pytest

import ganvas
import tiny


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

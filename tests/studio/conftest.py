"""A real studio over a folder with a finished run, and runs that train beside it."""

import subprocess
import sys

import pytest
from studio_process import StudioProcess, wait_for

import tiny


@pytest.fixture(scope="session")
def studio_root(tmp_path_factory):
    """A folder of runs with one that is finished, scored by nobody."""
    root = tmp_path_factory.mktemp("studio") / "runs"
    root.mkdir()
    tiny.train(root.parent, "mlp", steps=40, name="runs/discs", overrides={"grid.interval": 10})
    return root


@pytest.fixture(scope="session")
def studio(studio_root):
    """A studio for those tests that leave its runs as they are, or add runs of their own."""
    process = StudioProcess(studio_root)
    yield process
    process.stop()


@pytest.fixture
def training(tmp_path):
    """Start `ganvas train` of a tiny recipe; it never outlives the test."""
    data, processes = tiny.data_file(tmp_path), []

    def start(out, steps=100_000, *words):
        command = ["train", "mlp", "--data", str(data), "--out", str(out), *tiny.words("mlp"), "--quiet"]
        process = subprocess.Popen(
            [sys.executable, "-m", "ganvas", *command, "--steps", str(steps), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        processes.append(process)
        wait_for((out / "status.json").exists)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()

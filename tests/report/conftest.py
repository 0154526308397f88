"""One small run, trained once; tests write into copies of it."""

import shutil

import filled
import pytest

import tiny
from ganvas.runs.run import Run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of 6 steps on 12 x 12 images."""
    return tiny.train(tmp_path_factory.mktemp("trained"), "mlp", name="seed-0").path


@pytest.fixture
def copy(trained, tmp_path):
    """Makes a copy of the run, by name, with values of its record changed."""

    def made(name="run", **changed):
        run = Run.open(shutil.copytree(trained, tmp_path / name))
        if changed:
            run.directory.write(run.record.model_copy(update=changed))
        return Run.open(run.path)

    return made


@pytest.fixture
def run(copy):
    """A run as it is after training: no scores."""
    return copy()


@pytest.fixture
def full(copy):
    """A run with all there can be."""
    return filled.fill(copy("full"))

"""`Run`: its methods that train and score are the package's functions, for this run."""

import inspect
import json
import os

import pytest

import ganvas
import tiny
from ganvas import cli

OVERRIDES = {"scores": {"interval": 2, "images": 24, "final": 30}}


@pytest.fixture
def run(tmp_path):
    return tiny.train(tmp_path, "mlp", steps=2, overrides=OVERRIDES)


@pytest.mark.parametrize("name", ["evaluate", "resume", "fork"])
def test_a_method_has_the_parameters_of_the_function(name):
    method = dict(inspect.signature(getattr(ganvas.Run, name)).parameters)
    function = dict(inspect.signature(getattr(ganvas, name)).parameters)
    del method["self"], function["subject" if name == "evaluate" else "run"]
    of_a_path = {"size", "resize", "mmap_threshold"} if name == "evaluate" else set()
    expected = {key: parameter.default for key, parameter in function.items() if key not in of_a_path}
    assert {key: parameter.default for key, parameter in method.items()} == expected


def test_a_run_scores_itself_as_the_command_line_does(run, capsys):
    result = run.evaluate(count=40)
    assert [path.name for path in result.files] == ["evaluation.json", "neighbors.png", "report.html"]
    assert all(path.parent == run.path for path in result.files)
    assert cli.main(["evaluate", str(run.path), "--count", "40", "--json"]) == 0
    same = {**result.as_json(), "seconds": 0}
    assert {**json.loads(capsys.readouterr().out), "seconds": 0} == same


def test_a_resumed_run_is_the_same_object_with_the_new_steps(run):
    before = run.sample(2, step="newest").tobytes()
    assert run.resume(steps=4, quiet=True) is run
    assert (run.step, run.record.steps) == (4, 4)
    assert run.sample(2, step="newest").tobytes() != before


def test_a_fork_is_another_run_and_leaves_its_parent(run, tmp_path):
    fork = run.fork(step=2, steps=3, seed=5, out=tmp_path / "fork", quiet=True)
    assert (fork.step, fork.record.seed, fork.record.fork.step) == (3, 5, 2)
    assert (run.step, fork.path) == (2, tmp_path / "fork")


def test_a_run_is_taken_wherever_its_directory_is(run):
    assert os.fspath(run) == str(run.path)
    assert ganvas.open_run(run).path == run.path
    assert ganvas.resume(run, steps=3, quiet=True).step == 3

"""Whatever lies in the place of a run's file: each command ends, in one line, and writes nothing outside."""

import shutil

import pytest

import tiny
from ganvas.runs.own_files import FOLDERS
from hostile import COMMANDS, KINDS, call, outside, put

FILES = [
    "run.json", ".lock", "metrics.jsonl", "evaluation.json", "clusters.safetensors", "animation.gif",
    "neighbors.png", "report.html", "samples", "checkpoints", "generators", "tensorboard",
]  # fmt: skip
"""What is looked at when a run is opened, so that no command uses it."""

PARTS = [
    "samples/00000002.png", "checkpoints/00000004", "checkpoints/00000004/state.json",
    "checkpoints/00000004/generator.safetensors", "checkpoints/00000002/generator_optimizer.safetensors",
    "generators/epoch-0001.safetensors",
]  # fmt: skip
"""What some commands need, and some have something else to use instead of."""

CASES = [
    *((name, kind) for name in FILES for kind in KINDS),
    *((name, kind) for name in PARTS for kind in KINDS if kind not in ("a socket", "a link to itself")),
]
OTHERS = {"interpolate", "discriminate", "report", "compare"}  # read the parts as `sample` and `evaluate` do


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with one of everything, and another one to compare it with."""
    folder = tmp_path_factory.mktemp("trained")
    how = {"checkpoint_interval": 2, "generator_interval": 2, "grid.interval": 2}
    scored = {"scores": {"interval": 2, "images": 24, "final": 24}}
    tiny.train(folder, "mlp", steps=4, overrides={**how, **scored}, clusters=2)
    tiny.train(folder, "mlp", steps=2, name="other")
    return folder


@pytest.fixture
def victim(trained, tmp_path):
    """Makes a copy of the run that a command may destroy, on and on."""
    shutil.copytree(trained / "other", tmp_path / "other")

    def victim():
        for path in tmp_path.iterdir():
            if path.name != "other":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return shutil.copytree(trained / "run", tmp_path / "victim")

    return victim


def tree(folder):
    """The content of all regular files below a folder."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(code, lines, path):
    """Whether the last line says what is wrong with `path`."""
    return code == 2 and lines[-1].startswith("ganvas: ") and path.name in lines[-1]


@pytest.mark.timeout(120)  # nothing waits for a pipe
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_no_command_hangs_or_leaves_the_run(victim, name, kind):
    for command in COMMANDS if name in FILES else sorted(COMMANDS.keys() - OTHERS):
        run = victim()
        put(run / name, kind)
        before = tree(outside(run / name).parent)
        code, lines = call(COMMANDS[command](run))
        assert code in (0, 2) or (code == 1 and kind == "a folder"), (command, lines)  # not to be written
        errors = [line for line in lines if line.startswith("ganvas: ")]
        assert errors == ([] if code == 0 else lines[-1:]), (command, lines)
        if name in FILES and kind != "a huge file" and not (name in FOLDERS and kind == "a folder"):
            assert refused(code, lines, run / name), (command, lines)
        assert tree(outside(run / name).parent) == before, command


IN_A_CHECKPOINT = [(part, kind) for part in PARTS[2:4] for kind in KINDS if kind != "a huge file"]


@pytest.mark.parametrize(("part", "kind"), [("checkpoints/00000004", "a link out"), *IN_A_CHECKPOINT])
def test_a_checkpoint_with_something_else_for_a_file_is_passed_over_with_a_note(victim, part, kind):
    run = victim()
    put(run / part, kind)
    code, lines = call(["sample", run, "--count", "2", "--step", "newest"])
    assert code == 0
    assert "falling back to the one before it" in lines[0]

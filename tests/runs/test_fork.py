"""`ganvas fork`: a new run continues from a checkpoint, and its parent stays as it is."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

import ganvas
import tiny
from ganvas import cli
from ganvas.errors import RunError, UserError
from ganvas.runs.directory import RunDirectory
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.overwrite import remove_killed_forks
from kills import KILL_BEFORE

SCORED = {"scores": {"interval": 2, "images": 24, "final": 24}, "checkpoint_interval": 2, "keep_last": 9}


def files(run):
    return {p: p.read_bytes() for p in sorted(run.path.rglob("*")) if p.is_file() and p.name != ".lock"}


@pytest.fixture
def parent(tmp_path):
    return tiny.train(tmp_path, steps=6, overrides={"checkpoint_interval": 2, "keep_last": 9})


def test_a_fork_with_nothing_changed_comes_to_the_same_bits(parent):
    before = files(parent)
    fork = ganvas.fork(parent.path, step=2, quiet=True)
    assert fork.path == parent.path.with_name("run-from-2")
    assert tiny.weights(fork) == tiny.weights(parent)
    assert files(parent) == before


def test_a_fork_records_where_it_came_from_and_what_was_changed(parent):
    overrides = {"generator_optimizer.learning_rate": 1e-5}
    fork = ganvas.fork(parent.path, step=4, overrides=overrides, seed=7, steps=8, quiet=True)
    record = json.loads(fork.directory.record_path.read_text())
    assert record["fork"] == {
        "parent": str(parent.path.resolve()),
        "step": 4,
        "overrides": {"generator_optimizer.learning_rate": 1e-5, "length": 8, "seed": 7},
    }
    assert record["recipe"]["generator_optimizer"]["learning_rate"] == 1e-5
    assert fork.step == 8
    assert tiny.weights(fork) != tiny.weights(parent)
    steps = [line["step"] for line in fork.history() if "generator_loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    shared = parent.directory.sample_files()[0]
    assert (fork.directory.samples / shared.name).read_bytes() == shared.read_bytes()


def test_a_fork_resumes_like_any_run(parent):
    whole = ganvas.fork(parent.path, step=2, out=parent.path.with_name("a"), seed=3, steps=9, quiet=True)
    ganvas.fork(parent.path, step=2, out=parent.path.with_name("b"), seed=3, steps=5, quiet=True)
    parts = ganvas.resume(parent.path.with_name("b"), steps=9, quiet=True)
    assert tiny.weights(parts) == tiny.weights(whole)


def test_the_best_checkpoint_is_kept_taken_by_sample_and_begun_from(tmp_path):
    run = tiny.train(tmp_path, steps=8, overrides={**SCORED, "keep_last": 1})
    scores = {s["step"]: s["score"]["fid"] for s in run.history() if "score" in s}
    best = min(scores, key=scores.get)
    assert run.best_step == best
    assert run.resolve_step() == best
    assert (run.directory.checkpoints / f"{best:08d}").is_dir()
    assert run.sample(4).tobytes() == run.sample(4, step=best).tobytes()
    assert run.resolve_step("newest") == 8
    if best < 8:
        fork = ganvas.fork(run.path, step="best", quiet=True)
        assert fork.record.fork.step == best


def test_a_damaged_best_checkpoint_is_passed_over_with_a_note(tmp_path):
    run = tiny.train(tmp_path, steps=4, overrides=SCORED)
    best = run.best_step
    (run.directory.checkpoints / f"{best:08d}" / "generator.safetensors").write_bytes(b"x")
    again = type(run).open(run.path)
    assert again.resolve_step() != best
    assert "damaged" in again.notes[0]
    with pytest.raises(RunError, match="damaged"):
        type(run).open(run.path).resolve_step("best")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"step": 3}, "no checkpoint of step 3; there are: 2, 4, 6"),
        ({"step": "best"}, "no scored checkpoint"),
        ({"step": "worst"}, "expected a step's number, best or newest"),
        ({"step": 6}, "give a longer length"),
        ({"step": 2, "overrides": {"generator.base_channels": 16}}, "generator cannot be changed"),
        ({"step": 2, "overrides": {"latent.size": 7}}, "latent cannot be changed"),
        ({"step": 2, "overrides": {"split": "test"}}, "split cannot be changed"),
        ({"step": 2, "overrides": {"data": "fashion-mnist"}}, "data cannot be changed"),
        ({"step": 2, "overrides": {"batch_size": 1000}}, "batch_size 1000 is larger"),
        ({"step": 2, "data": "/no/such/place"}, "no such file or folder"),
        ({"step": 2, "overrides": {"batch_sise": 7}}, "did you mean 'batch_size'"),
        ({"step": 2, "seed": -1}, "seed -1"),
    ],
)
def test_what_no_fork_can_be_is_refused_and_nothing_is_left(parent, how, expected):
    before = sorted(p.name for p in parent.path.parent.iterdir())
    with pytest.raises(UserError, match=expected):
        ganvas.fork(parent.path, quiet=True, **how)
    assert sorted(p.name for p in parent.path.parent.iterdir()) == before


def test_a_fork_never_takes_a_directory_that_is_there(parent, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunError, match="a fork needs a new directory"):
        ganvas.fork(parent.path, step=2, out=tmp_path / "taken", quiet=True)


def test_an_average_that_a_fork_newly_asks_for_begins_at_the_generator(parent):
    fork = ganvas.fork(parent.path, step=4, overrides={"ema": 0.9}, quiet=True)
    assert (fork.directory.checkpoints / "00000006" / "generator_ema.safetensors").exists()


def test_the_command_line_begins_a_fork_and_show_tells_of_it(parent, capsys):
    words = ["fork", str(parent.path), "--step", "2", "--set", "batch_size=8", "--quiet"]
    assert cli.main(words) == 0
    fork = RunDirectory(parent.path.with_name("run-from-2"))
    assert fork.read().recipe.batch_size == 8
    assert cli.main(["show", str(fork.path)]) == 0
    output = capsys.readouterr().out
    assert "fork " in output
    assert "batch_size 8" in output


def test_a_fork_with_another_batch_counts_its_epochs_anew(parent):
    fork = ganvas.fork(parent.path, step=2, overrides={"batch_size": 36}, quiet=True)
    assert parent.record.steps_per_epoch == 5
    assert fork.record.steps_per_epoch == 2


def test_a_fork_is_begun_from_within_the_run_too(parent, monkeypatch):
    monkeypatch.chdir(parent.path)
    fork = ganvas.fork(".", step=2, quiet=True)
    assert fork.path == parent.path.with_name("run-from-2").resolve()


def test_a_fork_keeps_its_own_best_though_its_parent_was_better(tmp_path):
    run = tiny.train(tmp_path, steps=4, overrides={**SCORED, "keep_last": 1, "keep_interval": 4})
    lines = [json.loads(line) for line in run.directory.metrics.read_text().splitlines()]
    for line in lines:
        if "score" in line and line["step"] == 2:
            line["score"]["fid"] = 0.001
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fork = ganvas.fork(run.path, step="newest", steps=10, quiet=True)
    scores = {s["step"]: s["score"]["fid"] for s in fork.history() if "score" in s and s["step"] >= 4}
    assert fork.best_step == min(scores, key=scores.get)


FORK = """
import torch
from ganvas.runs.fork import new_fork
from ganvas.runs.run import Run
def fork_into(folder, name="fork"):
    new_fork(run, 1, folder / name, {"length": 2}, info={"command": "", "created": "", "ganvas": ""})

torch.set_num_threads(1)
run, forks, number = Run.open(sys.argv[1]), pathlib.Path(sys.argv[2]), 1
fork_into(forks / "first")  # what is imported lazily is imported once, not in each child
"""

ONE_BY_ONE = """
while True:
    folder = forks / str(number)
    folder.mkdir()
    if not is_killed_before(number, folder, lambda: fork_into(folder)):
        break
    number += 1
print(number)
"""


def test_what_a_fork_killed_at_any_point_leaves_is_swept(tmp_path):
    parent = tiny.train(tmp_path, "mlp", steps=1, overrides={"grid.interval": 9})
    before = files(parent)
    forks = tmp_path / "forks"
    command = [sys.executable, "-c", KILL_BEFORE + FORK + ONE_BY_ONE, parent.path, forks]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tries, left = int(done.stdout), []
    for number in range(1, tries + 1):
        folder = forks / str(number)
        left.append([path.name for path in folder.iterdir()])
        remove_killed_forks(folder)
        for path in folder.iterdir():  # complete, or not yet begun, which a day later is removed
            assert path.name == "fork" or {p.name for p in path.rglob("*")} <= {".lock"}, number
            if path.name == "fork":
                assert ganvas.open_run(path).step == 1
    assert sum(bool(names) and names != ["fork"] for names in left) > 15
    assert left[-1] == ["fork"]
    assert files(parent) == before


AT_ONCE = """
children = []
for number in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        for repeat in range(4):
            fork_into(forks, f"fork-{number}-{repeat}")
        os._exit(0)
print(sum(os.waitpid(child, 0)[1] == 0 for child in children))
"""


def test_forks_made_at_once_do_not_sweep_each_other(tmp_path):
    parent = tiny.train(tmp_path, "mlp", steps=1, overrides={"grid.interval": 9})
    command = [sys.executable, "-c", KILL_BEFORE + FORK + AT_ONCE, parent.path, tmp_path / "forks"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "8\n", done.stderr
    expected = {"first", *(f"fork-{number}-{repeat}" for number in range(8) for repeat in range(4))}
    assert {path.name for path in (tmp_path / "forks").iterdir()} == expected


def make_partial(parent, name=".run-from-2.0123abcd.partial"):
    """What a killed fork leaves."""
    partial = parent.path.with_name(name)
    shutil.copytree(parent.path, partial)
    return partial


def test_resuming_sweeps_killed_forks_too(parent):
    partial = make_partial(parent)
    ganvas.resume(parent.path, quiet=True)
    assert not partial.exists()


def test_a_fork_at_work_in_another_process_is_not_swept(parent):
    partial = make_partial(parent)
    before = sorted(partial.rglob("*"))
    with exclusive_lock(partial):
        ganvas.fork(parent.path, step=2, quiet=True)
    assert sorted(partial.rglob("*")) == before


def test_a_fork_that_is_just_beginning_is_not_swept(parent):
    fresh, stale = (parent.path.with_name(f".run-from-2.0123abc{n}.partial") for n in range(2))
    for partial in (fresh, stale):
        partial.mkdir()
    os.utime(stale, (time.time() - 2 * 24 * 3600,) * 2)
    ganvas.fork(parent.path, step=2, quiet=True)
    assert fresh.exists()
    assert not stale.exists()


@pytest.mark.parametrize(
    "name", [".photos.partial", ".run.0123abcd.part", "run.0123abcd.partial", ".0123abcd.partial"]
)
def test_a_folder_of_another_name_is_not_swept(parent, name):
    partial = make_partial(parent, name)
    before = sorted(partial.rglob("*"))
    ganvas.fork(parent.path, step=2, quiet=True)
    assert sorted(partial.rglob("*")) == before


def test_the_users_files_in_what_a_killed_fork_left_stay(parent, tmp_path):
    partial, outside = make_partial(parent), tmp_path / "outside"
    (partial / "notes.md").write_text("years of work")
    (partial / "checkpoints" / "00000002" / "notes.md").write_text("years of work")
    outside.mkdir()
    (outside / "00000000.png").write_bytes(b"somebody else's")
    shutil.rmtree(partial / "samples")
    (partial / "samples").symlink_to(outside)
    ganvas.fork(parent.path, step=2, quiet=True)
    left = {p.relative_to(partial).as_posix() for p in partial.rglob("*") if not p.is_dir()}
    assert left == {"notes.md", "checkpoints/00000002/notes.md"}
    assert (outside / "00000000.png").exists()

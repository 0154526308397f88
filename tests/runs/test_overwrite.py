"""Overwriting removes only what ganvas wrote; a kill at any moment leaves the old run or the new one."""

import json
import os
import shutil
import subprocess
import sys

import pytest

import ganvas
import tiny
from ganvas.callbacks.base import Callback
from ganvas.errors import GanvasError, RunError, StorageError, TrainingError
from ganvas.runs.lock import exclusive_lock
from ganvas.runs.summary import summary
from hostile import put
from kills import KILL_BEFORE

HOW = {"overrides": {"checkpoint_interval": 2, "grid.interval": 1, "generator_interval": 2}, "clusters": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with one of everything, in a folder with its data."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.train(folder, "mlp", steps=4, **HOW)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it that a test may destroy."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def tree(folder):
    """Everything below `folder`: the content of files, where links lead; the lock file is left out."""
    return {
        path.relative_to(folder).as_posix(): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
    }


def _content(path):
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_file():
        with path.open("rb") as file:
            return file.read(2**20)  # one of them is a sparse terabyte
    return None


def files(folder):
    """Those of `tree` that are files or links."""
    return {name: content for name, content in tree(folder).items() if content is not None}


def overwrite(run, **more):
    """Train another run, of one step, in its place."""
    data, name = more.pop("data", None) or run.parent / "discs.npz", more.pop("out", run)
    return tiny.train(run.parent, "mlp", steps=1, name=name, overwrite=True, data=data, seed=5, **more)


def write(path, content="years of work"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


USERS_FILES = [
    "notes.md", "analysis/results.csv", ".git/HEAD", "sample.png", "samples/mine.png", "samples/notes.txt",
    "checkpoints/README", "checkpoints/best/model.bin", "generators/mine.safetensors", "movie.partial",
    "tensorboard/mine/events", "tensorboard/profile.json", ".discarded-mine/notes.md",
]  # fmt: skip


def test_overwriting_removes_all_of_the_old_run_and_nothing_of_the_user(run):
    for name in USERS_FILES:
        write(run / name)
    (run / "plots").symlink_to(run.parent)
    (run / "lost").symlink_to("nowhere")
    again = overwrite(run)
    assert ganvas.open_run(run).record.seed == 5
    left = files(run)
    assert {name for name in USERS_FILES if left.get(name) != b"years of work"} == set()
    assert left["plots"] == f"-> {run.parent}"
    assert left["lost"] == "-> nowhere"
    fresh = tiny.train(run.parent, "mlp", steps=1, name="fresh", data=run.parent / "discs.npz", seed=5)
    assert set(left) - {*USERS_FILES, "plots", "lost"} == set(files(fresh.path))
    assert tiny.weights(again) == tiny.weights(fresh)


def test_a_folder_of_the_user_where_the_old_run_would_be_set_aside_is_left_alone(run):
    write(run / ".replaced" / "mine.txt")
    before = tree(run)
    with pytest.raises(StorageError, match="the run there stays as it was"):
        overwrite(run)
    assert tree(run) == before


def make_record(run, change):
    values = json.loads((run / "run.json").read_text())
    change(values)
    (run / "run.json").write_text(json.dumps(values))


def replace_record(make):
    def change(run):
        (run / "run.json").unlink()
        make(run / "run.json")

    return change


def link_to_a_copy(path):
    shutil.copy(path.parent / "metrics.jsonl", path.parent / "copy.json")
    path.symlink_to("copy.json")


NO_CERTAIN_RUNS = {
    "empty": replace_record(lambda p: p.write_bytes(b"")),
    "a list": replace_record(lambda p: p.write_text("[1, 2]")),
    "null": replace_record(lambda p: p.write_text("null")),
    "a number": replace_record(lambda p: p.write_text("2")),
    "no JSON": replace_record(lambda p: p.write_bytes(b"\xff\xfe\x00")),
    "nested deep": replace_record(lambda p: p.write_text("[" * 100_000)),
    "too large": replace_record(lambda p: os.truncate(p, 2**40) if p.write_text("{}") else None),
    "an empty object": replace_record(lambda p: p.write_text("{}")),
    "another program's": replace_record(lambda p: p.write_text('{"name": "my thesis", "steps": [1]}')),
    "another program's format": replace_record(lambda p: p.write_text('{"format": 2, "seed": 1}')),
    "a folder": replace_record(lambda p: p.mkdir()),
    "a pipe": replace_record(os.mkfifo),
    "a device": replace_record(lambda p: p.symlink_to("/dev/zero")),
    "a link": replace_record(link_to_a_copy),
    "a dangling link": replace_record(lambda p: p.symlink_to("nowhere")),
    "a newer format": lambda run: make_record(run, lambda v: v.update(format=99)),
    "format true": lambda run: make_record(run, lambda v: v.update(format=True)),
    "format text": lambda run: make_record(run, lambda v: v.update(format="2")),
    "format 0": lambda run: make_record(run, lambda v: v.update(format=0)),
    "no recipe": lambda run: make_record(run, lambda v: v.pop("recipe")),
    "no version": lambda run: make_record(run, lambda v: v.pop("ganvas")),
    "no data": lambda run: make_record(run, lambda v: v.pop("data")),
    "a list for data": lambda run: make_record(run, lambda v: v.update(data=[])),
    "linked checkpoints": lambda run: link(run / "checkpoints"),
    "a linked checkpoint": lambda run: link(run / "checkpoints" / "00000004"),
    "linked weights": lambda run: link(run / "checkpoints" / "00000004" / "generator.safetensors"),
    "linked samples": lambda run: link(run / "samples"),
    "a linked grid": lambda run: link(run / "samples" / "00000002.png"),
    "a linked log": lambda run: link(run / "metrics.jsonl"),
    "a folder for the log": lambda run: ((run / "metrics.jsonl").unlink(), (run / "metrics.jsonl").mkdir()),
    "a user's file in a checkpoint": lambda run: write(run / "checkpoints" / "00000004" / "notes.txt"),
}


def link(path):
    """Move what is at `path` out of the run, and put a link there."""
    target = next(p for p in path.parents if p.name == "run").with_name("outside") / path.name
    target.parent.mkdir()
    shutil.move(path, target)
    path.symlink_to(target)


@pytest.mark.parametrize("kind", NO_CERTAIN_RUNS)
def test_what_is_not_certainly_a_run_is_left_untouched(run, kind):
    NO_CERTAIN_RUNS[kind](run)
    before = tree(run.parent)
    with pytest.raises(RunError, match=r"cannot overwrite .*choose another out$") as caught:
        overwrite(run)
    assert "\n" not in str(caught.value)
    assert tree(run.parent) == before


def test_a_run_of_an_earlier_format_is_replaced(run):
    make_record(run, lambda values: values.update(format=1))
    shutil.copy(run / "report.html", run / "neighbours.png")  # codespell:ignore
    overwrite(run)
    assert ganvas.open_run(run).record.seed == 5
    assert not (run / "neighbours.png").exists()  # codespell:ignore


def test_an_interrupted_beginning_is_replaced(run):
    for name in ("samples", "checkpoints", "generators"):
        shutil.rmtree(run / name)
    (run / "metrics.jsonl").unlink()
    assert overwrite(run).step == 1


@pytest.mark.parametrize("name", ["thesis.txt", "movie.partial", "samples/mine.png", ".replaced/thesis.txt"])
def test_a_folder_without_run_json_is_never_taken_for_a_run(run, name):
    shutil.rmtree(run)
    write(run / name)
    with pytest.raises(RunError, match="holds other files and no run"):
        overwrite(run)
    assert files(run) == {name: b"years of work"}


@pytest.mark.parametrize("where", [".", "samples", "analysis"])
def test_the_working_directory_is_not_overwritten(run, monkeypatch, where):
    (run / where).mkdir(exist_ok=True)
    monkeypatch.chdir(run / where)
    before = tree(run)
    with pytest.raises(RunError, match="the working directory"):
        overwrite(run)
    assert tree(run) == before


@pytest.mark.parametrize("where", ["child", "analysis/deep/child", "samples/child", ".hidden"])
def test_a_run_with_another_run_inside_is_not_overwritten(run, where):
    shutil.copytree(run, run.with_name("child"))
    shutil.move(run.with_name("child"), run / where)
    before = tree(run)
    with pytest.raises(RunError, match="got another run"):
        overwrite(run)
    assert tree(run) == before


def data_inside(run):
    return shutil.move(run.parent / "discs.npz", run / "discs.npz")


def data_behind_a_link(run):
    shutil.move(run.parent / "discs.npz", run / "discs.npz")
    (run.parent / "link.npz").symlink_to(run / "discs.npz")
    return run.parent / "link.npz"


def data_spelled_otherwise(run):
    shutil.move(run.parent / "discs.npz", run / "discs.npz")
    return run.parent / "run" / ".." / "run" / "samples" / ".." / "discs.npz"


def grids_of_the_run(run):
    return run / "samples"


def links_to_grids(run):
    folder = run.parent / "images"
    folder.mkdir()
    for number, grid in enumerate(sorted((run / "samples").iterdir())):
        (folder / f"{number}.png").symlink_to(grid)
    return folder


def a_folder_that_holds_the_run(run):
    (run.parent / "discs.npz").unlink()
    for file in [*run.glob("*.png"), *run.glob("*.gif")]:
        file.unlink()
    return run.parent


DATA_INSIDE = [
    data_inside, data_behind_a_link, data_spelled_otherwise, grids_of_the_run, links_to_grids,
    a_folder_that_holds_the_run,
]  # fmt: skip


@pytest.mark.parametrize("make", DATA_INSIDE)
@pytest.mark.parametrize("out_is_a_link", [False, True])
def test_a_run_that_holds_the_data_is_not_overwritten(run, make, out_is_a_link):
    data, out = make(run), run
    if out_is_a_link:
        out = run.parent.parent / f"{run.parent.name}-link"
        out.symlink_to(run)
    before = tree(run)
    with pytest.raises(RunError, match="files of the data set"):
        ganvas.train("mlp", data, out, steps=1, overwrite=True, quiet=True, size=28, resize="crop")
    assert tree(run) == before


def test_a_run_at_the_end_of_a_link_is_replaced_and_the_link_stays(run):
    link = run.with_name("link")
    link.symlink_to("run")
    ganvas.train(
        "mlp", run.parent / "discs.npz", link, steps=1, overwrite=True, quiet=True, seed=5,
        overrides={"scores": None, **tiny.TINY["mlp"]},
    )  # fmt: skip
    assert link.is_symlink()
    assert ganvas.open_run(run).record.seed == 5


@pytest.mark.parametrize("name", [".replaced", ".replacing", ".discarded-1"])
def test_no_run_is_trained_where_one_would_be_taken_for_an_old_run(run, name):
    before = tree(run)
    with pytest.raises(RunError, match="expected another name"):
        overwrite(run, out=run / name)
    assert tree(run) == before


def test_a_link_that_leads_nowhere_is_no_new_directory(run):
    run.with_name("link").symlink_to("nowhere")
    with pytest.raises(RunError, match="a link that leads nowhere"):
        overwrite(run.with_name("link"))
    assert not run.with_name("nowhere").exists()


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "a link out", "a dangling link"])
def test_a_lock_that_is_no_regular_file_is_neither_opened_nor_followed(tmp_path, kind):
    folder = tmp_path / "victim"
    write(folder / ".lock")
    put(folder / ".lock", kind)
    data = tiny.data_file(tmp_path)
    before = files(tmp_path)
    with pytest.raises(RunError, match=r"\.lock: expected a regular file"):
        tiny.train(tmp_path, "mlp", steps=1, name="victim", data=data)
    assert files(tmp_path) == before


class Watch(Callback):
    """Notes whether the old run is there, before and after the first checkpoint."""

    def __init__(self, run):
        self.run, self.seen = run, []

    def on_step(self, result):
        old = self.run / ".replaced"
        self.seen.append(old.exists() and tiny.weights(ganvas.open_run(old)))


def test_the_old_run_is_whole_until_the_first_checkpoint_of_the_new_one(run):
    old = tiny.weights(ganvas.open_run(run))
    watch = Watch(run)
    tiny.train(
        run.parent, "mlp", steps=4, overwrite=True, data=run.parent / "discs.npz", callbacks=[watch],
        overrides={"checkpoint_interval": 2},
    )  # fmt: skip
    assert watch.seen == [old, old, False, False]  # a user's callback comes before the checkpoint of its step
    assert not [name for name in tree(run) if name.startswith(".")]


class Stop(Callback):
    def __init__(self, error):
        self.error = error

    def on_step(self, result):
        raise self.error


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (TrainingError, {"overrides": {"discriminator_optimizer.learning_rate": 1e18}}),
        (KeyboardInterrupt, {"callbacks": [Stop(KeyboardInterrupt())]}),
        (GanvasError, {"callbacks": [Stop(StorageError("the disk is full"))]}),
    ],
)
def test_a_run_that_fails_before_its_first_checkpoint_leaves_the_old_one_in_its_place(run, error, more):
    write(run / "notes.md")
    before = files(run)
    with pytest.raises(error) as caught:
        tiny.train(
            run.parent, "mlp", steps=100, overwrite=True, data=run.parent / "discs.npz",
            **{**more, "overrides": {"checkpoint_interval": 100, **more.get("overrides", {})}},
        )  # fmt: skip
    assert files(run) == before
    if error is not KeyboardInterrupt:
        assert str(caught.value).endswith("; the run that was here before is back")


def test_a_run_that_fails_after_its_first_checkpoint_has_replaced_the_old_one(run):
    error = StorageError("the disk is full")
    with pytest.raises(StorageError, match=r"the disk is full$"):
        overwrite(run, callbacks=[StopAtTheEnd(error)])
    assert ganvas.open_run(run).record.seed == 5
    assert not (run / ".replaced").exists()


class StopAtTheEnd(Stop):
    def on_step(self, result):
        pass

    def on_end(self):
        raise self.error


def test_a_run_that_is_being_trained_is_not_overwritten(run):
    before = tree(run)
    with exclusive_lock(run), pytest.raises(RunError, match="another process"):
        overwrite(run)
    assert tree(run) == before


REPLACE = """
from ganvas.runs import overwrite
from ganvas.runs.directory import RunDirectory
def replace():
    # All that training does to the directory up to the first checkpoint, without the training.
    directory = RunDirectory(run)
    with overwrite.replacing(directory):
        directory.write(RunDirectory(new).read())
        for name in ("samples", "checkpoints"):
            (run / name).mkdir(exist_ok=True)
        shutil.copy(new / "metrics.jsonl", run)
        shutil.copy(new / "samples" / "00000000.png", run / "samples")
        if fail == "fail":
            raise KeyboardInterrupt
        shutil.copytree(new / "checkpoints" / "00000001", run / "checkpoints" / ".partial-00000001-1")
        (run / "checkpoints" / ".partial-00000001-1").rename(run / "checkpoints" / "00000001")
        overwrite.discard_replaced(directory)

original, new, run, fail = *map(pathlib.Path, sys.argv[1:4]), sys.argv[4]
number = 1
while True:
    shutil.copytree(original, run)
    if not is_killed_before(number, run, replace):
        break
    run.rename(run.with_name(f"killed-{number}"))
    number += 1
print(number - 1)
"""


@pytest.mark.parametrize("fail", ["", "fail"])
def test_a_kill_at_every_change_of_a_file_leaves_the_old_run_or_the_new_one_whole(run, tmp_path, fail):
    write(run / "notes.md")
    old = files(run)
    new = tiny.train(tmp_path, "mlp", steps=1, name="new", data=tmp_path / "discs.npz", seed=5)
    before, kept = {**files(new.path)}, ("run.json", "metrics.jsonl", "samples/00000000.png")
    whole = {name: c for name, c in before.items() if name in kept or name.startswith("checkpoints/")}
    command = [sys.executable, "-c", KILL_BEFORE + REPLACE, run, new.path, tmp_path / "work", fail]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kills, outcomes = int(done.stdout), []
    for number in range(1, kills + 1):
        killed = tmp_path / f"killed-{number}"
        replaced = killed / ".replaced"
        opened = ganvas.open_run(killed)  # puts the old run back where it was half moved
        left = {k: v for k, v in files(killed).items() if not k.startswith((".discarded", ".replaced"))}
        assert left.pop("notes.md") == b"years of work"
        if opened.record.seed != 5:
            assert {**left, "notes.md": b"years of work"} == old, number
            outcomes.append("old")
        elif opened.step:
            assert left == whole, number
            outcomes.append("new")
        else:  # the new one has begun, and the old one is whole beside it
            assert {**files(replaced), "notes.md": b"years of work"} == old, number
            assert f"replaces     the run in {replaced}" in "\n".join(summary(opened))
            outcomes.append("both")
        shutil.rmtree(killed)
    assert kills > 40
    assert set(outcomes) == ({"old", "both"} if fail else {"old", "both", "new"})


TRAIN = """
import torch
from ganvas import cli
original, run, stride, words = *map(pathlib.Path, sys.argv[1:3]), int(sys.argv[3]), sys.argv[4:]
def train(out=run):
    code = cli.main([*words, "--out", str(out), "--overwrite", "--quiet"])
    assert code == 0, code

torch.set_num_threads(1)
train(run.with_name("whole"))
number = 1
while True:
    shutil.copytree(original, run)
    if not is_killed_before(number, run, train):
        break
    run.rename(run.with_name(f"killed-{number}"))
    number += stride
print(number)
"""


def test_training_over_a_run_killed_at_any_point_resumes_to_the_old_run_or_the_new_one(run, tmp_path):
    """Before every fifth change of a file: setting aside, training, saving, discarding, reporting."""
    write(run / "notes.md")
    old, stride = ganvas.open_run(run), 5
    words = ["train", "mlp", "--data", tmp_path / "discs.npz", "--steps", "3", "--seed", "5"]
    words += tiny.words("mlp", {"checkpoint_interval": 2})
    command = [sys.executable, "-c", KILL_BEFORE + TRAIN, run, tmp_path / "work", str(stride), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    new, outcomes = ganvas.open_run(tmp_path / "whole"), []
    for number in range(1, int(done.stdout), stride):
        killed = tmp_path / f"killed-{number}"
        resumed = ganvas.resume(killed, quiet=True)
        replaced = resumed.record.seed == 5
        outcomes.append(replaced)
        assert tiny.weights(resumed) == tiny.weights(new if replaced else old), number
        assert resumed.directory.sample_files()[-1].exists()
        left = files(killed)
        assert left["notes.md"] == b"years of work"
        assert not [name for name in left if name.startswith((".repl", ".disc"))], number
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}
    assert len(outcomes) > 20

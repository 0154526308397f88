"""`ganvas resume --from`: a branch goes on from a checkpoint, and its parent stays as it is."""

import json

import pytest

import tiny
from ganvas import cli, launch
from ganvas.errors import RunError, UserError
from ganvas.rundir import RunDirectory

SCORED = {"scores": {"every": 2, "images": 24, "final": 24}, "checkpoint_every": 2, "checkpoints_newest": 9}


def files(run):
    return {p: p.read_bytes() for p in sorted(run.path.rglob("*")) if p.is_file() and p.name != ".lock"}


@pytest.fixture
def parent(tmp_path):
    return tiny.train(tmp_path, steps=6, settings={"checkpoint_every": 2, "checkpoints_newest": 9})


def test_a_branch_with_nothing_changed_comes_to_the_same_bits(parent):
    before = files(parent)
    branch = launch.resume(parent.path, from_=2, quiet=True)
    assert branch.path == parent.path.with_name("run-from-2")
    assert tiny.weights(branch) == tiny.weights(parent)
    assert files(parent) == before


def test_a_branch_records_where_it_came_from_and_what_was_changed(parent):
    settings = {"generator_optimizer.learning_rate": 1e-5}
    branch = launch.resume(parent.path, from_=4, settings=settings, seed=7, steps=8, quiet=True)
    record = json.loads(branch.directory.record_file.read_text())
    assert record["branch"] == {
        "parent": str(parent.path.resolve()),
        "step": 4,
        "changed": {"generator_optimizer.learning_rate": 1e-5, "length": 8, "seed": 7},
    }
    assert record["recipe"]["generator_optimizer"]["learning_rate"] == 1e-5
    assert branch.step == 8
    assert tiny.weights(branch) != tiny.weights(parent)
    steps = [line["step"] for line in branch.metrics() if "generator_loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    shared = parent.directory.sample_files()[0]
    assert (branch.directory.samples / shared.name).read_bytes() == shared.read_bytes()


def test_a_branch_resumes_like_any_run(parent):
    whole = launch.resume(parent.path, from_=2, out=parent.path.with_name("a"), seed=3, steps=9, quiet=True)
    launch.resume(parent.path, from_=2, out=parent.path.with_name("b"), seed=3, steps=5, quiet=True)
    parts = launch.resume(parent.path.with_name("b"), steps=9, quiet=True)
    assert tiny.weights(parts) == tiny.weights(whole)


def test_the_best_checkpoint_is_kept_taken_by_sample_and_begun_from(tmp_path):
    run = tiny.train(tmp_path, steps=8, settings={**SCORED, "checkpoints_newest": 1})
    scores = {s["step"]: s["score"]["fid"] for s in run.metrics() if "score" in s}
    best = min(scores, key=scores.get)
    assert run.best_step == best
    assert run.chosen_step() == best
    assert (run.directory.checkpoints / f"{best:08d}").is_dir()
    assert run.sample(4).tobytes() == run.sample(4, step=best).tobytes()
    assert run.chosen_step("newest") == 8
    if best < 8:
        branch = launch.resume(run.path, from_="best", quiet=True)
        assert branch.record.branch.step == best


def test_a_damaged_best_checkpoint_is_passed_over_with_a_note(tmp_path):
    run = tiny.train(tmp_path, steps=4, settings=SCORED)
    best = run.best_step
    (run.directory.checkpoints / f"{best:08d}" / "generator.safetensors").write_bytes(b"x")
    again = type(run).open(run.path)
    assert again.chosen_step() != best
    assert "damaged" in again.notes[0]
    with pytest.raises(RunError, match="damaged"):
        type(run).open(run.path).chosen_step("best")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"from_": 3}, "no checkpoint of step 3; there are: 2, 4, 6"),
        ({"from_": "best"}, "no scored checkpoint"),
        ({"from_": "worst"}, "expected a step's number, best or newest"),
        ({"from_": 6}, "give a longer length"),
        ({"from_": 2, "settings": {"generator.base": 16}}, "generator cannot be changed"),
        ({"from_": 2, "settings": {"latent.size": 7}}, "latent cannot be changed"),
        ({"from_": 2, "settings": {"split": "test"}}, "split cannot be changed"),
        ({"from_": 2, "settings": {"data": "fashion-mnist"}}, "data cannot be changed"),
        ({"from_": 2, "settings": {"batch_size": 1000}}, "batch_size 1000 is larger"),
        ({"from_": 2, "data": "/no/such/place"}, "nothing there"),
        ({"from_": 2, "settings": {"batch_sise": 7}}, "did you mean 'batch_size'"),
        ({"from_": 2, "seed": -1}, "--seed -1"),
        ({"settings": {"batch_size": 8}}, "belong to a branch"),
        ({"seed": 3}, "belong to a branch"),
        ({"out": "elsewhere"}, "belong to a branch"),
    ],
)
def test_what_no_branch_can_be_is_refused_and_nothing_is_left(parent, how, expected):
    before = sorted(p.name for p in parent.path.parent.iterdir())
    with pytest.raises(UserError, match=expected):
        launch.resume(parent.path, quiet=True, **how)
    assert sorted(p.name for p in parent.path.parent.iterdir()) == before


def test_a_branch_never_takes_a_directory_that_is_there(parent, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunError, match="a branch needs a new directory"):
        launch.resume(parent.path, from_=2, out=tmp_path / "taken", quiet=True)


def test_an_average_that_a_branch_newly_asks_for_begins_at_the_generator(parent):
    branch = launch.resume(parent.path, from_=4, settings={"ema": 0.9}, quiet=True)
    assert (branch.directory.checkpoints / "00000006" / "generator_ema.safetensors").exists()


def test_the_command_line_begins_a_branch_and_show_tells_of_it(parent, capsys):
    words = ["resume", str(parent.path), "--from", "2", "--set", "batch_size=8", "--quiet"]
    assert cli.main(words) == 0
    branch = RunDirectory(parent.path.with_name("run-from-2"))
    assert branch.read().recipe.batch_size == 8
    assert cli.main(["show", str(branch.path)]) == 0
    shown = capsys.readouterr().out
    assert "branch" in shown
    assert "batch_size 8" in shown


def test_a_branch_with_another_batch_counts_its_epochs_anew(parent):
    branch = launch.resume(parent.path, from_=2, settings={"batch_size": 36}, quiet=True)
    assert parent.record.steps_per_epoch == 5
    assert branch.record.steps_per_epoch == 2


def test_a_branch_is_begun_from_within_the_run_too(parent, monkeypatch):
    monkeypatch.chdir(parent.path)
    branch = launch.resume(".", from_=2, quiet=True)
    assert branch.path == parent.path.with_name("run-from-2").resolve()


def test_a_branch_keeps_its_own_best_though_its_parent_was_better(tmp_path):
    run = tiny.train(
        tmp_path, steps=4, settings={**SCORED, "checkpoints_newest": 1, "checkpoints_keep_every": 4}
    )
    lines = [json.loads(line) for line in run.directory.metrics.read_text().splitlines()]
    for line in lines:
        if "score" in line and line["step"] == 2:
            line["score"]["fid"] = 0.001
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    branch = launch.resume(run.path, from_="newest", steps=10, quiet=True)
    scores = {s["step"]: s["score"]["fid"] for s in branch.metrics() if "score" in s and s["step"] >= 4}
    assert branch.best_step == min(scores, key=scores.get)

"""Scores and the guard while a run trains: no bit changes, and it is stopped only when asked."""

import json

import pytest

import tiny
from ganvas import cli, launch, recipes
from ganvas.errors import GuardStop, UserError
from ganvas.observers import scores as scores_observer
from ganvas.scores.guard import Finding, Guard

SCORED = {"scores": {"every": 2, "images": 24, "final": 30}}


def scored(run):
    return [line for line in run.metrics() if "score" in line]


@pytest.mark.parametrize("recipe", ["tutorial-dcgan", "keras-cnn", "mlp", "tf1-dcgan"])
def test_scores_do_not_change_what_is_learned(tmp_path, recipe):
    plain = tiny.train(tmp_path, recipe, name="plain", settings={"ema": 0.9})
    watched = tiny.train(tmp_path, recipe, name="watched", settings={"ema": 0.9, **SCORED})
    assert tiny.weights(watched) == tiny.weights(plain)
    assert [line["step"] for line in scored(watched)] == [2, 4, 6]
    assert scored(plain) == []


def test_a_resumed_run_scores_as_if_it_had_never_stopped(tmp_path):
    whole = tiny.train(tmp_path, steps=8, name="whole", settings=SCORED)
    tiny.train(tmp_path, steps=4, name="parts", settings=SCORED)
    parts = launch.resume(tmp_path / "parts", steps=8, quiet=True)
    assert scored(parts) == scored(whole)
    same = {"subject", "seconds"}
    a, b = (json.loads(run.directory.evaluation.read_text()) for run in (whole, parts))
    assert {k: v for k, v in a.items() if k not in same} == {k: v for k, v in b.items() if k not in same}


def test_a_scored_line_has_every_number_and_its_protocol(tmp_path):
    (line, *_) = scored(tiny.train(tmp_path, settings=SCORED))
    assert line["protocol"].startswith("gv1 (")
    assert {
        "fid",
        "fid_spread",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "vendi",
        "copies",
    } <= set(line["score"])


def test_a_run_is_scored_as_often_as_it_costs_a_twentieth(tmp_path):
    """An epoch of 72 tiny pictures is far less work than a score of 2,000: only the end is scored."""
    run = tiny.train(tmp_path, settings={"scores": {"final": 30}})
    assert [line["step"] for line in scored(run)] == [6]


def test_too_few_real_images_are_said_once_and_training_goes_on(tmp_path, capsys):
    data = tiny.data_file(tmp_path, count=20)
    run = tiny.train(tmp_path, data=data, settings=SCORED, quiet=False)
    said = capsys.readouterr().err
    assert (
        said.count("note: no scores: discs: expected at least 24 real images") == 2
    )  # training, and its end
    assert run.step == 6
    assert run.directory.report.exists()
    assert not run.directory.evaluation.exists()


def test_a_run_whose_last_score_was_interrupted_gets_it_by_resuming(tmp_path):
    run = tiny.train(tmp_path, settings=SCORED)
    run.directory.evaluation.unlink()
    launch.resume(run.path, quiet=True)
    assert run.directory.evaluation.exists()


@pytest.fixture
def alarmed(monkeypatch):
    """A guard that finds something at every score after the first."""
    monkeypatch.setattr(
        Guard, "look", lambda self, line: [Finding("worse", "it got worse")] if line["step"] > 2 else []
    )


def test_a_guard_that_warns_logs_and_says_its_sentence_and_trains_on(tmp_path, alarmed, capsys):
    run = tiny.train(tmp_path, settings=SCORED, quiet=False)
    assert run.step == 6
    sentences = [line for line in run.metrics() if "guard" in line]
    assert [line["step"] for line in sentences] == [4, 6]
    assert sentences[0]["sentence"] == "it got worse"
    assert "guard: it got worse" in capsys.readouterr().err
    assert "it got worse" in run.directory.report.read_text()


def test_a_guard_that_stops_saves_first_and_says_how_to_go_on(tmp_path, alarmed):
    with pytest.raises(
        GuardStop, match=r"stopped by the guard at step 4: it got worse; all saved.*--guard warn"
    ):
        tiny.train(tmp_path, settings=SCORED, guard="stop")
    run = launch.resume(tmp_path / "run", guard="warn", quiet=True)
    assert run.step == 6


def test_a_guard_that_is_off_is_not_asked(tmp_path, alarmed):
    run = tiny.train(tmp_path, settings=SCORED, guard="off")
    assert not [line for line in run.metrics() if "guard" in line]
    assert scored(run)


def test_stopping_by_the_guard_is_exit_code_1_and_one_line(tmp_path, alarmed, capsys):
    words = [
        "train",
        "mlp",
        "--data",
        str(tiny.data_file(tmp_path)),
        "--out",
        str(tmp_path / "r"),
        "--steps",
        "6",
    ]
    words += tiny.words("mlp", SCORED)
    assert cli.main([*words, "--guard", "stop", "--quiet"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ganvas: stopped by the guard at step 4")
    assert error.count("\n") == 1


def test_an_unknown_guard_is_refused(tmp_path):
    with pytest.raises(UserError, match="guard"):
        tiny.train(tmp_path, guard="loud")


def test_the_real_images_are_read_only_when_first_scored(tmp_path, monkeypatch):
    monkeypatch.setattr(
        scores_observer.Scores, "__call__", lambda self, progress: self._real is None or pytest.fail("read")
    )
    tiny.train(tmp_path, settings={"scores": {"every": 100, "images": 24, "final": 24}})


def test_a_step_that_the_guard_stops_at_is_written_whole(tmp_path, alarmed):
    settings = {**SCORED, "verdict": {"every": 2}, "generator_every": 2}
    with pytest.raises(GuardStop):
        tiny.train(tmp_path, settings=settings, guard="stop")
    run = launch.resume(tmp_path / "run", guard="warn", quiet=True)
    assert [line["step"] for line in run.metrics() if "verdict_real" in line] == [2, 4, 6]


def test_damaged_numbers_in_the_log_do_not_stop_a_resume(tmp_path):
    run = tiny.train(tmp_path, steps=4, settings=SCORED)
    lines = [json.loads(line) for line in run.directory.metrics.read_text().splitlines()]
    for line in lines:
        line.update({"real_accuracy": "x"} if "real_accuracy" in line else {})
        if "score" in line:
            line["score"].update(modes="ten", vendi=None, copies=True, fid=line["score"]["fid"])
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert launch.resume(run.path, steps=8, quiet=True).step == 8


def test_a_run_that_goes_on_forgets_the_scores_of_its_old_end(tmp_path, monkeypatch):
    run = tiny.train(tmp_path, settings=SCORED)
    monkeypatch.setattr(launch.resuming, "measured", lambda *_, **__: pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        launch.resume(run.path, steps=8, quiet=True)
    assert not run.directory.evaluation.exists()
    assert not run.directory.report.exists()


def test_what_goes_wrong_with_a_score_does_not_stop_training(tmp_path, monkeypatch, capsys):
    from ganvas.errors import StorageError

    def full(*_, **__):
        raise StorageError("the disk is full")

    monkeypatch.setattr("ganvas.observers.watch.load_reference", full)
    monkeypatch.setattr("ganvas.evaluation.load_reference", full)
    run = tiny.train(tmp_path, settings=SCORED, quiet=False)
    assert run.step == 6
    assert capsys.readouterr().err.count("note: no scores: the disk is full") == 2
    assert run.directory.report.exists()


def test_a_run_of_an_older_ganvas_opens_and_goes_on(tmp_path):
    """Without the keys that came later: scores, guard, precision, branch."""
    run = tiny.train(tmp_path, steps=3)
    values = json.loads(run.directory.record_file.read_text())
    for key in ("precision", "branch"):
        values.pop(key)
    for key in ("scores", "guard", "precision"):
        values["recipe"].pop(key)
    run.directory.record_file.write_text(json.dumps(values))
    again = type(run).open(run.path)
    assert again.record.precision == "fp32"
    assert len(again.sample(3)) == 3


def test_scores_come_less_often_where_steps_are_quicker():
    recipe = recipes.find("tutorial-dcgan")
    between = {
        kind: scores_observer.steps_between(recipe, (1, 28, 28), 235, kind) for kind in ("fp32", "bf16")
    }
    assert between == {"fp32": 235, "bf16": 470}
    assert (
        scores_observer.steps_between(recipe.changed({"scores.every": "7 steps"}), (1, 28, 28), 235, "bf16")
        == 7
    )
    assert scores_observer.steps_between(recipe, (1, 28, 28), 19, "fp32") % 19 == 0

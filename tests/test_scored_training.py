"""Scores and the health monitor while a run trains: no bit changes, and it is stopped only when asked."""

import json
import signal

import pytest

import ganvas
import tiny
from ganvas import cli, recipes
from ganvas.callbacks import scores as scores_callback
from ganvas.errors import HealthStop, UserError
from ganvas.evaluation.health import HealthIssue, HealthMonitor
from ganvas.evaluation.history import read_evaluation
from ganvas.evaluation.metric_info import CUSTOM_METRICS
from ganvas.profiling.flops import score_interval
from ganvas.runs import resume as resume_module

SCORED = {"scores": {"interval": 2, "images": 24, "final": 30}}


def scored(run):
    return [line for line in run.history() if "score" in line]


@pytest.mark.parametrize("recipe", ["tutorial-dcgan", "keras-cnn", "mlp", "tf1-dcgan"])
def test_scores_do_not_change_what_is_learned(tmp_path, recipe):
    plain = tiny.train(tmp_path, recipe, name="plain", overrides={"ema": 0.9})
    scored_run = tiny.train(tmp_path, recipe, name="scored_run", overrides={"ema": 0.9, **SCORED})
    assert tiny.weights(scored_run) == tiny.weights(plain)
    assert [line["step"] for line in scored(scored_run)] == [2, 4, 6]
    assert scored(plain) == []


def test_a_resumed_run_scores_as_if_it_had_never_stopped(tmp_path):
    whole = tiny.train(tmp_path, steps=8, name="whole", overrides=SCORED)
    tiny.train(tmp_path, steps=4, name="parts", overrides=SCORED)
    parts = ganvas.resume(tmp_path / "parts", steps=8, quiet=True)
    assert scored(parts) == scored(whole)
    same = {"subject", "seconds"}
    a, b = (read_evaluation(run.directory.evaluation) for run in (whole, parts))
    assert {k: v for k, v in a.items() if k not in same} == {k: v for k, v in b.items() if k not in same}


def test_a_scored_line_has_every_number_and_its_protocol(tmp_path):
    (line, *_) = scored(tiny.train(tmp_path, overrides=SCORED))
    assert line["protocol"].startswith("gv1 (")
    assert {
        "fid",
        "fid_stderr",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "vendi",
        "copies",
    } <= set(line["score"])


def test_a_run_is_scored_as_often_as_it_costs_a_twentieth(tmp_path):
    """An epoch of 72 tiny images is far less work than a score of 2,000: only the end is scored."""
    run = tiny.train(tmp_path, overrides={"scores": {"final": 30}})
    assert [line["step"] for line in scored(run)] == [6]


def test_too_few_real_images_are_reported_once_and_training_continues(tmp_path, capsys):
    data = tiny.data_file(tmp_path, count=20)
    run = tiny.train(tmp_path, data=data, overrides=SCORED, quiet=False)
    said = capsys.readouterr().err
    assert (
        said.count("note: no scores: discs: expected at least 24 real images") == 2
    )  # training, and its end
    assert run.step == 6
    assert run.directory.report.exists()
    assert not run.directory.evaluation.exists()


def test_a_run_whose_last_score_was_interrupted_gets_it_by_resuming(tmp_path):
    run = tiny.train(tmp_path, overrides=SCORED)
    run.directory.evaluation.unlink()
    ganvas.resume(run.path, quiet=True)
    assert run.directory.evaluation.exists()


def test_ctrl_c_while_the_finished_run_is_scored_says_that_resume_scores_it(tmp_path, capsys):
    def interrupt(fake, real):
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not while it trains
            signal.raise_signal(signal.SIGINT)
        return 1.0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ganvas.register.metric("interrupting", title="Interrupting")(interrupt)
    try:
        words = ["train", "mlp", "--data", str(tiny.data_file(tmp_path)), "--out", str(tmp_path / "run")]
        assert cli.main([*words, "--steps", "2", "--quiet", *tiny.words("mlp", SCORED)]) == 130
    finally:
        CUSTOM_METRICS.remove("interrupting")
        signal.signal(signal.SIGINT, before)
    line = f"training is complete, and ganvas resume {tmp_path / 'run'} scores it"
    assert line in capsys.readouterr().err
    run = ganvas.resume(tmp_path / "run", quiet=True)
    assert run.step == 2
    assert run.directory.evaluation.exists()
    assert run.directory.report.exists()


@pytest.fixture
def alarmed(monkeypatch):
    """A health monitor that finds something at every score after the first."""
    monkeypatch.setattr(
        HealthMonitor,
        "look",
        lambda self, line: [HealthIssue("worse", "it got worse")] if line["step"] > 2 else [],
    )


def test_a_health_monitor_that_warns_logs_and_says_its_message_and_trains_on(tmp_path, alarmed, capsys):
    run = tiny.train(tmp_path, overrides=SCORED, quiet=False)
    assert run.step == 6
    messages = [line for line in run.history() if "health" in line]
    assert [line["step"] for line in messages] == [4, 6]
    assert messages[0]["message"] == "it got worse"
    assert "health: it got worse" in capsys.readouterr().err
    assert "it got worse" in run.directory.report.read_text()


def test_a_health_monitor_that_stops_saves_first_and_says_how_to_resume(tmp_path, alarmed):
    with pytest.raises(
        HealthStop,
        match=r"stopped by a health check at step 4: it got worse; everything is saved.*--health warn",
    ):
        tiny.train(tmp_path, overrides=SCORED, health="stop")
    run = ganvas.resume(tmp_path / "run", health="warn", quiet=True)
    assert run.step == 6


def test_a_health_monitor_that_is_off_is_not_used(tmp_path, alarmed):
    run = tiny.train(tmp_path, overrides=SCORED, health="off")
    assert not [line for line in run.history() if "health" in line]
    assert scored(run)


def test_stopping_by_the_health_monitor_is_exit_code_1_and_one_line(tmp_path, alarmed, capsys):
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
    assert cli.main([*words, "--health", "stop", "--quiet"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ganvas: stopped by a health check at step 4")
    assert error.count("\n") == 1


def test_an_unknown_health_option_is_refused(tmp_path):
    with pytest.raises(UserError, match="health"):
        tiny.train(tmp_path, health="loud")


def test_the_real_images_are_read_only_when_first_scored(tmp_path, monkeypatch):
    monkeypatch.setattr(
        scores_callback.Scores, "on_step", lambda self, result: self._reference is None or pytest.fail("read")
    )
    tiny.train(tmp_path, overrides={"scores": {"interval": 100, "images": 24, "final": 24}})


def test_a_step_that_the_health_monitor_stops_at_is_written_whole(tmp_path, alarmed):
    overrides = {**SCORED, "accuracy_probe": {"interval": 2}, "generator_interval": 2}
    with pytest.raises(HealthStop):
        tiny.train(tmp_path, overrides=overrides, health="stop")
    run = ganvas.resume(tmp_path / "run", health="warn", quiet=True)
    assert [line["step"] for line in run.history() if "probe_real_accuracy" in line] == [2, 4, 6]


def test_damaged_numbers_in_the_log_do_not_stop_a_resume(tmp_path):
    run = tiny.train(tmp_path, steps=4, overrides=SCORED)
    lines = [json.loads(line) for line in run.directory.metrics.read_text().splitlines()]
    for line in lines:
        line.update({"real_accuracy": "x"} if "real_accuracy" in line else {})
        if "score" in line:
            line["score"].update(modes="ten", vendi=None, copies=True, fid=line["score"]["fid"])
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ganvas.resume(run.path, steps=8, quiet=True).step == 8


def test_a_run_that_is_resumed_forgets_the_scores_of_its_old_end(tmp_path, monkeypatch):
    run = tiny.train(tmp_path, overrides=SCORED)
    monkeypatch.setattr(resume_module, "evaluate_and_report", lambda *_, **__: pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        ganvas.resume(run.path, steps=8, quiet=True)
    assert not run.directory.evaluation.exists()
    assert not run.directory.report.exists()


def test_what_goes_wrong_with_a_score_does_not_stop_training(tmp_path, monkeypatch, capsys):
    from ganvas.errors import StorageError

    def full(*_, **__):
        raise StorageError("the disk is full")

    monkeypatch.setattr("ganvas.runs.callback_list.load_reference", full)
    monkeypatch.setattr("ganvas.runs.evaluate.load_reference", full)
    run = tiny.train(tmp_path, overrides=SCORED, quiet=False)
    assert run.step == 6
    assert capsys.readouterr().err.count("note: no scores: the disk is full") == 2
    assert run.directory.report.exists()


def test_a_run_of_an_older_ganvas_opens_and_resumes(tmp_path):
    """Without the keys that came later: scores, health, precision, fork."""
    run = tiny.train(tmp_path, steps=3)
    values = json.loads(run.directory.record_path.read_text())
    for key in ("precision", "fork"):
        values.pop(key)
    for key in ("scores", "health", "precision"):
        values["recipe"].pop(key)
    run.directory.record_path.write_text(json.dumps(values))
    again = type(run).open(run.path)
    assert again.record.precision == "fp32"
    assert len(again.sample(3)) == 3


def test_scores_come_less_often_where_steps_are_faster():
    recipe = recipes.load_recipe("tutorial-dcgan")
    between = {kind: score_interval(recipe, (1, 28, 28), 235, kind) for kind in ("fp32", "bf16")}
    assert between == {"fp32": 235, "bf16": 470}
    assert (
        score_interval(recipe.with_overrides({"scores.interval": "7 steps"}), (1, 28, 28), 235, "bf16") == 7
    )
    assert score_interval(recipe, (1, 28, 28), 19, "fp32") % 19 == 0

"""What a run has measured, read leniently: `metrics.jsonl` and `evaluation.json`."""

import json
import math
import os
import subprocess
import sys

import pytest

import untrusted
from ganvas.errors import RunError
from ganvas.evaluation.history import (
    LARGEST,
    History,
    SavedEvaluation,
    add_evaluation,
    best_scored_step,
    number,
    parse_line,
    read_evaluation,
    read_evaluations,
    scored_steps,
)


def evaluation(images, fid, seed=0):
    return {"fid": fid, "protocol": {"features": "gv1", "images": images, "seed": seed}}


def test_a_history_separates_records_scores_health_messages_and_stops(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"step": 1, "generator_loss": 0.5, "seconds": 3},
        {"step": 2, "epoch": 1, "score": {"fid": 9.0}, "protocol": "p"},
        {"step": 2, "health": "worse", "message": "it got worse"},
        {"step": 2, "epoch": 1, "stopped": "Ctrl-C"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = History.read(path)
    assert history.lines == lines
    assert history.records == lines[:1]
    assert history.scores == [(2, 1, {"fid": 9.0}, "p")]
    assert [s.fid for s in history.scored_steps] == [9.0]
    assert history.health == [(2, "worse", "it got worse")]
    assert history.stopped == "Ctrl-C"
    assert (history.last("seconds"), history.last("images_seen")) == (3, None)
    assert History(lines[:3]).stopped == ""


def test_lines_are_in_the_order_of_their_steps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 3}\n{"step": 1, "seconds": 1}\n{"step": 3, "seconds": 2}\n{"step": 2}\n')
    expected = [{"step": 1, "seconds": 1}, {"step": 2}, {"step": 3}, {"step": 3, "seconds": 2}]
    assert History.read(path).lines == expected


def test_damaged_lines_are_left_out_and_a_missing_file_is_an_empty_history(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert History.read(path).lines == []
    path.write_bytes(b'[]\n{"step": "x"}\n{"epoch": 1}\n\xff\n{"step": 3}\n{"step": 4, "gener')
    assert History.read(path).lines == [{"step": 3}]


def test_an_evaluation_of_fewer_images_does_not_replace_one_of_more(tmp_path):
    path = tmp_path / "evaluation.json"
    add_evaluation(path, evaluation(10_000, 5.0))
    add_evaluation(path, evaluation(50, 9.0))
    assert read_evaluation(path)["fid"] == 5.0
    assert [entry["fid"] for entry in read_evaluations(path)] == [5.0, 9.0]
    assert json.loads(path.read_text())["format"] == 1


def test_an_evaluation_replaces_the_one_of_its_protocol_and_the_newest_of_equals_is_read(tmp_path):
    path = tmp_path / "evaluation.json"
    for fid, seed in ((5.0, 0), (6.0, 1), (4.0, 0)):
        add_evaluation(path, evaluation(100, fid, seed))
    assert [entry["fid"] for entry in read_evaluations(path)] == [6.0, 4.0]
    assert read_evaluation(path)["fid"] == 4.0


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"evaluations": 3}', b'{"evaluations": [1]}', b"\xff"])
def test_a_damaged_evaluation_counts_as_none(tmp_path, damage):
    path = tmp_path / "evaluation.json"
    assert read_evaluation(path) is None
    path.write_bytes(damage)
    assert read_evaluation(path) is None


def line(step, fid, protocol="p"):
    return {"step": step, "epoch": step // 10, "score": {"fid": fid}, "protocol": protocol}


def test_the_lowest_distance_is_the_best_and_the_earliest_of_equals():
    assert best_scored_step(scored_steps([line(10, 3.0), line(20, 2.0), line(30, 2.0)])).step == 20


def test_records_and_damaged_lines_are_no_scores():
    assert scored_steps([{"step": 1}, {"step": 2, "score": None}, {"step": 3, "score": {"fid": None}}]) == []
    assert best_scored_step([]) is None


def test_only_scores_of_the_newest_protocol_are_compared():
    scored = scored_steps([line(10, 1.0, "old"), line(20, 5.0), line(30, 4.0)])
    assert [s.step for s in scored] == [20, 30]
    assert best_scored_step(scored).step == 30


@pytest.mark.parametrize("value", [None, True, "3", [3], {}, math.nan, math.inf, -math.inf, 1e31, 10**400])
def test_what_is_no_number_is_none(value):
    assert number(value) is None
    assert number(3) == 3


RECORD = {"step": 7, "epoch": 1, "images_seen": 448, "seconds": 0.7, "generator_loss": 0.8, "x": 1.0}
SCORE = {"step": 8, "epoch": 2, "score": {"fid": 5.0, "modes": 2, "modes_total": 3}, "protocol": "p"}
HEALTH = {"step": 9, "epoch": 2, "health": "worse", "message": "it got worse"}
STOP = {"step": 9, "epoch": 2, "stopped": "Ctrl-C"}
STRINGS = {"protocol", "health", "message", "stopped"}
by_value = pytest.mark.parametrize("text", untrusted.VALUES, ids=untrusted.label)


def assert_safe(value):
    """Nothing in a JSON value surprises who adds, prints, draws or stores it."""
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    if isinstance(value, dict):
        for key, entry in value.items():
            assert isinstance(key, str)
            assert_safe(entry)
    elif isinstance(value, list):
        for entry in value:
            assert_safe(entry)
    elif not isinstance(value, str | bool):
        assert -LARGEST < value < LARGEST


@by_value
def test_any_value_in_any_field_of_a_line_gives_a_safe_line_or_none(text):
    for document in (RECORD, SCORE, HEALTH, STOP):
        for path in untrusted.paths(document):
            line = parse_line(untrusted.replaced(document, path, text))
            if line is None:
                continue
            assert type(line["step"]) is int
            assert 0 <= line["step"] < 2**53
            assert_safe(line)
            for key, value in line.items():
                expected = dict if key == "score" else str if key in STRINGS else int | float
                assert isinstance(value, expected), key
            History([line]).scored_steps  # noqa: B018 - computed from a line that may lack anything


@by_value
def test_a_bad_line_costs_no_other(tmp_path, text):
    path, documents = tmp_path / "metrics.jsonl", (RECORD, SCORE, HEALTH)
    bad = [untrusted.replaced(d, p, text) for d in documents for p in untrusted.paths(d) if p != ("step",)]
    lines = [line for one in bad for line in (one, json.dumps(RECORD))]
    path.write_text("\n".join(lines))
    assert sum(line == RECORD for line in History.read(path).lines) >= len(bad)


EVALUATION = {
    "format": 1,
    "evaluations": [
        {
            "fid": 5.0, "fid_stderr": 0.1, "fid_baseline": 1.0, "modes": 2, "modes_total": 2,
            "modes_histogram": {"a": 0.5, "b": 0.5}, "modes_expected": {"a": 0.5, "b": 0.5},
            "modes_missing": ["b"], "subject": "runs/x, step 6", "step": 6, "seconds": 1.5,
            "protocol": {"features": "gv1", "images": 100, "comparable": True, "text": "gv1, 100 images"},
        },
    ],
}  # fmt: skip


@by_value
def test_any_value_in_any_field_of_an_evaluation_gives_a_safe_one_or_none_and_another_can_be_added(
    tmp_path, text
):
    path = tmp_path / "evaluation.json"
    for where in untrusted.paths(EVALUATION):
        path.write_text(untrusted.replaced(EVALUATION, where, text))
        for entry in read_evaluations(path):
            assert_safe(entry)
        evaluation, why = SavedEvaluation.read(path)
        assert (evaluation is None) == bool(why)
        if evaluation is not None:
            assert_safe(dict(evaluation.values))
            assert all(0 <= x <= 1 for x in (*evaluation.histogram.values(), *evaluation.expected.values()))
            assert all(isinstance(name, str) for name in (*evaluation.missing, evaluation.protocol_text))
            assert evaluation.step is None or type(evaluation.step) is int
        add_evaluation(path, {"fid": 3.0, "protocol": {"features": "gv1", "images": 10**6}})
        assert read_evaluation(path)["fid"] == 3.0 or "images" in where


ADD = """
import sys
from pathlib import Path
from ganvas.evaluation.history import add_evaluation
name = sys.stdin.readline()
for count in range(20):
    add_evaluation(Path(sys.argv[1]), {"fid": 1.0, "protocol": {"features": name, "images": count}})
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock a folder")
def test_evaluations_of_several_processes_at_once_are_all_kept(tmp_path):
    path = tmp_path / "evaluation.json"
    words = [sys.executable, "-c", ADD, str(path)]
    processes = [subprocess.Popen(words, stdin=subprocess.PIPE, text=True) for _ in range(4)]
    for i, process in enumerate(processes):  # each waits for its line, so that they begin together
        process.stdin.write(f"{i}\n")
    for process in processes:
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * 4
    assert len(read_evaluations(path)) == 80
    assert list(tmp_path.iterdir()) == [path]


def test_an_evaluation_replaces_one_of_the_same_protocol_though_its_text_was_no_unicode(tmp_path):
    path = tmp_path / "evaluation.json"
    for fid in (2.0, 1.0):
        add_evaluation(path, {"fid": fid, "protocol": {"images": 10, "text": "odd\udcff"}})
    assert [entry["fid"] for entry in read_evaluations(path)] == [1.0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "folder", "link out", "dangling link", "device"])
def test_what_is_no_regular_file_is_refused_in_one_line_or_counts_as_none(tmp_path, kind):
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(RECORD))
    make = {
        "pipe": os.mkfifo,
        "folder": lambda path: path.mkdir(),
        "link out": lambda path: path.symlink_to(outside),
        "dangling link": lambda path: path.symlink_to(tmp_path / "nothing"),
        "device": lambda path: path.symlink_to("/dev/zero"),
    }[kind]
    (tmp_path / "run").mkdir()
    metrics, evaluation = tmp_path / "run" / "metrics.jsonl", tmp_path / "run" / "evaluation.json"
    make(metrics)
    make(evaluation)
    with pytest.raises(RunError, match=r"cannot read .*metrics\.jsonl: it is a") as caught:
        History.read(metrics)
    assert "\n" not in str(caught.value)
    assert SavedEvaluation.read(evaluation) == (None, "The file evaluation.json cannot be read.")


def test_a_line_of_ten_megabytes_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "x": [' + b"0," * 5_000_000 + b'0]}\n{"step": 2}\n')
    assert History.read(path).lines == [{"step": 2}]

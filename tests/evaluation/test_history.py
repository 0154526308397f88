"""What a run has measured, read leniently: `metrics.jsonl` and `evaluation.json`."""

import json

import pytest

from ganvas.evaluation.history import (
    History,
    add_evaluation,
    best_scored_step,
    read_evaluation,
    read_evaluations,
    scored_steps,
)


def evaluation(images, fid, seed=0):
    return {"fid": fid, "protocol": {"features": "gv1", "images": images, "seed": seed}}


def test_a_history_separates_records_scores_and_health_messages(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"step": 1, "generator_loss": 0.5},
        {"step": 2, "epoch": 1, "score": {"fid": 9.0}, "protocol": "p"},
        {"step": 2, "health": "worse", "message": "it got worse"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = History.read(path)
    assert history.records == lines[:1]
    assert history.scores == lines[1:2]
    assert [s.fid for s in history.scored_steps] == [9.0]
    assert history.health == [(2, "worse", "it got worse")]


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

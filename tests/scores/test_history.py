"""Which step was best, read from log lines."""

from ganvas.scores.history import best, scored


def line(step, fid, protocol="p"):
    return {"step": step, "epoch": step // 10, "score": {"fid": fid}, "protocol": protocol}


def test_the_lowest_distance_is_the_best_and_the_earliest_of_equals():
    assert best(scored([line(10, 3.0), line(20, 2.0), line(30, 2.0)])).step == 20


def test_readings_and_damaged_lines_are_no_scores():
    assert scored([{"step": 1}, {"step": 2, "score": None}, {"step": 3, "score": {"fid": None}}]) == []
    assert best([]) is None


def test_only_scores_of_the_newest_protocol_are_compared():
    found = scored([line(10, 1.0, "old"), line(20, 5.0), line(30, 4.0)])
    assert [s.step for s in found] == [20, 30]
    assert best(found).step == 30

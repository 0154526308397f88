"""The health monitor on log lines made by hand: which messages, when, and when none."""

import pytest

from ganvas.evaluation.health import RECALLED, HealthMonitor

BASELINE = {"vendi": 9.0, "copies": 0.01}
GOOD = {
    "fid": 20.0, "fid_stderr": 0.2, "modes": 10, "modes_total": 10, "vendi": 8.5, "copies": 0.01,
    "copying": 0.5,
}  # fmt: skip
EVEN = {"real_accuracy": 0.8, "fake_accuracy": 0.75, "fake_probability": 0.4}
WON = {"real_accuracy": 0.999, "fake_accuracy": 1.0, "fake_probability": 0.001}


def line(epoch, protocol="p", **values):
    return {"step": 100 * epoch, "epoch": epoch, "protocol": protocol, "score": {**GOOD, **values}}


def messages(*scores, readings=EVEN):
    """All that a health monitor says over these scores, five readings before each."""
    health = HealthMonitor("runs/x", BASELINE)
    issues = []
    for score in scores:
        for _ in range(5):
            health.read(readings)
        issues += health.look(score)
    return issues


def test_a_run_that_gets_better_gets_no_message():
    assert messages(*(line(i, fid=50.0 / i) for i in range(1, 9))) == []


def test_scores_that_swing_once_and_come_back_get_no_message():
    assert messages(*(line(i, fid=f) for i, f in enumerate([50, 27, 57, 26, 60, 20], 1))) == []


def test_scores_that_stay_worse_are_reported_with_the_best_the_newest_and_the_command():
    (issue,) = messages(*(line(i, fid=f) for i, f in enumerate([30, 9.1, 20, 31.4], 1)))
    assert issue.kind == "worse"
    assert issue.message.startswith("best at epoch 2, FID 9.1; now 31.4: ganvas fork runs/x --step best")


def test_an_issue_is_reported_once_until_it_has_passed():
    scores = [line(i, fid=f) for i, f in enumerate([10, 20, 20, 20, 9, 20, 20, 20], 1)]
    assert [f.kind for f in messages(*scores)] == ["worse", "worse"]


def test_lost_classes_are_reported_with_how_many_there_were():
    (issue,) = messages(line(1), line(2, modes=7, vendi=8.0))
    assert issue.kind == "collapse"
    assert issue.message == "G has collapsed: it draws 7 of 10 classes, at epoch 1 it drew 10"


def test_a_generator_that_has_just_become_better_has_not_collapsed():
    assert messages(line(1), line(2, modes=7, vendi=2.0, fid=10.0)) == []


def test_alike_images_are_reported_also_where_there_are_no_classes():
    (issue,) = messages(line(1, modes=None), line(2, modes=None, vendi=2.0))
    assert issue.kind == "collapse"
    assert "alike (Vendi score 2.00, real images 9.00)" in issue.message


def test_a_young_run_that_never_drew_more_has_not_collapsed_but_an_old_one_has():
    young = [line(i, modes=1, vendi=1.1, fid=100.0 - i) for i in range(1, 5)]
    assert messages(*young) == []
    (issue,) = messages(*young, line(5, modes=1, vendi=1.1, fid=95.0))
    assert issue.message.startswith("G has collapsed: it draws 1 of 10 classes and its images are alike")


def test_a_discriminator_that_is_always_right_has_won_only_where_the_generator_stands_still():
    (issue,) = messages(line(1), line(2, fid=19.9), readings=WON)
    assert issue.kind == "discriminator"
    assert "right on 99.9% of real and 100.0% of fake images" in issue.message
    assert "over the last 100 steps" in issue.message
    assert messages(line(1), line(2, fid=10.0), readings=WON) == []
    assert messages(line(1), line(2, fid=19.9), readings=EVEN) == []


@pytest.mark.parametrize(("copies", "z", "kinds"), [(0.4, -20, ["copying"]), (0.4, 1, []), (0.079, -12, [])])
def test_copying_needs_many_copies_and_a_test_that_says_so(copies, z, kinds):
    assert [f.kind for f in messages(line(1, copies=copies, copying=z))] == kinds


@pytest.mark.parametrize(
    ("copies", "z", "kinds"), [(0.3835, -4.77, ["copying"]), (0.016, -0.52, []), (0.15, -4.0, [])]
)
def test_copying_of_forty_images_is_caught_though_a_tenth_of_the_few_held_out_ones_pass_for_copies(
    copies, z, kinds
):
    # As measured: 40 digits for a minute, shown as they are and by DiffAugment (docs/few-images.md).
    health = HealthMonitor("runs/x", {"copies": 0.1})
    assert [f.kind for f in health.look(line(1, copies=copies, copying=z))] == kinds


def test_scores_of_another_protocol_are_no_history():
    assert messages(line(1, fid=1.0, protocol="q"), line(2, fid=50.0), line(3, fid=50.0)) == []


def test_a_health_monitor_that_recalls_the_log_says_what_the_first_one_would_have_said():
    scores = [line(i, fid=f) for i, f in enumerate([30, 9.1, 20, 31.4], 1)]
    health = HealthMonitor("runs/x", BASELINE)
    health.recall([EVEN, scores[0], EVEN, scores[1], EVEN, scores[2]])
    assert [f.kind for f in health.look(scores[3])] == ["worse"]
    again = HealthMonitor("runs/x", BASELINE)
    again.recall(scores)
    assert again.look(line(5, fid=32.0)) == []  # the first health monitor has said it


def test_of_a_long_log_the_last_scores_are_recalled_with_the_records_between_them():
    scores = [line(i, fid=f) for i, f in enumerate([1.0] * 5 + [30.0] * RECALLED, 1)]
    health = HealthMonitor("runs/x", BASELINE)
    health.recall(one for score in scores for one in (EVEN, score))
    assert health.look(line(RECALLED + 6, fid=32.0)) == []  # the best, 1.0, lies too far back
    (issue,) = health.look(line(RECALLED + 7, fid=50.0)) + health.look(line(RECALLED + 8, fid=50.0))
    assert issue.kind == "worse"


@pytest.mark.parametrize("broken", [{}, {"score": None}, {"score": {}}, {"score": {"fid": "x"}}])
def test_lines_that_were_damaged_are_passed_over(broken):
    health = HealthMonitor("runs/x", BASELINE)
    assert health.look({"step": 1, **broken}) == []

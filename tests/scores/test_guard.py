"""The guard on log lines made by hand: what it says, when, and when it is silent."""

import pytest

from ganvas.scores.guard import Guard

FLOOR = {"vendi": 9.0, "copies": 0.01}
GOOD = {
    "fid": 20.0, "fid_spread": 0.2, "modes": 10, "modes_total": 10, "vendi": 8.5, "copies": 0.01,
    "copying": 0.5,
}  # fmt: skip
EVEN = {"real_accuracy": 0.8, "fake_accuracy": 0.75, "fake_probability": 0.4}
WON = {"real_accuracy": 0.999, "fake_accuracy": 1.0, "fake_probability": 0.001}


def line(epoch, protocol="p", **values):
    return {"step": 100 * epoch, "epoch": epoch, "protocol": protocol, "score": {**GOOD, **values}}


def told(*scores, readings=EVEN):
    """All that a guard says over these scores, five readings before each."""
    guard = Guard("runs/x", FLOOR)
    found = []
    for score in scores:
        for _ in range(5):
            guard.read(readings)
        found += guard.look(score)
    return found


def test_a_run_that_gets_better_hears_nothing():
    assert told(*(line(i, fid=50.0 / i) for i in range(1, 9))) == []


def test_scores_that_swing_once_and_come_back_hear_nothing():
    assert told(*(line(i, fid=f) for i, f in enumerate([50, 27, 57, 26, 60, 20], 1))) == []


def test_scores_that_stay_worse_are_told_with_the_best_the_newest_and_the_command():
    (finding,) = told(*(line(i, fid=f) for i, f in enumerate([30, 9.1, 20, 31.4], 1)))
    assert finding.kind == "worse"
    assert finding.sentence.startswith("best at epoch 2, FID 9.1; now 31.4: ganvas resume runs/x --from best")


def test_a_finding_is_said_once_until_it_has_passed():
    scores = [line(i, fid=f) for i, f in enumerate([10, 20, 20, 20, 9, 20, 20, 20], 1)]
    assert [f.kind for f in told(*scores)] == ["worse", "worse"]


def test_lost_classes_are_told_with_how_many_there_were():
    (finding,) = told(line(1), line(2, modes=7, vendi=8.0))
    assert finding.kind == "collapse"
    assert finding.sentence == "G has collapsed: it draws 7 of 10 classes, at epoch 1 it drew 10"


def test_a_generator_that_has_just_become_better_has_not_collapsed():
    assert told(line(1), line(2, modes=7, vendi=2.0, fid=10.0)) == []


def test_alike_images_are_told_also_where_there_are_no_classes():
    (finding,) = told(line(1, modes=None), line(2, modes=None, vendi=2.0))
    assert finding.kind == "collapse"
    assert "alike (Vendi score 2.00, real images 9.00)" in finding.sentence


def test_a_young_run_that_never_drew_more_has_not_collapsed_but_an_old_one_has():
    young = [line(i, modes=1, vendi=1.1, fid=100.0 - i) for i in range(1, 5)]
    assert told(*young) == []
    (finding,) = told(*young, line(5, modes=1, vendi=1.1, fid=95.0))
    assert finding.sentence.startswith("G has collapsed: it draws 1 of 10 classes and its images are alike")


def test_a_discriminator_that_is_always_right_has_won_only_where_the_generator_stands_still():
    (finding,) = told(line(1), line(2, fid=19.9), readings=WON)
    assert finding.kind == "discriminator"
    assert "right on 99.9% of real and 100.0% of fake images" in finding.sentence
    assert "over the last 100 steps" in finding.sentence
    assert told(line(1), line(2, fid=10.0), readings=WON) == []
    assert told(line(1), line(2, fid=19.9), readings=EVEN) == []


@pytest.mark.parametrize(("copies", "z", "kinds"), [(0.4, -20, ["copying"]), (0.4, 1, []), (0.079, -12, [])])
def test_copying_needs_many_copies_and_a_test_that_says_so(copies, z, kinds):
    assert [f.kind for f in told(line(1, copies=copies, copying=z))] == kinds


@pytest.mark.parametrize(
    ("copies", "z", "kinds"), [(0.3835, -4.77, ["copying"]), (0.016, -0.52, []), (0.15, -4.0, [])]
)
def test_copying_of_forty_images_is_caught_though_a_tenth_of_the_few_unseen_ones_pass_for_copies(
    copies, z, kinds
):
    # As measured: 40 digits for a minute, shown as they are and by DiffAugment (docs/few.md).
    guard = Guard("runs/x", {"copies": 0.1})
    assert [f.kind for f in guard.look(line(1, copies=copies, copying=z))] == kinds


def test_scores_of_another_protocol_are_no_history():
    assert told(line(1, fid=1.0, protocol="q"), line(2, fid=50.0), line(3, fid=50.0)) == []


def test_a_guard_that_recalls_the_log_says_what_the_first_one_would_have_said():
    scores = [line(i, fid=f) for i, f in enumerate([30, 9.1, 20, 31.4], 1)]
    guard = Guard("runs/x", FLOOR)
    guard.recall([EVEN, scores[0], EVEN, scores[1], EVEN, scores[2]])
    assert [f.kind for f in guard.look(scores[3])] == ["worse"]
    again = Guard("runs/x", FLOOR)
    again.recall(scores)
    assert again.look(line(5, fid=32.0)) == []  # the first guard has said it


@pytest.mark.parametrize("broken", [{}, {"score": None}, {"score": {}}, {"score": {"fid": "x"}}])
def test_lines_that_were_damaged_are_passed_over(broken):
    guard = Guard("runs/x", FLOOR)
    assert guard.look({"step": 1, **broken}) == []

"""Readings: what is read back from the device, when, and what stops a run."""

import pytest
import torch

from ganvas.callbacks.metric_buffer import MetricBuffer
from ganvas.errors import TrainingError
from ganvas.training.loop import StepResult


def progress(step, value):
    return StepResult(step, 4 * step, {"loss": torch.tensor(value), "other": torch.tensor(1.0)}, None)


def readings(sink, **how):
    how = {"every": 3, "last": 8, "check": lambda step: step == 5, "steps_per_epoch": 2} | how
    return MetricBuffer(sinks=[sink], **how)


def test_a_reading_is_handed_out_every_so_many_steps_and_at_the_last():
    seen = []
    callback = readings(seen.append)
    for step in range(1, 9):
        callback(progress(step, float(step)))
    assert [r.step for r in seen] == [3, 6, 8]
    assert [r.epoch for r in seen] == [1, 3, 4]
    assert [r.values["loss"] for r in seen] == [3.0, 6.0, 8.0]
    assert [r.images_seen for r in seen] == [12, 24, 32]
    assert all(r.images_per_second > 0 and r.seconds_per_epoch > 0 for r in seen)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_term_that_is_not_finite_stops_the_run_naming_its_own_step_not_the_step_of_the_reading(value):
    callback = readings(lambda reading: None)
    callback(progress(1, 1.0))
    callback(progress(2, value))
    with pytest.raises(TrainingError, match=r"^loss became -?(nan|inf) at step 2:"):
        callback(progress(3, 1.0))


def test_terms_are_checked_before_a_save_even_when_no_reading_is_due():
    callback = readings(lambda reading: None)
    callback(progress(4, float("nan")))
    with pytest.raises(TrainingError, match="step 4"):
        callback(progress(5, 1.0))

"""Metrics: what is read back from the device, when, and what stops a run."""

import os
from types import SimpleNamespace

import pytest
import torch

from ganvas import recipes
from ganvas.callbacks import Callback, CallbackList, TrainingContext
from ganvas.callbacks.metrics_log import MetricBuffer, MetricsLog, truncate_after
from ganvas.errors import RunError, StorageError, TrainingError
from ganvas.training.loop import StepResult


class Records(Callback):
    """Keeps the records."""

    def __init__(self):
        self.records = []

    def on_log(self, record):
        self.records.append(record)


def result(step, value):
    return StepResult(step, 4 * step, {"loss": torch.tensor(value), "other": torch.tensor(1.0)}, None)


def started(*callbacks):
    """A run of 8 steps, 2 an epoch, logged every 3 steps and saved every 5."""
    state = SimpleNamespace(step=0, images_seen=0)
    listed = CallbackList([MetricBuffer(), *callbacks], (), state)
    recipe = recipes.load_recipe("mlp").with_overrides({"log_interval": 3, "checkpoint_interval": 5})
    listed.on_start(TrainingContext(None, recipe, "", (1, 8, 8), 8, 2, 0, state, listed))
    return listed


def test_a_record_is_reported_every_so_many_steps_and_at_the_last():
    log = Records()
    callbacks = started(log)
    for step in range(1, 9):
        callbacks.on_step(result(step, float(step)))
    assert [r.step for r in log.records] == [3, 6, 8]
    assert [r.epoch for r in log.records] == [1, 3, 4]
    assert [r.values["loss"] for r in log.records] == [3.0, 6.0, 8.0]
    assert [r.images_seen for r in log.records] == [12, 24, 32]
    assert all(r.images_per_second > 0 and r.seconds_per_epoch > 0 for r in log.records)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_not_finite_stops_the_run_naming_its_own_step_not_that_of_the_record(value):
    callbacks = started()
    callbacks.on_step(result(1, 1.0))
    callbacks.on_step(result(2, value))
    with pytest.raises(TrainingError, match=r"^loss became -?(nan|inf) at step 2:"):
        callbacks.on_step(result(3, 1.0))


def test_metrics_are_checked_before_a_save_even_when_no_record_is_due():
    callbacks = started()
    callbacks.on_step(result(4, float("nan")))
    with pytest.raises(TrainingError, match="step 4"):
        callbacks.on_step(result(5, 1.0))


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_log_that_is_no_regular_file_is_refused_and_nothing_is_written_elsewhere(tmp_path, kind):
    path, elsewhere = tmp_path / "metrics.jsonl", tmp_path / "elsewhere"
    {"pipe": os.mkfifo, "link": lambda p: p.symlink_to(elsewhere), "folder": os.mkdir}[kind](path)
    with pytest.raises(RunError, match=r"cannot read .*metrics\.jsonl"):
        truncate_after(path, 3)
    log = MetricsLog(path)
    log.on_start(TrainingContext(tmp_path, None, "", (1, 8, 8), 8, 2, 0, None, log))
    with pytest.raises(StorageError, match=r"could not write .*metrics\.jsonl"):
        log.on_metrics(1, {"value": 1.0})
    assert not elsewhere.exists()

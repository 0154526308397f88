"""A user's callbacks: what they are called with and when, that they cannot change what is trained, and that
one that fails ends the run in one line, with everything saved.
"""

import random
import signal
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

import ganvas
import tiny
from ganvas.callbacks import Callback
from ganvas.errors import CallbackError, HealthStop
from ganvas.evaluation.health import HealthIssue, HealthMonitor
from ganvas.networks.spec import DiscriminatorSpec, GeneratorSpec

EVENTS = [name for name in vars(Callback) if name.startswith("on_")]
BUSY = {
    "grid.interval": 2,
    "checkpoint_interval": 2,
    "accuracy_probe": {"interval": 2, "images": 8},
    "scores": {"interval": 2, "images": 24, "final": 24},
}


def everywhere(action):
    """A callback that does the same at each event."""

    def method(event):
        return lambda self, *args: action(self, event, *args)

    return type("Everywhere", (Callback,), {event: method(event) for event in EVENTS})()


def disturb(callback, event, *args):
    """Draw random numbers, run both networks in train mode with gradients, and leave them in eval mode."""
    if event == "on_start":
        callback.context, callback.calls = args[0], 0
    random.random()
    np.random.rand(3)
    state, recipe = callback.context.state, callback.context.recipe
    state.generator.train()
    state.discriminator.train()
    averaged = state.ema_generator().train()
    images = state.generator(torch.randn(4, recipe.generator_input_size))
    state.discriminator(images).sum().backward()
    averaged(torch.randn(4, recipe.generator_input_size))
    for network in (state.generator, state.discriminator, averaged):
        network.eval()
    callback.calls += 1


class NormalizedGenerator(GeneratorSpec):
    kind: Literal["normalized-test"] = "normalized-test"

    def build(self, image_shape, latent_size, pixel_range):
        return nn.Sequential(
            nn.Linear(latent_size, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(32, 144), nn.Tanh(), nn.Unflatten(1, (1, 12, 12)),
        )  # fmt: skip


class NormalizedDiscriminator(DiscriminatorSpec):
    kind: Literal["normalized-test"] = "normalized-test"

    def build(self, image_shape, classes=0):
        return nn.Sequential(
            nn.Flatten(), spectral_norm(nn.Linear(144, 16)), nn.BatchNorm1d(16), nn.Dropout(0.2),
            nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Flatten(0),
        )  # fmt: skip


FOREIGN = {
    "generator": {"kind": "normalized-test"},
    "discriminator": {"kind": "normalized-test"},
    "update.generator_mode": "train",
    "batch_size": 16,
    "ema": 0.9,
}


@pytest.mark.parametrize(
    "how",
    [("tutorial-dcgan", {**tiny.TINY["tutorial-dcgan"], "ema": 0.9}), ("mlp", FOREIGN)],
    ids=["ganvas", "torch"],
)
def test_a_callback_that_runs_the_networks_in_train_mode_leaves_every_bit_as_it_was(tmp_path, how):
    recipe, overrides = how
    data, callback, runs = tiny.data_file(tmp_path), everywhere(disturb), []
    for name, callbacks in (("plain", []), ("watched", [callback])):
        run = ganvas.train(
            recipe, data, tmp_path / name, steps=6, overrides={**overrides, **BUSY}, device="cpu",
            threads=1, quiet=True, callbacks=callbacks,
        )  # fmt: skip
        runs.append(run)
    assert callback.calls > 6 * 3
    assert tiny.weights(runs[0]) == tiny.weights(runs[1])
    grids = [[path.read_bytes() for path in run.directory.sample_files()] for run in runs]
    assert grids[0] == grids[1]


@pytest.fixture
def alarmed(monkeypatch):
    """A health monitor that finds something at every score."""
    monkeypatch.setattr(HealthMonitor, "look", lambda self, line: [HealthIssue("worse", "it got worse")])


def test_every_event_reaches_a_callback_in_the_documented_order(tmp_path, alarmed):
    calls = []
    watch = everywhere(lambda _, event, *args: calls.append((event, *args)))
    run = tiny.train(tmp_path, "mlp", steps=2, overrides=BUSY, callbacks=[watch])
    events = [event for event, *_ in calls]
    assert events == [
        "on_start", "on_grid", "on_log", "on_step",
        "on_log", "on_step", "on_grid", "on_score", "on_health", "on_metrics", "on_message", "on_save",
        "on_end", *["on_message"] * 4, "on_close",
    ]  # fmt: skip
    arguments = {event: args for event, *args in calls}
    assert arguments["on_log"][0].values["generator_loss"] == run.history()[1]["generator_loss"]
    assert arguments["on_grid"][0] == 2
    assert arguments["on_grid"][1].dtype == np.uint8
    record, logged = arguments["on_score"][0], next(line for line in run.history() if "score" in line)
    numbers = {name: value for name, value in record.values.items() if value is not None}
    expected = {name: value for name, value in logged["score"].items() if value is not None}
    assert (numbers, record.protocol) == (expected, logged["protocol"])
    assert record.is_best
    assert record.baseline["fid"] >= 0
    assert arguments["on_health"] == [2, HealthIssue("worse", "it got worse")]
    assert set(arguments["on_metrics"][1]) == {"probe_real_accuracy", "probe_fake_accuracy"}
    assert arguments["on_save"] == [2, run.directory.checkpoints / "00000002"]


def test_a_callback_can_log_metrics_and_show_lines_of_its_own(tmp_path, capsys):
    class Measures(Callback):
        def on_start(self, context):
            self.callbacks = context.callbacks

        def on_log(self, record):
            self.callbacks.on_metrics(record.step, {"gap": record.step / 2})
            self.callbacks.on_message(f"gap {record.step / 2}")

    run = tiny.train(tmp_path, "mlp", steps=3, callbacks=[Measures()], quiet=False)
    assert [line["gap"] for line in run.history() if "gap" in line] == [0.5, 1.0, 1.5]
    assert "\ngap 1.5\n" in capsys.readouterr().err


def fail(error, at, step):
    """A callback that raises `error` in the event `at` of a step."""

    def raise_it(self, event, *args):
        if event == "on_start":
            self.state = args[0].state
        if event == at and self.state.step == step:
            raise error

    return everywhere(raise_it)


@pytest.mark.parametrize("event", ["on_log", "on_step", "on_grid", "on_score", "on_metrics", "on_save"])
def test_a_callback_that_fails_in_a_step_ends_the_run_with_all_of_the_step_written(tmp_path, event):
    data = tiny.data_file(tmp_path)
    whole = tiny.train(tmp_path, "mlp", steps=6, name="whole", data=data, overrides=BUSY)
    with pytest.raises(CallbackError) as error:
        tiny.train(
            tmp_path, "mlp", steps=6, data=data, overrides=BUSY,
            callbacks=[fail(ValueError("no\nsuch thing"), event, 4)],
        )  # fmt: skip
    line = str(error.value)
    assert f"callback Everywhere failed in {event} at step 4: ValueError: no such thing; every" in line
    assert "\n" not in line
    assert ganvas.open_run(tmp_path / "run").step == 4
    run = ganvas.resume(tmp_path / "run", quiet=True)
    assert tiny.weights(run) == tiny.weights(whole)
    assert [path.name for path in run.directory.sample_files()] == [
        path.name for path in whole.directory.sample_files()
    ]
    assert [(line["step"], *sorted(set(line) - {"step"})) for line in run.history()] == [
        (line["step"], *sorted(set(line) - {"step"})) for line in whole.history()
    ]


def test_a_callback_that_fails_when_it_is_closed_does_not_undo_the_run(tmp_path, capsys):
    callback = fail(OSError("disk gone"), "on_close", 2)
    run = tiny.train(tmp_path, "mlp", steps=2, quiet=False, callbacks=[callback])
    assert run.directory.report.exists()
    line = "\nnote: callback Everywhere failed in on_close at step 2: OSError: disk gone\n"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), ganvas.errors.RecipeError("no")], ids=repr)
def test_whatever_a_callback_raises_ends_the_run_in_one_line_after_a_save(tmp_path, error):
    with pytest.raises(CallbackError, match=r"failed in on_step at step 2: .*everything is saved"):
        tiny.train(tmp_path, "mlp", steps=4, callbacks=[fail(error, "on_step", 2)])
    assert ganvas.open_run(tmp_path / "run").step == 2


def test_a_callback_stops_a_run_as_a_health_check_does(tmp_path):
    with pytest.raises(HealthStop, match="step 2: good enough; everything is saved"):
        tiny.train(tmp_path, "mlp", steps=4, callbacks=[fail(HealthStop("good enough"), "on_log", 2)])
    assert ganvas.open_run(tmp_path / "run").step == 2


def test_a_signal_after_the_last_step_leaves_the_scores_to_resume(tmp_path):
    end = everywhere(lambda _, event, *args: event == "on_end" and signal.raise_signal(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt, match=r"stopped by SIGTERM after the last step.*ganvas resume"):
        tiny.train(tmp_path, "mlp", steps=2, overrides=BUSY, callbacks=[end])
    run = ganvas.resume(tmp_path / "run", quiet=True)
    assert run.step == 2
    assert run.directory.evaluation.exists()
    assert run.directory.report.exists()


@pytest.mark.parametrize("event", ["on_start", "on_step"])
def test_callbacks_are_closed_when_a_run_ends_early_too(tmp_path, event):
    closed = []
    watch = everywhere(lambda _, event, *args: event == "on_close" and closed.append(event))
    failing = fail(ValueError("no"), event, 0 if event == "on_start" else 1)
    with pytest.raises(CallbackError):
        tiny.train(tmp_path, "mlp", steps=4, callbacks=[watch, failing])
    assert closed == ["on_close"]

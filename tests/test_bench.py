"""`ganvas bench`: all its numbers, and that they agree; how large they are is the machine's affair."""

import json

import pytest

import tiny
from ganvas import cli
from ganvas.bench import bench
from ganvas.bench.machine import matrix_rate
from ganvas.devices import find
from ganvas.errors import UserError

NUMBERS = [
    "images_per_second", "sample_images_per_second", "gflops", "machine_gflops", "ratio", "peak_memory_bytes",
    "checkpoint_seconds", "full_length_seconds", "operations_per_image",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """The machine's rate from small matrices: a test wants a number, not a good one."""
    monkeypatch.setattr("ganvas.bench.machine.SIDES", (64,))


def settings(recipe):
    return {**tiny.TINY[recipe], "scores": {"images": 24, "final": 24}}


@pytest.mark.parametrize("recipe", list(tiny.TINY))
def test_every_recipe_is_measured_with_all_its_parts(tmp_path, recipe):
    data = tiny.data_file(tmp_path)
    found = bench(recipe, data, steps=3, settings=settings(recipe), threads=1, precision="fp32")
    assert list(found.parts) == ["data", "G forward", "D forward", "backward", "optimisers", "observers"]
    assert all(seconds >= 0 for seconds in found.parts.values())
    assert found.images_per_second_low <= found.images_per_second <= found.images_per_second_high
    # The mean of three steps, of which two are no faster than the median one.
    least = 2 / 3 * found.batch_size / found.images_per_second + found.parts["observers"]
    assert found.full_length_seconds >= 0.999 * found.full_length_steps * least
    assert found.flops == pytest.approx(found.operations_per_image * found.images_per_second, rel=1e-3)
    assert found.as_json()["ratio"] == pytest.approx(found.flops / found.machine_flops, abs=1e-4)


def test_the_command_prints_lines_or_one_json_object(tmp_path, capsys):
    words = ["bench", "mlp", "--data", str(tiny.data_file(tmp_path)), "--steps", "3", *tiny.words("mlp")]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "images/s" in shown
    assert "the machine's matrix products" in shown
    assert cli.main([*words, "--json", "--precision", "bf16"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["precision"] == "bf16"
    assert all(found[name] > 0 for name in NUMBERS)


def test_without_data_the_bundled_digits_serve(monkeypatch):
    found = bench("mlp", steps=3, settings=settings("mlp"), threads=1)
    assert found.data == "mnist-5k"
    assert found.image_shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mlpp"], "did you mean 'mlp'"),
        (["mlp", "--steps", "2"], "--steps 2: expected 3 or more"),
        (["mlp", "--precision", "fp64"], "fp64"),
        (["mlp", "--data", "nowhere/at/all"], "nothing there"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, words, expected):
    assert cli.main(["bench", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_set_too_small_for_scores_is_measured_without_them(tmp_path):
    found = bench("mlp", tiny.data_file(tmp_path, count=20), steps=3, settings=settings("mlp"), threads=1)
    assert found.images_per_second > 0


def test_the_networks_are_unharmed_by_being_timed(tmp_path):
    """What was wrapped to be timed is unwrapped: a second measurement is like the first."""
    data = tiny.data_file(tmp_path)
    for _ in range(2):
        assert bench("mlp", data, steps=3, settings=settings("mlp"), threads=1).images_per_second > 0


def test_a_precision_that_is_unknown_is_refused():
    with pytest.raises(UserError, match="unknown precision 'fp16': expected auto, fp32 or bf16"):
        bench("mlp", steps=3, precision="fp16")


def test_the_machines_rate_is_that_of_its_fastest_library(monkeypatch):
    import torch

    calls = []
    for name in ("torch.matmul", "ganvas.bench.machine.matrix_product"):
        monkeypatch.setattr(name, lambda a, b, name=name: calls.append(name))
    assert matrix_rate(find("cpu"), torch.float32) > 0
    assert {"torch.matmul", "ganvas.bench.machine.matrix_product"} == set(calls)

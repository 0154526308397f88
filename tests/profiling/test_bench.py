"""`ganvas bench`: all its numbers, and that they agree; how large they are depends on the machine."""

import json

import pytest
from torch import nn

import ganvas
import tiny
from ganvas import cli
from ganvas.data.batches import Batches
from ganvas.errors import UserError
from ganvas.networks import MLPDiscriminator
from ganvas.profiling import timing
from ganvas.profiling.bench import run_benchmark
from ganvas.profiling.timing import peak_matmul_flops
from ganvas.recipes import load_recipe
from ganvas.training.state import new_state
from ganvas.utils.devices import resolve_device

NUMBERS = [
    "images_per_second", "sample_images_per_second", "gflops", "machine_gflops", "ratio", "peak_memory_bytes",
    "checkpoint_seconds", "full_length_seconds", "operations_per_image",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch):
    """The machine's rate from small matrices, which is quick."""
    monkeypatch.setattr("ganvas.profiling.timing.MATRIX_SIDES", (64,))


def overrides(recipe):
    return {**tiny.TINY[recipe], "scores": {"images": 24, "final": 24}}


@pytest.mark.parametrize("recipe", list(tiny.TINY))
def test_every_recipe_is_measured_with_all_its_parts(tmp_path, recipe):
    data = tiny.data_file(tmp_path)
    result = run_benchmark(recipe, data, steps=3, overrides=overrides(recipe), threads=1, precision="fp32")
    assert list(result.parts) == ["data", "G forward", "D forward", "backward", "optimizers", "callbacks"]
    assert all(seconds >= 0 for seconds in result.parts.values())
    assert result.images_per_second_low <= result.images_per_second <= result.images_per_second_high
    # The mean of three steps, of which two are no faster than the median one.
    least = 2 / 3 * result.batch_size / result.images_per_second + result.parts["callbacks"]
    assert result.full_length_seconds >= 0.999 * result.full_length_steps * least
    assert result.flops == pytest.approx(result.operations_per_image * result.images_per_second, rel=1e-3)
    assert result.as_json()["ratio"] == pytest.approx(result.flops / result.machine_flops, abs=1e-4)


def test_the_command_prints_lines_or_one_json_object(tmp_path, capsys):
    words = ["bench", "mlp", "--data", str(tiny.data_file(tmp_path)), "--steps", "3", *tiny.words("mlp")]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "images/s" in printed
    assert "the machine's matrix multiplications" in printed
    assert cli.main([*words, "--json", "--precision", "bf16"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["precision"] == "bf16"
    assert all(result[name] > 0 for name in NUMBERS)


def test_without_data_the_bundled_digits_are_used():
    result = run_benchmark("mlp", steps=3, overrides=overrides("mlp"), threads=1)
    assert result.data == "mnist-5k"
    assert result.image_shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mlpp"], "did you mean 'mlp'"),
        (["mlp", "--steps", "2"], "steps 2: expected 3 or more"),
        (["mlp", "--precision", "fp64"], "fp64"),
        (["mlp", "--data", "nowhere/at/all"], "no such file or folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, words, expected):
    assert cli.main(["bench", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_set_too_small_for_scores_is_measured_without_them(tmp_path):
    result = run_benchmark(
        "mlp", tiny.data_file(tmp_path, count=20), steps=3, overrides=overrides("mlp"), threads=1
    )
    assert result.images_per_second > 0


def test_timing_the_parts_of_a_step_leaves_networks_optimizers_and_batches_as_they_were(tmp_path):
    recipe = load_recipe("mlp").with_overrides(overrides("mlp"))
    images, cpu = ganvas.load_dataset(tiny.data_file(tmp_path)), resolve_device("cpu")
    state = new_state(recipe, images.image_shape, 0, cpu)
    batches = Batches(images, 16, order="shuffle", drop_last=True, seed=0, device=cpu)
    parts = [state.generator, state.discriminator, state.generator_optimizer, state.discriminator_optimizer]
    before = [set(vars(part)) for part in (*parts, batches)]
    seconds, by_part = timing.time_training(recipe, state, batches, cpu, "fp32", 3)
    assert len(seconds) == 3
    assert all(s >= 0 for s in by_part.values())
    # Training itself may set gradients and counts, but adds no attribute.
    assert [set(vars(part)) for part in (*parts, batches)] == before
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in parts[:2])


class Uncountable(MLPDiscriminator):
    """A user's network that looks at numbers, which the device "meta" does not have."""

    kind: str = "uncountable"

    def build(self, image_shape, classes=0):
        class Looking(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, x):
                return self.inner(x) if x.sum().item() < 1e9 else self.inner(-x)

        return Looking(super().build(image_shape, classes))


def test_networks_whose_macs_cannot_be_counted_are_refused_in_one_line(tmp_path):
    changed = {**overrides("mlp"), "discriminator": {"kind": "uncountable", "hidden": [16]}}
    with pytest.raises(UserError, match=r'MACs of recipe mlp cannot be counted.*"meta"') as error:
        run_benchmark("mlp", tiny.data_file(tmp_path), steps=3, overrides=changed)
    assert "\n" not in str(error.value)


def test_a_precision_that_is_unknown_is_refused():
    with pytest.raises(UserError, match="unknown precision 'fp16': expected auto, fp32 or bf16"):
        run_benchmark("mlp", steps=3, precision="fp16")


def test_the_machines_rate_is_that_of_its_fastest_library(monkeypatch):
    import torch

    calls = []
    for name in ("torch.matmul", "ganvas.profiling.timing.matrix_multiply"):
        monkeypatch.setattr(name, lambda a, b, name=name: calls.append(name))
    assert peak_matmul_flops(resolve_device("cpu"), torch.float32) > 0
    assert {"torch.matmul", "ganvas.profiling.timing.matrix_multiply"} == set(calls)

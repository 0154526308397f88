"""Each file of examples/ does what its docstring says, by the command that stands there."""

import ast
import csv
import importlib.util
import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import tiny
from ganvas import recipes, registry
from ganvas.callbacks import CALLBACKS, Callback
from ganvas.evaluation.metric_info import CUSTOM_METRICS
from ganvas.networks.conditioning import Batch
from ganvas.networks.spec import DiscriminatorSpec, GeneratorSpec
from ganvas.recipes.schema import parse_recipe
from ganvas.training.objectives import OBJECTIVES
from ganvas.training.penalties import PENALTIES, penalty_gradients
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state
from ganvas.training.updates import UPDATE_RULES, make_update

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = ("objective", "penalty", "update_rule", "network", "metric", "callback", "recipe")
SMALL = ("batch_size=16", "log_interval=1", "generator.hidden=[16]", "discriminator.hidden=[16]")
SHAPE = (1, 12, 12)
CPU = torch.device("cpu")


@pytest.fixture
def example():
    """Load an example's module; what it registers is forgotten after the test."""
    registries = (
        *(OBJECTIVES, PENALTIES, UPDATE_RULES, CUSTOM_METRICS, CALLBACKS),
        *(GeneratorSpec.kinds, DiscriminatorSpec.kinds),
    )
    before = [set(known) for known in registries]

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for known, names in zip(registries, before, strict=True):
        for name in set(known) - names:
            known.remove(name)


def documented_command(name):
    """The words of the first command in an example's docstring, without `ganvas`."""
    docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text()))
    return shlex.split(re.search(r"^    ganvas (.*)", docstring, re.MULTILINE)[1])


def ganvas_words(*words):
    """Run the command line in a process of its own; a failure shows its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "ganvas", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANVAS_DEBUG": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(folder, name, *, steps=3, small=SMALL, scores="null"):
    """Train as the docstring of an example says, on a few small images for a few steps."""
    words = documented_command(name)
    words[words.index("mnist-5k")] = str(tiny.data_file(folder))
    settings = [word for setting in (*small, f"scores={scores}") for word in ("--set", setting)]
    out = folder / "run"
    words += ["--steps", steps, "--out", out, "--threads", "1", "--device", "cpu", "--quiet", *settings]
    ganvas_words(*words)
    return out


def recipe_of(path):
    return json.loads((path / "run.json").read_text())["recipe"]


def records(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def batch(count, seed, shape=SHAPE):
    return Batch(torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed)))


def test_every_example_is_tested_here_and_its_docstring_gives_a_command_and_a_source():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(NAMES)
    for name in NAMES:
        assert f"examples/{name}.py" in documented_command(name)
        assert re.search(r"^Source: ", (EXAMPLES / f"{name}.py").read_text(), re.MULTILINE)


def test_the_objective_trains_by_its_documented_command(tmp_path):
    path = train(tmp_path, "objective")
    assert recipe_of(path)["objective"] == "relativistic_average_hinge"
    first = records(path)[0]
    parts = first["discriminator_loss_real"] + first["discriminator_loss_fake"]
    assert first["discriminator_loss"] == pytest.approx(parts / 2, abs=1e-6)  # the mean of D's two turns
    assert recipe_of(path)["update"]["rule"] == "alternating_separate"


def test_the_objective_of_logits_that_are_all_equal_is_2_for_both_players(example):
    loss = example("objective").relativistic_average_hinge
    assert loss(torch.full((5,), 3.0), torch.full((7,), 3.0)) == (2, 2)


def test_the_objective_is_0_for_d_and_6_for_g_where_real_logits_lie_2_above_fake_ones(example):
    loss = example("objective").relativistic_average_hinge
    # G's two hinges are both 1 + 2 where the logits lie 2 apart
    assert loss(torch.full((4,), 1.0), torch.full((4,), -1.0)) == (0, 6)


def test_the_objective_s_gradient_is_the_formula_s_and_that_of_finite_differences(example):
    loss = example("objective").relativistic_average_hinge
    real = (torch.linspace(-0.1, 0.2, 4, dtype=torch.float64)).requires_grad_()
    fake = (torch.linspace(-0.2, 0.1, 6, dtype=torch.float64)).requires_grad_()
    # Within the margin each term is linear: -2 mean(real) + 2 mean(fake), and the opposite for G.
    for i, sign in ((0, 1), (1, -1)):
        at_real, at_fake = torch.autograd.grad(loss(real, fake)[i], (real, fake))
        assert at_real.tolist() == pytest.approx([-2 * sign / 4] * 4)
        assert at_fake.tolist() == pytest.approx([2 * sign / 6] * 6)
    wide = torch.linspace(-3, 3, 9, dtype=torch.float64).requires_grad_()
    other = torch.linspace(-2.3, 1.9, 7, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(loss, (wide, other))


def test_the_penalty_trains_by_its_documented_command(tmp_path):
    path = train(tmp_path, "penalty")
    recipe = recipe_of(path)
    assert [penalty["kind"] for penalty in recipe["penalties"]] == ["wgan_lp"]
    assert recipe["objective"] == "wasserstein"
    assert [record["step"] for record in records(path)] == [1, 2, 3]


def linear_critic(length):
    """A critic whose gradient is `length` long at every image."""
    weight = torch.ones(1, math.prod(SHAPE))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(weight.numel(), 1), nn.Flatten(0))
    critic[1].weight.data = length * weight / weight.norm()
    return critic


@pytest.mark.parametrize("length", [0.0, 0.3, 0.999, 1.5, 3.0])
def test_the_penalty_of_a_linear_critic_is_the_square_of_what_its_slope_has_above_1(example, length):
    penalty, critic = example("penalty").wgan_lp, linear_critic(length)
    value = penalty(lambda x: critic(x.images), batch(5, 0), batch(7, 1), torch.rand)
    assert value.item() == pytest.approx(max(0, length - 1) ** 2, abs=1e-5)


def test_the_penalty_s_gradient_is_0_for_a_flat_critic_and_shortens_a_steep_one(example):
    example("penalty")
    for length, expected in ((0.0, 0), (0.5, 0), (3.0, 10 * 2 * (3 - 1))):
        weights = linear_critic(length)
        penalties = (recipes.schema.Penalty(kind="wgan_lp", weight=10),)
        at_weight, at_bias = penalty_gradients(
            penalties, weights, batch(6, 0), batch(6, 1), torch.rand, step=0, fraction=0
        )
        assert at_weight.norm().item() == pytest.approx(expected, abs=1e-3)
        assert at_bias.item() == 0


def test_the_update_rule_trains_by_its_documented_command_and_goes_on_after_a_stop(tmp_path):
    path = train(tmp_path, "update_rule", steps=6)
    assert recipe_of(path)["update"]["rule"] == "clipped_critic"
    ganvas_words("resume", path, "--steps", "11", "--plugin", "examples/update_rule.py", "--quiet")
    assert [record["step"] for record in records(path)] == list(range(1, 12))


def test_the_update_rule_clips_d_in_every_step_and_moves_g_in_every_fifth(example):
    module = example("update_rule")
    recipe = recipes.load_recipe("mlp").with_overrides(
        {
            **tiny.TINY["mlp"],
            "update.rule": "clipped_critic",
            "objective": "wasserstein",
            "generator_optimizer": {"kind": "rmsprop", "learning_rate": 5e-5},
            "discriminator_optimizer": {"kind": "rmsprop", "learning_rate": 5e-5},
        }
    )
    state = new_state(recipe, SHAPE, 0, CPU)
    update = make_update(recipe)
    moved, names = [], set()
    for step in range(10):
        before = [p.clone() for p in state.generator.parameters()]
        metrics = update(state, batch(16, step), StepRNG(0, step, 100, "normal", CPU))
        state.step += 1
        names.add(tuple(metrics))
        if any(not torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True)):
            moved.append(state.step)
        largest = max(p.abs().max().item() for p in state.discriminator.parameters())
        assert largest <= module.LARGEST_WEIGHT * (1 + 1e-6)
    assert moved == [5, 10]
    assert len(names) == 1
    assert (state.discriminator_optimizer.steps, state.generator_optimizer.steps) == (10, 2)


def test_the_networks_train_by_their_documented_command_and_the_plugin_opens_the_run_again(tmp_path):
    small = ("batch_size=16", "log_interval=1", "generator.width=4", "discriminator.width=4")
    path = train(tmp_path, "network", small=small)
    assert recipe_of(path)["generator"] == {**recipe_of(path)["generator"], "kind": "resize_conv", "width": 4}
    grid = tmp_path / "grid.png"
    ganvas_words("sample", path, "--out", grid, "--plugin", "examples/network.py")
    assert grid.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 9, 14), (1, 28, 28)])
@pytest.mark.parametrize("pixel_range", [(-1, 1), (0, 1)])
def test_the_networks_give_images_of_any_shape_in_their_range_and_one_logit_per_class(
    example, shape, pixel_range
):
    module = example("network")
    generator = module.ResizeConvGenerator(width=4).build(shape, 10, pixel_range)
    images = generator(100 * torch.randn(6, 10))
    assert images.shape == (6, *shape)
    assert images.min() >= pixel_range[0]
    assert images.max() <= pixel_range[1]
    spec = module.StridedConvDiscriminator(width=4)
    assert spec.build(shape)(images).shape == (6,)
    assert spec.build(shape, 3)(images).shape == (6, 3)


def test_the_metric_is_taken_by_its_documented_command_with_its_baseline(tmp_path):
    path = train(tmp_path, "metric", scores='{"interval": 2, "images": 24, "final": 24}')
    (evaluation,) = json.loads((path / "evaluation.json").read_text())["evaluations"]
    assert evaluation["sliced_wasserstein"] > evaluation["sliced_wasserstein_baseline"] >= 0
    words = ("evaluate", path, "--count", "24", "--json", "--plugin", "examples/metric.py")
    assert json.loads(ganvas_words(*words))["sliced_wasserstein"] > 0


def test_the_metric_of_identical_sets_is_0_and_of_moved_ones_how_far_they_were_moved(example):
    distance = example("metric").sliced_wasserstein
    features = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert distance(features, features[order]) == pytest.approx(0, abs=1e-6)
    shift = torch.arange(16.0)
    assert distance(features + shift, features) == pytest.approx(shift.norm().item() / 4, rel=1e-5)
    # each image twice is the same distribution
    assert distance(features, features.repeat(2, 1)) == pytest.approx(0, abs=1e-6)


def test_the_callback_is_called_at_each_step_by_its_documented_command(tmp_path):
    path = train(tmp_path, "callback", steps=5)
    rows = list(csv.reader((path / "distance.csv").read_text().splitlines()))
    assert [int(step) for step, _ in rows] == [1, 2, 3, 4, 5]
    assert all(float(distance) > 0 for _, distance in rows)


def test_the_callback_writes_the_distance_between_the_weights_before_and_after(example, tmp_path):
    watch = example("callback").WeightDistance()
    ends = []

    class Ends(Callback):
        """Keeps the weights at both ends."""

        def on_start(self, context):
            self.state = context.state
            self._keep()

        def on_end(self):
            self._keep()

        def _keep(self):
            ends.append(torch.cat([p.detach().flatten() for p in self.state.generator.parameters()]).clone())

    run = tiny.train(tmp_path, "mlp", steps=4, callbacks=[watch, Ends()])
    last = (run.path / "distance.csv").read_text().split()[-1]
    step, distance = last.split(",")
    assert int(step) == 4
    assert float(distance) == pytest.approx((ends[1] - ends[0]).norm().item(), rel=1e-5)


def test_the_recipe_trains_by_its_documented_command(tmp_path):
    path = train(tmp_path, "recipe")
    recipe = recipe_of(path)
    assert recipe["name"] == "relativistic-mlp"
    assert [penalty["kind"] for penalty in recipe["penalties"]] == ["r1", "r2"]


def test_the_recipe_loads_and_is_the_same_after_a_way_through_json():
    recipe = recipes.load_recipe(EXAMPLES / "recipe.py")
    assert parse_recipe(json.loads(recipe.to_json())) == recipe
    assert json.loads(ganvas_words("recipes", "show", "examples/recipe.py")) == json.loads(recipe.to_json())


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_imported_as_a_plugin_without_a_word(name, example, capsys):
    registry.load_plugin(str(EXAMPLES / f"{name}.py"))
    assert capsys.readouterr() == ("", "")

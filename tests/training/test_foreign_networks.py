"""What holds for ganvas's own networks holds for a user's: random layers, batch statistics, seeds."""

import copy
from typing import Literal

import pytest
import torch
from small import bits
from torch import nn

from ganvas import recipes
from ganvas.networks.conditioning import Batch
from ganvas.networks.spec import DiscriminatorSpec, GeneratorSpec
from ganvas.training import updates
from ganvas.training.loop import training_steps
from ganvas.training.objectives import OBJECTIVES
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)


class MinibatchStd(nn.Module):
    """Appends the batch's mean standard deviation as a feature (Karras et al. 2018, arXiv 1710.10196)."""

    def forward(self, x):
        return torch.cat([x, x.std(0).mean().expand(len(x), 1)], 1)


class ForeignDiscriminator(DiscriminatorSpec):
    kind: Literal["foreign-test"] = "foreign-test"
    layer: str = "dropout"

    def build(self, image_shape, classes=0):
        middle, width = {
            "dropout": (nn.Dropout(0.5), 16),
            "minibatch_std": (MinibatchStd(), 17),
            "batch_norm": (nn.BatchNorm1d(16), 16),
        }[self.layer]
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), middle, nn.LeakyReLU(0.2), nn.Linear(width, 1), nn.Flatten(0)
        )


class ForeignGenerator(GeneratorSpec):
    kind: Literal["foreign-test"] = "foreign-test"

    def build(self, image_shape, latent_size, pixel_range):
        return nn.Sequential(
            nn.Linear(latent_size, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(32, 64),
            nn.Tanh(),
            nn.Unflatten(1, SHAPE),
        )


def foreign(layer, rule="simultaneous"):
    return recipes.load_recipe("mlp").with_overrides(
        {
            "discriminator": {"kind": "foreign-test", "layer": layer},
            "generator": {"kind": "foreign-test"},
            "update.rule": rule,
            "update.generator_mode": "train",
            "batch_size": 8,
            "latent.size": 5,
        }
    )


class Images:
    """Eight images a step, a function of the step."""

    def at(self, step):
        return torch.randint(
            256, (8, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(step)
        )

    def labels(self, step):
        return None


def train(recipe, steps, seed=0):
    state = new_state(recipe, SHAPE, seed, CPU)
    results = training_steps(
        state,
        updates.make_update(recipe),
        Images(),
        lambda step: StepRNG(seed, step, 5, "normal", CPU),
        pixel_range=(-1, 1),
        until=steps,
    )
    for _ in results:
        torch.rand(3)  # as a callback may do
    return state


@pytest.mark.parametrize("rule", updates.UPDATE_RULES)
@pytest.mark.parametrize("layer", ["dropout", "minibatch_std", "batch_norm"])
def test_the_same_seed_gives_the_same_bits_whatever_the_global_random_numbers_are(layer, rule):
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        state = train(foreign(layer, rule), 3)
        results.append(bits(state.generator, state.discriminator))
    assert results[0] == results[1]
    other = train(foreign(layer, rule), 3, seed=1)
    assert bits(other.generator, other.discriminator) != results[0]


def test_training_leaves_the_global_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(9 + 1)[9:]  # three steps, of which each callback drew three numbers
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train(foreign("dropout"), 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(torch.rand(1), expected)


def test_with_minibatch_statistics_the_generators_gradient_is_that_of_a_backward_pass_of_its_own():
    recipe = foreign("minibatch_std")
    state = new_state(recipe, SHAPE, 0, CPU)
    real = Batch(torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    steps = []
    step = state.generator_optimizer.step
    state.generator_optimizer.step = lambda grads: (steps.append(grads), step(grads))
    twin = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)

    rng = StepRNG(0, 0, 5, "normal", CPU)
    updates.make_update(recipe)(state, real, rng)

    again = StepRNG(0, 0, 5, "normal", CPU)
    again.seed_layers(*twin)
    G, D = twin
    fake_logits = D(G(again.latents(8)))
    loss = OBJECTIVES.find(recipe.objective).generator_loss(fake_logits, fake_logits)
    expected = torch.autograd.grad(loss, list(G.parameters()))
    for ours, theirs in zip(steps[0], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("rule", [rule for rule in updates.UPDATE_RULES if rule != "simultaneous"])
def test_batch_norm_of_pytorch_moves_in_its_own_players_turn_only(rule):
    recipe = foreign("batch_norm", rule)
    state = new_state(recipe, SHAPE, 0, CPU)
    notes = {}

    def note(player, optimizer, step):
        def spy(grads):
            notes.setdefault(player, []).append(
                {
                    name: bits(network)
                    for name, network in (("G", state.generator), ("D", state.discriminator))
                }
            )
            return step(grads)

        optimizer.step = spy

    note("D", state.discriminator_optimizer, state.discriminator_optimizer.step)
    note("G", state.generator_optimizer, state.generator_optimizer.step)
    before = bits(state.generator)
    real = Batch(torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    d_passes = []
    state.discriminator[2].register_forward_hook(lambda *_: d_passes.append(bits(state.discriminator)))
    updates.make_update(recipe)(state, real, StepRNG(0, 0, 5, "normal", CPU))
    assert all(turn["G"] == before for turn in notes["D"])  # fakes for D's turn left G's statistics alone
    assert bits(state.discriminator) == notes["G"][0]["D"]  # and G's turn D's
    moved = {key for key, value in notes["G"][0]["G"].items() if value != before[key]}
    assert {name for _, name in moved} == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}

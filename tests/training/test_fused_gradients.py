"""One backward pass through D gives both players the gradients that two passes give."""

import pytest
import torch

from ganvas import recipes
from ganvas.networks.conditioning import Batch
from ganvas.training import objectives, updates
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state

CPU = torch.device("cpu")
SMALL = {
    "generator.base_channels": 16,
    "generator.layers.0.channels": 16,
    "generator.layers.1.channels": 8,
    "discriminator.layers.0.channels": 8,
    "discriminator.layers.1.channels": 16,
    "batch_size": 32,
}


def gradients(how, state, real, seed, objective="non_saturating"):
    random = StepRNG(seed, 0, 100, "normal", CPU)
    random.seed_layers(state.generator, state.discriminator)
    fake = state.generator(random.latents(32))
    return how(objectives.OBJECTIVES.find(objective), state, Batch(real), Batch(fake))


def relative(a, b):
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("shift", [-200.0, -90.0, -20.0, 0.0, 8.0])
def test_with_dropout_on_and_the_same_masks_both_players_gradients_agree_to_1e_5(seed, shift):
    """`shift` makes D sure: at -90, a fake's derivative in D's loss underflows."""
    recipe = recipes.load_recipe("tutorial-dcgan").with_overrides(SMALL)
    assert recipe.discriminator.dropout == 0.3
    state = new_state(recipe, (1, 28, 28), seed, CPU)
    with torch.no_grad():
        state.discriminator[-1].bias.fill_(shift)
    real = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    one, two = (
        gradients(how, state, real, seed) for how in (updates.fused_gradients, updates.separate_gradients)
    )
    for player in (0, 1):
        assert len(one[player]) == len(two[player])
        for ours, theirs in zip(one[player], two[player], strict=True):
            assert theirs.norm() > 0
            assert relative(ours, theirs) < 1e-5
    for name, value in two[2].items():
        assert one[2][name] == pytest.approx(value)


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.5, 3.0])
def test_one_pass_serves_every_objective(objective, shift):
    """The hinge's D does not care for fakes below -1, least squares turns its sign at 0."""
    state = new_state(recipes.load_recipe("tutorial-dcgan").with_overrides(SMALL), (1, 28, 28), 0, CPU)
    with torch.no_grad():
        state.discriminator[-1].bias.fill_(shift)
    real = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
    one, two = (
        gradients(how, state, real, 1, objective)
        for how in (updates.fused_gradients, updates.separate_gradients)
    )
    for player in (0, 1):
        for ours, theirs in zip(one[player], two[player], strict=True):
            # In a sum that cancels (a relativistic D's last bias) rounding is all that is left.
            assert (ours - theirs).norm() <= 1e-5 * theirs.norm() + 1e-7


def test_the_rescaled_gradient_is_not_what_d_itself_would_send():
    """A control: without the ratio the generator's gradient would be far from right."""
    recipe = recipes.load_recipe("tutorial-dcgan").with_overrides(SMALL)
    state = new_state(recipe, (1, 28, 28), 0, CPU)
    real = torch.zeros(8, 1, 28, 28)
    _, right, _ = gradients(updates.separate_gradients, state, real, 0)
    objective = objectives.OBJECTIVES.find("non_saturating")
    unscaled = objectives.LogitwiseObjective(objective.real, objective.fake, generator=objective.fake)
    random = StepRNG(0, 0, 100, "normal", CPU)
    random.seed_layers(state.generator, state.discriminator)
    fake = state.generator(random.latents(32))
    _, wrong, _ = updates.fused_gradients(unscaled, state, Batch(real), Batch(fake))
    assert relative(wrong[0], right[0]) > 0.5


def test_where_batch_norm_mixes_samples_the_simultaneous_rule_falls_back_to_two_passes(monkeypatch):
    overrides = {**SMALL, "discriminator.batch_norm": {"momentum": 0.9}, "discriminator.dropout": 0}
    recipe = recipes.load_recipe("tutorial-dcgan").with_overrides(overrides)
    used = []
    for how in ("fused_gradients", "separate_gradients"):
        real_one = getattr(updates, how)
        monkeypatch.setattr(updates, how, lambda *a, f=real_one, n=how: used.append(n) or f(*a))
    state = new_state(recipe, (1, 28, 28), 0, CPU)
    updates.make_update(recipe)(state, Batch(torch.zeros(8, 1, 28, 28)), StepRNG(0, 0, 100, "normal", CPU))
    plain = recipes.load_recipe("tutorial-dcgan").with_overrides(SMALL)
    state = new_state(plain, (1, 28, 28), 0, CPU)
    updates.make_update(plain)(state, Batch(torch.zeros(8, 1, 28, 28)), StepRNG(0, 0, 100, "normal", CPU))
    assert used == ["separate_gradients", "fused_gradients"]

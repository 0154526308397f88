"""`TrainState`: first weights by (recipe, shape, seed), fresh optimizers, the average."""

import pytest
import torch
from small import NAMES, SHAPE, bits, recipe_of, state_of, trained

from ganvas.training.optimizers import NetworkOptimizer
from ganvas.training.state import new_discriminator, new_generator


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_first_weights_and_another_seed_others(name):
    recipe = recipe_of(name)
    first = state_of(recipe)
    torch.manual_seed(5)  # must not matter
    again, other = state_of(recipe), state_of(recipe, seed=1)
    assert bits(first.generator, first.discriminator) == bits(again.generator, again.discriminator)
    assert bits(first.generator) != bits(other.generator)
    assert bits(first.discriminator) != bits(other.discriminator)


@pytest.mark.parametrize("name", NAMES)
def test_each_player_can_be_drawn_alone(name):
    recipe = recipe_of(name)
    state = state_of(recipe, seed=3)
    assert bits(new_generator(recipe, SHAPE, 3)) == bits(state.generator)
    assert bits(new_discriminator(recipe, SHAPE, 3)) == bits(state.discriminator)


def test_one_players_weights_do_not_hang_on_the_others_network():
    recipe = recipe_of("tutorial-dcgan")
    wider = recipe.with_overrides({"discriminator.layers.0.channels": 9})
    assert bits(state_of(recipe).generator) == bits(state_of(wider).generator)


def test_a_new_state_starts_at_0_with_an_optimizer_for_each_player():
    recipe = recipe_of("tf1-dcgan")
    state = state_of(recipe)
    assert (state.step, state.images_seen, state.ema) == (0, 0, None)
    for player in ("generator", "discriminator"):
        optimizer, spec = getattr(state, f"{player}_optimizer"), getattr(recipe, f"{player}_optimizer")
        assert isinstance(optimizer, NetworkOptimizer)
        (group,) = optimizer._optimizer.param_groups
        assert (group["lr"], group["betas"]) == (spec.learning_rate, (spec.beta1, spec.beta2))
        own = list(getattr(state, player).parameters())
        assert [id(w) for w in group["params"]] == [id(w) for w in own]


def test_kernels_and_images_lie_channels_last():
    state = state_of(recipe_of("tutorial-dcgan"))
    kernels = [w for w in state.discriminator.parameters() if w.dim() == 4]
    assert len(kernels) == 2
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in kernels)


def test_the_average_follows_its_decay_moving_statistics_included():
    recipe = recipe_of("mlp", ema=0.75)
    state = state_of(recipe)
    expected = None
    for step in range(3):
        for weight in state.generator.state_dict().values():
            weight.add_(1 + step)
        state.ema.update_parameters(state.generator)
        now = {name: w.clone() for name, w in state.generator.state_dict().items()}
        old = now if expected is None else expected  # the first average is the network itself
        expected = {name: 0.75 * old[name] + 0.25 * now[name] for name in now}
    torch.testing.assert_close(dict(state.ema.module.state_dict()), expected)


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_best_generator_is_the_average_where_there_is_one(ema):
    state = trained(recipe_of("mlp", ema=ema))
    best = state.ema_generator()
    assert (best is state.generator) is (ema is None)
    assert (bits(best) == bits(state.generator)) is (ema is None)


def test_the_averages_tensors_are_its_own():
    recipe = recipe_of("mlp", ema=0.9)
    state = state_of(recipe)
    before = bits(state.ema.module)
    with torch.no_grad():
        for weight in state.generator.parameters():
            weight.add_(1)
    assert bits(state.ema.module) == before

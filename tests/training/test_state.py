"""`TrainState`: first weights by (recipe, shape, seed), fresh optimizers, the average."""

import itertools

import pytest
import torch
from small import CPU, NAMES, SHAPE, bits, random_of, real_images, recipe_of, state_of, trained

from ganvas import recipes
from ganvas.errors import MachineError
from ganvas.networks.conditioning import Batch
from ganvas.training import updates
from ganvas.training.optimizers import NetworkOptimizer
from ganvas.training.state import estimate_step_memory, new_discriminator, new_generator, new_state


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
def test_each_network_can_be_initialized_alone(name):
    recipe = recipe_of(name)
    state = state_of(recipe, seed=3)
    assert bits(new_generator(recipe, SHAPE, 3)) == bits(state.generator)
    assert bits(new_discriminator(recipe, SHAPE, 3)) == bits(state.discriminator)


def test_the_initial_weights_of_one_network_do_not_depend_on_the_other():
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


RESIDUAL = {"kind": "resnet", "widths": [2**20] * 3, "block": {"kind": "bottleneck", "expansion": 16}}


@pytest.mark.parametrize(
    "overrides",
    [
        {"batch_size": 2**24},
        {"batch_size": 2**24, "update.rule": "alternating_joint"},
        {"latent.size": 2**20, "generator.hidden": [2**20]},
        {"classes": 2**16, "latent.size": 2**20, "generator.hidden": [2**20, 2**20]},
        {"generator.hidden": [2**20] * 64},
        {"generator.layers": [{"channels": 2**20, "kernel": 256}] * 64},
        {"generator.base_channels": 2**20, "latent.size": 2**20},
        {"discriminator.layers": [{"channels": 2**20, "kernel": 256, "stride": 256}] * 64},
        {"discriminator.layers": [{"channels": 2**20, "kernel": 1}], "discriminator.hidden": [2**20]},
        {"generator": RESIDUAL},
        {"discriminator": RESIDUAL},
    ],
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 256, 256)])
def test_a_recipe_whose_step_cannot_fit_into_memory_is_refused_before_anything_is_built(overrides, shape):
    recipe = recipes.load_recipe("tutorial-dcgan").with_overrides(overrides)
    with pytest.raises(MachineError, match=r"GiB of memory|more parameters than can be") as caught:
        new_state(recipe, shape, 0, CPU)
    assert ": use " in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "alternating_joint", "alternating_separate"])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_step_is_estimated_to_need_is_less_than_what_pytorch_allocates_in_one(name, rule):
    recipe = recipe_of(name, batch_size=64, **{"update.rule": rule})
    state, real = state_of(recipe), Batch(real_images(recipe))
    update, rng = updates.make_update(recipe), random_of(recipe)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        update(state, real, rng)
    events = profile.profiler.kineto_results.events()
    held = list(itertools.accumulate(event.nbytes() for event in events if event.name() == "[memory]"))
    parameters = 4 * sum(p.numel() for n in (state.generator, state.discriminator) for p in n.parameters())
    assert len(held) > 100
    needed = max(held) + parameters
    assert needed / 100 < estimate_step_memory(recipe, SHAPE) < needed

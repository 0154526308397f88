"""Narrow versions of the recipes for unit tests of training: 8x8 pixels, a few channels, no dropout."""

import torch

from ganvas import recipes
from ganvas.networks.conditioning import Batch
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state
from ganvas.training.updates import make_update

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
CONVOLUTIONAL = {
    "generator.base_channels": 4,
    "generator.layers.0.channels": 4,
    "discriminator.layers.0.channels": 4,
    "discriminator.layers.1.channels": 6,
}
NARROW = {
    "tutorial-dcgan": {**CONVOLUTIONAL, "generator.layers.1.channels": 4},
    "keras-cnn": {**CONVOLUTIONAL, "generator.layers.1.channels": 4},
    "mlp": {"generator.hidden": [8, 9], "discriminator.hidden": [9, 8]},
    "tf1-dcgan": {**CONVOLUTIONAL, "generator.hidden": [10], "discriminator.hidden": [9]},
}
NAMES = list(NARROW)


def recipe_of(name, **more):
    overrides = {**NARROW[name], "latent.size": 5, "batch_size": 8, "discriminator.dropout": 0}
    return recipes.load_recipe(name).with_overrides(overrides | more)


def state_of(recipe, seed=0):
    return new_state(recipe, SHAPE, seed, CPU)


def real_images(recipe, seed=0, count=None):
    """Uniform noise in the pixel range: as many as the recipe's discriminator sees."""
    low, high = recipe.pixel_range
    source = torch.Generator().manual_seed(seed)
    return torch.rand(count or recipe.real_batch_size, *SHAPE, generator=source) * (high - low) + low


def random_of(recipe, step=0, seed=0):
    return StepRNG(seed, step, recipe.latent.size, recipe.latent.distribution, CPU)


def trained(recipe, steps=3, seed=0):
    """A state after a few steps."""
    state, update = state_of(recipe, seed), make_update(recipe)
    for step in range(steps):
        update(state, Batch(real_images(recipe, seed=step)), random_of(recipe, step))
        if state.ema is not None:
            state.ema.update_parameters(state.generator)
        state.step += 1
        state.images_seen += recipe.real_batch_size
    return state


def bits(*networks):
    """Every tensor of the networks as bytes: parameters and moving statistics."""
    return {
        (i, name): tensor.detach().contiguous().numpy().tobytes()
        for i, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }


def all_bits(state):
    """Every tensor of a state as bytes, with both counts of steps."""
    optimizers = (state.generator_optimizer, state.discriminator_optimizer)
    moments = [
        {name: t.contiguous().numpy().tobytes() for name, t in optimizer.state_tensors().items()}
        for optimizer in optimizers
    ]
    networks = [state.generator, state.discriminator]
    if state.ema is not None:
        networks.append(state.ema)
    return bits(*networks), moments, [o.steps for o in optimizers], state.step, state.images_seen

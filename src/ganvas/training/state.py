"""`TrainState`: everything that an update changes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganvas.networks import ImageShape
from ganvas.networks.initialise import initialise
from ganvas.randomness import Stream, derived_seed
from ganvas.recipe import Recipe
from ganvas.training.optimizers import KerasAdam


@dataclass
class TrainState:
    """Both networks, both optimisers, the averaged generator if any, and how far training is."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: KerasAdam
    discriminator_optimizer: KerasAdam
    ema: AveragedModel | None = None
    step: int = 0
    images_seen: int = 0

    def best_generator(self) -> nn.Module:
        """The averaged generator where there is one, else the generator itself."""
        return self.generator if self.ema is None else self.ema.module


def new_generator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained generator of (recipe, shape, seed), on the CPU."""
    spec = recipe.generator
    network = spec.build(image_shape, recipe.latent.size, recipe.pixel_range)
    initialise(network, spec.weights, _weights_source(seed, 0))
    return network


def new_discriminator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained discriminator of (recipe, shape, seed), on the CPU."""
    spec = recipe.discriminator
    network = spec.build(image_shape)
    initialise(network, spec.weights, _weights_source(seed, 1))
    return network


def new_state(recipe: Recipe, image_shape: ImageShape, seed: int, device: torch.device) -> TrainState:
    """The state before the first step. Weights are drawn on the CPU: the same on every device."""
    placed = {"device": device, "memory_format": torch.channels_last}
    generator = new_generator(recipe, image_shape, seed).to(**placed)  # type: ignore[call-overload]
    discriminator = new_discriminator(recipe, image_shape, seed).to(**placed)  # type: ignore[call-overload]
    return assemble(recipe, generator, discriminator)


def assemble(recipe: Recipe, generator: nn.Module, discriminator: nn.Module) -> TrainState:
    """A state at step 0 around two networks: fresh optimisers and average."""
    ema = None
    if recipe.ema is not None:
        average = get_ema_multi_avg_fn(recipe.ema)
        ema = AveragedModel(generator, multi_avg_fn=average, use_buffers=True)
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=KerasAdam(generator, recipe.generator_optimizer),
        discriminator_optimizer=KerasAdam(discriminator, recipe.discriminator_optimizer),
        ema=ema,
    )


def _weights_source(seed: int, player: int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, Stream.WEIGHTS, player))

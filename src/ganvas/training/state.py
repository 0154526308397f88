"""`TrainState`: everything that an update changes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganvas import memory
from ganvas.networks import ImageShape
from ganvas.networks.initialise import initialise
from ganvas.randomness import Stream, derived_seed
from ganvas.recipe import Recipe
from ganvas.training import adaptive
from ganvas.training.optimizers import KerasAdam


@dataclass
class TrainState:
    """Both networks, both optimisers, the averaged generator if any, and how far training is.

    `adaptive` is what `ganvas.training.adaptive` keeps, where the recipe's augmentation has a target.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: KerasAdam
    discriminator_optimizer: KerasAdam
    ema: AveragedModel | None = None
    adaptive: Tensor | None = None
    step: int = 0
    images_seen: int = 0

    def best_generator(self) -> nn.Module:
        """The averaged generator where there is one, else the generator itself."""
        return self.generator if self.ema is None else self.ema.module


def build_generator(recipe: Recipe, image_shape: ImageShape) -> nn.Module:
    """The generator's modules, their weights of no meaning yet.

    Raises:
        MachineError: they would not fit into memory.
    """
    spec = recipe.generator
    size, pixel_range = recipe.input_size, recipe.pixel_range
    return _build(lambda: spec.build(image_shape, size, pixel_range), "the generator")


def build_discriminator(recipe: Recipe, image_shape: ImageShape) -> nn.Module:
    """The discriminator's modules, as `build_generator`."""
    return _build(lambda: recipe.discriminator.told(image_shape, recipe.classes), "the discriminator")


def _build(build: Callable[[], nn.Module], what: str) -> nn.Module:
    """Count the weights before any memory is taken, then build."""
    hint = "use narrower layers, smaller images or a smaller latent.size"
    try:
        with torch.device("meta"):
            weights = sum(p.numel() for p in build().parameters())
    except RuntimeError:  # more entries than 64 bits can count
        weights = 2**62
    memory.require(4 * weights, f"{what} ({weights:,} weights)", hint)
    return build()


def new_generator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained generator of (recipe, shape, seed), on the CPU."""
    network = build_generator(recipe, image_shape)
    initialise(network, recipe.generator.weights, _weights_source(seed, 0))
    return network


def new_discriminator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained discriminator of (recipe, shape, seed), on the CPU."""
    network = build_discriminator(recipe, image_shape)
    initialise(network, recipe.discriminator.weights, _weights_source(seed, 1))
    return network


def new_state(recipe: Recipe, image_shape: ImageShape, seed: int, device: torch.device) -> TrainState:
    """The state before the first step. Weights are drawn on the CPU: the same on every device."""
    placed = {"device": device, "memory_format": torch.channels_last}
    generator = new_generator(recipe, image_shape, seed).to(**placed)  # type: ignore[call-overload]
    discriminator = new_discriminator(recipe, image_shape, seed).to(**placed)  # type: ignore[call-overload]
    return assemble(recipe, generator, discriminator)


def assemble(recipe: Recipe, generator: nn.Module, discriminator: nn.Module) -> TrainState:
    """A state at step 0 around two networks: fresh optimisers and average."""
    augment, device = recipe.augment, next(generator.parameters()).device
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
        adaptive=None if augment is None or augment.target is None else adaptive.new().to(device),
    )


def _weights_source(seed: int, player: int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, Stream.WEIGHTS, player))

"""`TrainState`: everything that a training step changes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganvas.networks import ImageShape
from ganvas.networks.init import init_parameters
from ganvas.recipes.schema import Recipe
from ganvas.training.augmentation import initial_ada_state
from ganvas.training.optimizers import NetworkOptimizer
from ganvas.training.rng import Stream, derive_seed, seeded_global_rng
from ganvas.utils import memory


@dataclass
class TrainState:
    """Both networks, both optimizers, the averaged generator if any, and how far training is.

    `adaptive` is ADA's state (`ganvas.training.augmentation`), where the recipe's augmentation has a target.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: NetworkOptimizer
    discriminator_optimizer: NetworkOptimizer
    ema: AveragedModel | None = None
    adaptive: Tensor | None = None
    step: int = 0
    images_seen: int = 0

    def ema_generator(self) -> nn.Module:
        """The averaged generator where there is one, else the generator itself."""
        return self.generator if self.ema is None else self.ema.module


def build_generator(recipe: Recipe, image_shape: ImageShape) -> nn.Module:
    """The generator's modules, not initialized by the recipe's rule yet.

    Raises:
        MachineError: they would not fit into memory.
    """
    spec = recipe.generator
    size, pixel_range = recipe.generator_input_size, recipe.pixel_range
    return _build(lambda: spec.build(image_shape, size, pixel_range), "the generator")


def build_discriminator(recipe: Recipe, image_shape: ImageShape) -> nn.Module:
    """The discriminator's modules, as `build_generator`."""
    return _build(
        lambda: recipe.discriminator.build_conditional(image_shape, recipe.classes), "the discriminator"
    )


def _build(build: Callable[[], nn.Module], what: str) -> nn.Module:
    """Count the parameters on the meta device first, so that what does not fit is refused, then build."""
    hint = "use narrower layers, smaller images or a smaller latent.size"
    try:
        with torch.device("meta"):
            count = sum(p.numel() for p in build().parameters())
    except RuntimeError:  # more entries than 64 bits can count
        count = 2**62
    memory.require_memory(4 * count, f"{what} ({count:,} parameters)", hint)
    return build()


def new_generator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained generator of (recipe, shape, seed), on the CPU."""
    with seeded_global_rng(derive_seed(seed, Stream.WEIGHTS, 0, 1)):
        network = build_generator(recipe, image_shape)
    init_parameters(network, recipe.generator.init, _init_rng(seed, 0))
    return network


def new_discriminator(recipe: Recipe, image_shape: ImageShape, seed: int) -> nn.Module:
    """The untrained discriminator of (recipe, shape, seed), on the CPU."""
    with seeded_global_rng(derive_seed(seed, Stream.WEIGHTS, 1, 1)):
        network = build_discriminator(recipe, image_shape)
    init_parameters(network, recipe.discriminator.init, _init_rng(seed, 1))
    return network


def new_state(recipe: Recipe, image_shape: ImageShape, seed: int, device: torch.device) -> TrainState:
    """The state before the first step. Parameters are drawn on the CPU: the same on every device."""
    target = {"device": device, "memory_format": torch.channels_last}
    generator = new_generator(recipe, image_shape, seed).to(**target)  # type: ignore[call-overload]
    discriminator = new_discriminator(recipe, image_shape, seed).to(**target)  # type: ignore[call-overload]
    return build_state(recipe, generator, discriminator)


def build_state(recipe: Recipe, generator: nn.Module, discriminator: nn.Module) -> TrainState:
    """A state at step 0 of two networks, with new optimizers and a new average."""
    augment, device = recipe.augment, next(generator.parameters()).device
    ema = None
    if recipe.ema is not None:
        average = get_ema_multi_avg_fn(recipe.ema)
        ema = AveragedModel(generator, multi_avg_fn=average, use_buffers=True)
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=NetworkOptimizer(generator, recipe.generator_optimizer),
        discriminator_optimizer=NetworkOptimizer(discriminator, recipe.discriminator_optimizer),
        ema=ema,
        adaptive=None if augment is None or augment.target is None else initial_ada_state().to(device),
    )


def _init_rng(seed: int, player: int) -> torch.Generator:
    """For the kernels that the recipe's rule initializes.

    Whatever else a network draws comes from the global generator, which is seeded while it is built.
    """
    return torch.Generator().manual_seed(derive_seed(seed, Stream.WEIGHTS, player))

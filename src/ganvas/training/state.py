"""`TrainState`: everything that a training step changes, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganvas.errors import MachineError, RecipeError
from ganvas.networks import ImageShape
from ganvas.networks.conditioning import check_networks
from ganvas.networks.init import init_parameters
from ganvas.networks.layers import inference
from ganvas.networks.spec import NetworkSpec
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
    build = _generator_builder(recipe, image_shape)
    _require_memory_for(_on_meta(recipe.generator, build), "the generator")
    return _check_module(recipe.generator, build())


def build_discriminator(recipe: Recipe, image_shape: ImageShape) -> nn.Module:
    """The discriminator's modules, as `build_generator`."""
    build = _discriminator_builder(recipe, image_shape)
    _require_memory_for(_on_meta(recipe.discriminator, build), "the discriminator")
    return _check_module(recipe.discriminator, build())


def _check_module(spec: NetworkSpec, network: object) -> nn.Module:
    """The network of a spec, which must be a module with parameters to train."""
    if isinstance(network, nn.Module) and any(True for _ in network.parameters()):
        return network
    got = (
        f"{type(network).__name__} without any" if isinstance(network, nn.Module) else type(network).__name__
    )
    raise RecipeError(
        f"{spec.kinds.kind} {spec.kind!r}: expected build() to return a torch.nn.Module with parameters, "
        f"got {got}"
    )


def _generator_builder(recipe: Recipe, image_shape: ImageShape) -> Callable[[], nn.Module]:
    return partial(recipe.generator.build, image_shape, recipe.generator_input_size, recipe.pixel_range)


def _discriminator_builder(recipe: Recipe, image_shape: ImageShape) -> Callable[[], nn.Module]:
    return partial(recipe.discriminator.build_conditional, image_shape, recipe.classes)


_NARROWER = "use narrower layers, smaller images or a smaller latent.size"


def _on_meta(spec: NetworkSpec, build: Callable[[], nn.Module]) -> nn.Module | None:
    """The network on PyTorch's device "meta", which has shapes and no numbers; None where it has no such.

    Raises:
        MachineError: it has more parameters than 64 bits can count.
    """
    try:
        with torch.device("meta"):
            return _check_module(spec, build())
    except RuntimeError:
        if not _is_built_in(spec):  # a user's network may need real numbers
            return None
        raise MachineError(
            f"the {spec.kinds.kind} has more parameters than can be counted: {_NARROWER}"
        ) from None


def _is_built_in(spec: NetworkSpec) -> bool:
    return type(spec).__module__.startswith("ganvas.")


def _require_memory_for(network: nn.Module | None, what: str) -> None:
    if network is not None:
        count = sum(p.numel() for p in network.parameters())
        memory.require_memory(4 * count, f"{what} ({count:,} parameters)", _NARROWER)


def estimate_step_memory(recipe: Recipe, image_shape: ImageShape) -> int:
    """Bytes that a training step cannot do without; nothing is built.

    Counted are the parameters with their gradients, and for the images of a batch the outputs of dense and
    convolutional layers, which the backward pass needs. Any step needs more.

    Raises:
        MachineError: a network has more parameters than can be counted.
    """
    generator = _on_meta(recipe.generator, _generator_builder(recipe, image_shape))
    discriminator = _on_meta(recipe.discriminator, _discriminator_builder(recipe, image_shape))
    networks = [network for network in (generator, discriminator) if network is not None]
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    numbers, inputs = math.prod(image_shape), recipe.generator_input_size
    generated = recipe.batch_size * (inputs + numbers + _outputs(recipe.generator, generator, (inputs,)))
    together = recipe.update.rule in ("simultaneous", "alternating")  # one graph for real and fake
    classified = recipe.batch_size * (2 if together else 1)
    classified *= numbers + _outputs(recipe.discriminator, discriminator, image_shape)
    return 8 * parameters + (4 if recipe.precision == "fp32" else 2) * max(generated, classified)


def _require_step_memory(recipe: Recipe, image_shape: ImageShape, device: torch.device) -> None:
    needed, what = estimate_step_memory(recipe, image_shape), f"a step of {recipe.batch_size:,} images"
    hint = "use a smaller batch_size, narrower layers, smaller images or a smaller latent.size"
    if device.type != "cuda":
        memory.require_memory(needed, what, hint)
    elif needed > (total := torch.cuda.get_device_properties(device).total_memory):
        raise MachineError(
            f"{what} needs about {needed / 2**30:,.1f} GiB of memory, the GPU has {total / 2**30:.1f}: {hint}"
        )


def _outputs(spec: NetworkSpec, network: nn.Module | None, shape: tuple[int, ...]) -> int:
    """Numbers in the outputs of dense and convolutional layers for one image; 0 of a user's network."""
    if network is None or not _is_built_in(spec):
        return 0
    sizes: list[int] = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda _, __, output: sizes.append(output.numel()))
    with inference(network):
        network(torch.empty(1, *shape, device="meta"))
    return sum(sizes)


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
    """The state before the first step. Parameters are drawn on the CPU: the same on every device.

    Raises:
        MachineError: a training step would not fit into memory.
        RecipeError: a user's network does not give what a step needs.
    """
    _require_step_memory(recipe, image_shape, device)
    target = {"device": device, "memory_format": torch.channels_last}
    generator = new_generator(recipe, image_shape, seed).to(**target)  # type: ignore[call-overload]
    discriminator = new_discriminator(recipe, image_shape, seed).to(**target)  # type: ignore[call-overload]
    if not (_is_built_in(recipe.generator) and _is_built_in(recipe.discriminator)):
        with seeded_global_rng(0, device):
            size = recipe.generator_input_size
            check_networks(generator, discriminator, image_shape, size, recipe.classes)
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

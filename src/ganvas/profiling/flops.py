"""The one counter of MACs, and what is estimated from it: a step's time and how often a run is scored.

A MAC is a multiplication and an addition: two operations. Counted are dense layers, convolutions and the two
matrix multiplications of self-attention, from the shapes that pass through the network; nothing is computed.

Kernel pixels on zero padding are left out: zeros add nothing to the result, so no step needs them, and a
rate in operations a second that counts them flatters the kernel. Other tools (`torch.utils.flop_counter`,
fvcore) count them, which makes 38% more for G of `tutorial-dcgan`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.networks import ImageShape
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.blocks import SelfAttention
from ganvas.networks.init import own_parameters
from ganvas.networks.layers import SameConv2d, SameConvTranspose2d, inference
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe, Scores
from ganvas.utils.conv_arithmetic import macs_per_axis, same_padding

MAX_FRACTION = 0.05  # of the training time that scoring may take, where the recipe leaves it open

# The time model, as measured on two cores: MACs to score an image besides generating it, MACs per second in
# each precision (scores are always in fp32), and a constant per step.
SCORING_MACS = 100e6
MACS_PER_SECOND = {"fp32": 150e9, "bf16": 330e9}
STEP_SECONDS = 8e-3

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


class UncountableError(RecipeError):
    """A network that cannot run on PyTorch's device "meta", which has shapes and no numbers."""


@dataclass(frozen=True)
class Layer:
    """One layer: `output` is the shape behind the batch axis, `macs` those of one image's forward pass."""

    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class NetworkCost:
    """Trainable parameters and MACs of a network, layer by layer in the order of its forward pass."""

    layers: tuple[Layer, ...]
    parameters: int

    @property
    def macs(self) -> int:
        """Of one image's forward pass. The gradients of its weights take as many, those of its inputs too."""
        return sum(layer.macs for layer in self.layers)

    @property
    def training_macs(self) -> int:
        """Of one image's forward pass, gradients of all weights, and of all inputs but the first layer's."""
        first = next((layer.macs for layer in self.layers if layer.macs), 0)
        return 3 * self.macs - first


def network_costs(recipe: Recipe, image_shape: ImageShape) -> tuple[NetworkCost, NetworkCost]:
    """Count the generator and the discriminator for images of `image_shape`, (C, H, W).

    Raises:
        UncountableError: a user's network that cannot run on the meta device.
    """
    with torch.device("meta"):
        generator = recipe.generator.build(image_shape, recipe.generator_input_size, recipe.pixel_range)
        discriminator = recipe.discriminator.build_conditional(image_shape, recipe.classes)
        z, image = torch.empty(1, recipe.generator_input_size), torch.empty(1, *image_shape)
    try:
        return _count(generator, z), _count(discriminator, image)
    except RuntimeError as error:
        raise UncountableError(
            f"the MACs of recipe {recipe.name} cannot be counted: its networks do not run on the device "
            f'"meta" ({str(error).partition(chr(10))[0]})'
        ) from error


def sample_macs(recipe: Recipe, image_shape: ImageShape) -> int:
    """MACs of generating one image."""
    return network_costs(recipe, image_shape)[0].macs


def step_macs(recipe: Recipe, image_shape: ImageShape) -> int:
    """MACs that one training step at the recipe's full batch cannot do without.

    Counted once each: forward passes, gradients with respect to weights, gradients with respect to inputs. A
    first layer's inputs need none, except where the generator learns through the discriminator's. Penalties
    are not counted: they are a choice of the recipe's, due every so many steps.
    """
    g, d = network_costs(recipe, image_shape)
    n = recipe.batch_size
    with torch.random.fork_rng(devices=[]):
        discriminator = recipe.discriminator.build_conditional(image_shape, recipe.classes)
    rule = recipe.update.rule
    if rule == "simultaneous" and not is_batch_dependent(discriminator, torch.zeros(1, *image_shape)):
        # One pass through D for both players: the gradient of the fakes goes on into G.
        return n * (g.training_macs + d.training_macs + 3 * d.macs)
    through = 2 * d.macs  # G's turn: forward through D, and back to its inputs
    if rule == "simultaneous":  # the turns share D's forward pass of the fakes
        return n * (g.training_macs + 2 * d.training_macs + d.macs)
    shared = recipe.update.reuse_latents and recipe.update.generator_mode == "train"
    # With the same z and the same G, the images of G's turn are those of D's turn.
    generated = 0 if shared else (n // 2 if rule == "alternating_joint" else n)
    classified = n if rule == "alternating_joint" else 2 * n
    return generated * g.macs + classified * d.training_macs + n * (through + g.training_macs)


def step_seconds(recipe: Recipe, image_shape: ImageShape, precision: str) -> float:
    """Estimate the seconds of a training step on two processor cores, in "fp32" or "bf16".

    Raises:
        UncountableError: a user's network that cannot run on the meta device.
    """
    return step_macs(recipe, image_shape) / MACS_PER_SECOND[precision] + STEP_SECONDS


def score_interval(recipe: Recipe, image_shape: ImageShape, steps_per_epoch: int, precision: str) -> int:
    """Return the steps from one score to the next: the recipe's interval, or epochs that make scores cheap.

    Estimated, not timed: the same run is scored at the same steps on every machine.
    """
    scores = recipe.scores or Scores()
    if scores.interval is not None:
        return to_steps(scores.interval, steps_per_epoch)
    try:
        step = step_seconds(recipe, image_shape, precision)
        macs = scores.images * (sample_macs(recipe, image_shape) + SCORING_MACS)
    except UncountableError:
        return steps_per_epoch
    seconds = macs / MACS_PER_SECOND["fp32"]
    return math.ceil(seconds / (MAX_FRACTION * step * steps_per_epoch)) * steps_per_epoch


def _count(network: nn.Module, example: Tensor) -> NetworkCost:
    """Count `network` on an example of one image, by hooks on its layers."""
    layers: list[Layer] = []

    def record(layer: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        y = next(_tensors(output), None)
        layers.append(
            Layer(
                kind=parametrize.type_before_parametrizations(layer).__name__,
                output=() if y is None else tuple(y.shape[1:]),
                parameters=sum(p.numel() for p in own_parameters(layer)),
                macs=0 if y is None else _layer_macs(layer, next(_tensors(inputs), y), y),
            )
        )

    for name, layer in network.named_modules():
        if "parametrizations" in name.split("."):  # how a weight is normalized is not a layer
            continue
        inner = [child for child, _ in layer.named_children() if child != "parametrizations"]
        if not isinstance(layer, nn.Identity) and (not inner or own_parameters(layer)):
            layer.register_forward_hook(record)
    with inference(network):
        network(example)
    return NetworkCost(tuple(layers), sum(p.numel() for p in network.parameters()))


def _tensors(values: object) -> Iterator[Tensor]:
    """The tensors among what a layer takes or returns."""
    yield from (
        v for v in (values if isinstance(values, tuple | list) else (values,)) if isinstance(v, Tensor)
    )


def _layer_macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    """MACs of a layer without its sublayers, for inputs x and outputs y of one image."""
    if isinstance(layer, nn.Linear):
        return y.numel() * layer.in_features
    if isinstance(layer, SelfAttention):
        pixels = y.shape[2] * y.shape[3]
        return pixels**2 * (layer.query.out_channels + layer.value.out_channels)
    if not isinstance(layer, Conv):
        return 0
    large, small = (y, x) if layer.transposed else (x, y)
    if layer.padding_mode != "zeros":  # copies of pixels are work like any other
        pairs = math.prod((*small.shape[2:], *layer.kernel_size))
        return pairs * layer.in_channels * layer.out_channels // layer.groups
    pairs = math.prod(
        macs_per_axis(large.shape[2 + i], small.shape[2 + i], kernel, stride, before, dilation)
        for i, (kernel, stride, before, dilation) in enumerate(
            zip(layer.kernel_size, layer.stride, _padding(layer, large, small), layer.dilation, strict=True)
        )
    )
    return pairs * layer.in_channels * layer.out_channels // layer.groups


def _padding(layer: Conv, large: Tensor, small: Tensor) -> list[int]:
    """Pixels of padding before the larger map, by axis."""
    axes = range(len(layer.kernel_size))
    if isinstance(layer, SameConv2d | SameConvTranspose2d):
        kernel, stride = layer.kernel_size, layer.stride
        return [same_padding(large.shape[2 + i], small.shape[2 + i], kernel[i], stride[i])[0] for i in axes]
    if isinstance(layer.padding, tuple):
        return [int(layer.padding[i]) for i in axes]
    total = [
        dilation * (kernel - 1) for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)
    ]
    return [pixels // 2 if layer.padding == "same" else 0 for pixels in total]


def layer_table(recipe: Recipe, image_shape: ImageShape) -> list[str]:
    """Lines for both networks, layer by layer: kind, output shape, parameters, MACs per image."""
    lines = [f"{'layer':<22}{'output':>16}{'parameters':>13}{'MACs':>16}"]
    for title, network in zip(
        ("generator", "discriminator"), network_costs(recipe, image_shape), strict=True
    ):
        lines += [title]
        for layer in network.layers:
            shape = " x ".join(map(str, layer.output)) or "1"
            lines.append(f"  {layer.kind:<20}{shape:>16}{layer.parameters:>13,}{layer.macs:>16,}")
        lines.append(f"  {'total':<36}{network.parameters:>13,}{network.macs:>16,}")
    return lines


def recipe_table() -> list[str]:
    """Lines for every recipe: source, data, length, parameters and MACs, as `ganvas recipes` prints them."""
    lines = []
    for name in recipes.recipe_names():
        recipe = recipes.load_recipe(name)
        side = recipe.image_size or 28
        g, d = network_costs(recipe, (1, side, side))
        split = {"train": "training set", "test": "test set", "all": "training and test set"}
        lines += [
            f"{name}: {recipe.summary}",
            f"    source  {recipe.source}",
            f"    data    {recipe.data}, {split[recipe.split]}",
            f"    length  {recipe.length}, batches of {recipe.batch_size}",
            f"    cost    G {g.parameters / 1e6:.2f} M parameters, {g.macs / 1e6:.1f} M MACs "
            f"per image; D {d.parameters / 1e6:.2f} M, {d.macs / 1e6:.1f} M",
        ]
    return [
        *lines,
        "",
        "One as JSON: ganvas recipes show NAME; its layers: ganvas recipes layers NAME.",
        "Change a value: ganvas train NAME --set KEY=VALUE",
    ]

"""MACs that a training step cannot do without, counted from the layers.

Taps that fall on padding are left out: a product with zero is no work. What a rule needs is counted once
each: forward passes, gradients with respect to weights, gradients with respect to inputs. A first layer's
inputs need none, except where the generator learns through the discriminator's. Penalties are not
counted: they are a choice of the recipe's, due every so many steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ganvas.networks import ImageShape
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.layers import SameConv2d, SameConvTranspose2d, inference
from ganvas.networks.spectral_norm import raw_weight
from ganvas.recipes.schema import Recipe
from ganvas.utils.conv_arithmetic import kernel_taps


@dataclass(frozen=True)
class Pass:
    """MACs of one image's forward pass: of all layers, and of the first one."""

    whole: int
    first: int

    @property
    def trained(self) -> int:
        """Forward, gradients of the weights, gradients of all inputs but the first layer's."""
        return 3 * self.whole - self.first


def network_passes(recipe: Recipe, image_shape: ImageShape) -> tuple[Pass, Pass]:
    """The forward passes of the generator and of the discriminator."""
    with torch.device("meta"):
        generator = recipe.generator.build(image_shape, recipe.generator_input_size, recipe.pixel_range)
        discriminator = recipe.discriminator.build_conditional(image_shape, recipe.classes)
        z, image = torch.empty(1, recipe.generator_input_size), torch.empty(1, *image_shape)
    return _count(generator, z), _count(discriminator, image)


def sample_macs(recipe: Recipe, image_shape: ImageShape) -> int:
    """MACs of one sampled image."""
    return network_passes(recipe, image_shape)[0].whole


def step_macs(recipe: Recipe, image_shape: ImageShape) -> int:
    """MACs of one training step at the recipe's full batch."""
    g, d = network_passes(recipe, image_shape)
    n = recipe.batch_size
    with torch.random.fork_rng(devices=[]):
        discriminator = recipe.discriminator.build_conditional(image_shape, recipe.classes)
    dependent = is_batch_dependent(discriminator, torch.zeros(1, *image_shape))
    rule = recipe.update.rule
    if rule == "simultaneous" and not dependent:
        # One pass through D for both: the fakes' gradient goes on into G.
        return n * (g.trained + d.trained + 3 * d.whole)
    through = 2 * d.whole  # G's turn: forward through D, and back to its inputs
    if rule == "simultaneous":
        return n * (g.trained + 2 * d.trained + d.whole)
    shared = recipe.update.reuse_latents and recipe.update.generator_mode == "train"
    fakes = 0 if shared else g.whole  # the same z, the same G: its images are there already
    judged = n if rule == "alternating_joint" else 2 * n
    drawn = n // 2 if rule == "alternating_joint" else n
    return drawn * fakes + judged * d.trained + n * (through + g.trained)


def _count(network: nn.Module, example: torch.Tensor) -> Pass:
    counts: list[int] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if macs := _layer(layer, inputs[0], output):
            counts.append(macs)

    for layer in network.modules():
        if isinstance(layer, nn.Linear | SameConv2d | SameConvTranspose2d):
            layer.register_forward_hook(note)
    with inference(network):
        network(example)
    return Pass(sum(counts), counts[0] if counts else 0)


def _layer(layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> int:
    if isinstance(layer, nn.Linear):
        return raw_weight(layer).numel()
    if not isinstance(layer, SameConv2d | SameConvTranspose2d):
        return 0
    large, small = (x, y) if isinstance(layer, SameConv2d) else (y, x)
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    both = [kernel_taps(large.shape[i], small.shape[i], kernel, stride) for i in (2, 3)]
    return both[0] * both[1] * layer.in_channels * layer.out_channels // layer.groups

"""Initialization of parameters by a recipe's rule, from a given random generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganvas.networks.spec import Init


class SelfInitialized:
    """A module that initializes its own parameters or buffers, whatever the recipe's rule."""

    def initialize(self, rng: torch.Generator) -> None:
        """Set the initial values with random numbers from `rng`."""
        raise NotImplementedError


def own_parameters(layer: nn.Module) -> list[Tensor]:
    """Return the parameters of a layer without those of its sublayers; weights before spectral norm."""
    own: list[Tensor] = list(layer.parameters(recurse=False))
    if parametrize.is_parametrized(layer):
        own += layer.parametrizations.parameters()  # type: ignore[union-attr]
    return own


def raw_weight(layer: nn.Module) -> Tensor:
    """Return the weight of a layer as it is optimized, that is before spectral norm."""
    if parametrize.is_parametrized(layer, "weight"):
        original = layer.parametrizations.weight.original  # type: ignore[union-attr]
        assert isinstance(original, Tensor)
        return original
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def fans(weight: Tensor) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight [out, in] or [out, in, h, w]; swapped for a transposed one."""
    kernel_size = weight[0, 0].numel() if weight.dim() > 2 else 1
    return weight.shape[1] * kernel_size, weight.shape[0] * kernel_size


@torch.no_grad()
def init_parameters(network: nn.Module, rule: Init, rng: torch.Generator) -> None:
    """Initialize the weights and biases of all dense and convolutional layers, in place.

    All other parameters keep the values that they were built with; `SelfInitialized` modules set their own.

    Args:
        network: random numbers are drawn in the order of `network.modules()`.
        rule: the recipe's rule.
        rng: where all random numbers come from; the global generator is not used.
    """
    for layer in network.modules():
        if isinstance(layer, SelfInitialized):
            layer.initialize(rng)
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        weight = raw_weight(layer)
        if rule.rule == "kaiming_normal":
            gain = getattr(layer, "gain", None)
            nn.init.normal_(weight, 0, (1 if gain is None else gain) / math.sqrt(fans(weight)[0]), rng)
        elif rule.rule == "glorot_uniform":
            # Keras swaps the fans of a transposed kernel (h, w, out, in); Glorot's rule uses their sum only.
            limit = math.sqrt(6 / sum(fans(weight)))
            nn.init.uniform_(weight, -limit, limit, generator=rng)
        else:
            std = rule.std
            nn.init.trunc_normal_(weight, 0, std, -2 * std, 2 * std, generator=rng)
        if layer.bias is not None:
            linear = isinstance(layer, nn.Linear)
            width = linear and rule.linear_bias == "width"
            nn.init.constant_(layer.bias, weight.shape[0] if width else 0)

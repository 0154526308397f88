"""Spectral normalization: each weight divided by its largest singular value, which bounds the layer's slope.

Source: Miyato et al. 2018, arXiv 1802.05957, algorithm 1: one step of the power iteration per forward pass in
training, on the weight as a matrix [out, in * kernel pixels].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from ganvas.utils.autocast import autocast_disabled

_LAYERS = nn.Linear | nn.Conv2d


class SelfInitialized:
    """A module that initializes its own parameters or buffers, whatever the recipe's rule."""

    def initialize(self, rng: torch.Generator) -> None:
        """Set the initial values with random numbers from `rng`."""
        raise NotImplementedError


class SpectralNorm(nn.Module, SelfInitialized):
    """Weight -> weight / its largest singular value, estimated from `u`, which is updated in training."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.update_statistics = True
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.ones(rows), dim=0))

    def initialize(self, rng: torch.Generator) -> None:
        """Start the power iteration at a random direction."""
        self.u.copy_(F.normalize(torch.randn(self.u.shape, generator=rng), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with autocast_disabled(weight):  # in bfloat16 the norm would be rounded
            matrix = weight.flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.t() @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                if self.training and self.update_statistics:
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))


def apply_spectral_norm(network: nn.Module) -> None:
    """Add spectral norm to every dense and convolutional layer of `network`, in place."""
    for layer in list(network.modules()):
        if isinstance(layer, _LAYERS):
            norm = SpectralNorm(layer.weight.shape[0]).to(layer.weight.device)
            # unsafe=True skips a check that would run the iteration on weights not initialized yet.
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)


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

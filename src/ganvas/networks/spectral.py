"""Spectral normalisation: weights divided by their largest singular value, so that no layer is steep.

Source: Miyato et al. 2018, arXiv 1802.05957, algorithm 1: one step of the power iteration at each forward
pass in training, as one matrix [out, in * taps] a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from ganvas.networks.products import unrounded

_LAYERS = nn.Linear | nn.Conv2d


class Drawn:
    """A module with first values of its own."""

    def draw(self, source: torch.Generator) -> None:
        """Draw them, whatever the rule for kernels."""
        raise NotImplementedError


class SpectralNorm(nn.Module, Drawn):
    """Weight -> weight / its largest singular value, estimated by `u`, which moves in training only."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.tracks = True
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.ones(rows), dim=0))

    def draw(self, source: torch.Generator) -> None:
        """A random direction, from which the iteration begins."""
        self.u.copy_(F.normalize(torch.randn(self.u.shape, generator=source), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with unrounded(weight):  # a norm is a statistic
            matrix = weight.flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.t() @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                if self.training and self.tracks:
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))


def normalise(network: nn.Module) -> None:
    """Normalise every layer of a network that has been built; the weights stay what they are."""
    for layer in list(network.modules()):
        if isinstance(layer, _LAYERS):
            norm = SpectralNorm(layer.weight.shape[0]).to(layer.weight.device)
            # Unsafe means unchecked: the check would run the iteration on weights that mean nothing yet.
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)


def own_weights(layer: nn.Module) -> list[Tensor]:
    """What a layer itself learns, without the layers in it; normalised weights as they are learned."""
    own: list[Tensor] = list(layer.parameters(recurse=False))
    if parametrize.is_parametrized(layer):
        own += layer.parametrizations.parameters()  # type: ignore[union-attr]
    return own


def plain_weight(layer: nn.Module) -> Tensor:
    """The weight as it is learned, normalised or not."""
    if parametrize.is_parametrized(layer, "weight"):
        original = layer.parametrizations.weight.original  # type: ignore[union-attr]
        assert isinstance(original, Tensor)
        return original
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight

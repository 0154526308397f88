"""First weights, drawn by a rule from a generator of random numbers, never from the global one."""

import math

import torch
from torch import Tensor, nn

from ganvas.networks.spec import Weights
from ganvas.networks.spectral import Drawn, plain_weight


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel: [out, in], [out, in, h, w]; for transposed kernels the two swap."""
    taps = weight[0, 0].numel() if weight.dim() > 2 else 1
    return weight.shape[1] * taps, weight.shape[0] * taps


@torch.no_grad()
def initialise(network: nn.Module, rule: Weights, source: torch.Generator) -> None:
    """Draw every kernel of `network` by `rule`, in the order of its layers, and set its biases."""
    for layer in network.modules():
        if isinstance(layer, Drawn):
            layer.draw(source)
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        weight = plain_weight(layer)
        if rule.rule == "scaled_normal":
            gain = getattr(layer, "gain", None)
            nn.init.normal_(weight, 0, (1 if gain is None else gain) / math.sqrt(fans(weight)[0]), source)
        elif rule.rule == "glorot_uniform":
            # Keras counts the fans of a transposed kernel (h, w, out, in) the other way round; their
            # sum, all that Glorot's rule uses, is the same.
            limit = math.sqrt(6 / sum(fans(weight)))
            nn.init.uniform_(weight, -limit, limit, generator=source)
        else:
            d = rule.deviation
            nn.init.trunc_normal_(weight, 0, d, -2 * d, 2 * d, generator=source)
        if layer.bias is not None:
            linear = isinstance(layer, nn.Linear)
            width = linear and rule.linear_bias == "width"
            nn.init.constant_(layer.bias, weight.shape[0] if width else 0)

"""Whether a discriminator mixes the samples of a batch, by a test of the network itself.

A list of layer types cannot tell: batch norm, minibatch statistics and attention over the batch all mix
samples, and a user's network may do so in its own way. So a copy of the network is run in training mode, with
perturbed parameters, since a branch behind a gate that starts at zero counts too. The samples are independent
if the logit of one image neither has a gradient with respect to another nor changes when the others do.
"""

from __future__ import annotations

import copy
import weakref

import torch
from torch import Tensor, nn

from ganvas.networks.layers import Dropout

_SAMPLES = 4
_TOLERANCE = 1e-3
"""Relative change of a logit below which it counts as rounding, which may depend on the other images."""

_cache: weakref.WeakKeyDictionary[nn.Module, bool] = weakref.WeakKeyDictionary()


def is_batch_dependent(discriminator: nn.Module, like: Tensor) -> bool:
    """Return whether the logit of an image depends on the other images of its batch, in training mode.

    The result is cached per module.

    Args:
        discriminator: maps images [N, C, H, W] to logits [N] or [N, K]. It is not changed, nor is any random
            generator.
        like: images of the shape and on the device that it takes; their values do not matter.
    """
    if discriminator not in _cache:
        _cache[discriminator] = _probe(discriminator, like)
    return _cache[discriminator]


def _probe(discriminator: nn.Module, like: Tensor) -> bool:
    device = like.device
    rng = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng).to(device)

    network = _copy(discriminator).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * noise(*parameter.shape))
    images = noise(_SAMPLES, *like.shape[1:])
    others = images.clone()
    others[1:] = noise(_SAMPLES - 1, *like.shape[1:])
    with torch.enable_grad():
        images.requires_grad_()
        logits = _first_logits(network, images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, allow_unused=True, materialize_grads=True)
    if bool(gradient[1:].ne(0).any()):
        return True
    with torch.no_grad():
        change = (_first_logits(network, others) - logits).abs().max()
    return bool(change > _TOLERANCE * logits.detach().abs().max().clamp_min(1e-6))


def _first_logits(network: nn.Module, images: Tensor) -> Tensor:
    """The logits of the first image; each call has the same dropout masks and the same buffers."""
    device = images.device
    network = _copy(network)  # a forward pass moves statistics, which would change the next one's logits
    for layer in network.modules():
        if isinstance(layer, Dropout):
            layer.reseed(0, device)
    cuda = [device] if device.type == "cuda" else []
    with torch.autocast(device.type, enabled=False), torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(0)
        if cuda:
            torch.cuda.manual_seed(0)
        logits: Tensor = network(images)
    return logits.reshape(len(images), -1)[0]


def _copy(network: nn.Module) -> nn.Module:
    """A deep copy without forward hooks, so that nobody's hook sees the probe.

    PyTorch does not copy tensors that are not leaves (`weight` under the old `nn.utils.weight_norm` and
    `spectral_norm`). They are recomputed in each forward pass, so a detached copy will do.
    """
    memo: dict[int, object] = {}
    for module in network.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    twin = copy.deepcopy(network, memo)
    for module in twin.modules():
        module._forward_hooks.clear()
    return twin

"""Fitting a small feature network on the user's own set: a fixed number of steps from a fixed seed.

Always on the CPU, in float32, with random numbers of its own: PyTorch's global generator and its number
of threads stay as they are. The same set gives the same network on the same machine with the same number
of threads; elsewhere, one that differs slightly, which its version tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.data import ImageSet
from ganvas.features.preprocess import resized
from ganvas.networks.layers import inference

SIDE = 32
DIMENSIONS = 128
STEPS = 500
BATCH = 128
MOST_IMAGES = 20_000
"""Of a larger set as many are drawn; the steps would see more of them too seldom to matter."""
SEED = 0
_LEARNING_RATE = 2e-3


class FittedNetwork(nn.Module):
    """Images float32 [N, C, 32, 32] in [0, 1] -> features float32 [N, 128].

    Four 3x3 convolutions, each with batch norm and ReLU, means over quarters, a dense layer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 32, 64, 128, 128)
        strides = (1, 2, 2, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)
            for i, o, s in zip(widths, widths[1:], strides, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.hidden = nn.Linear(4 * widths[-1], DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        features: Tensor = self.hidden(F.avg_pool2d(x, 2).flatten(1))
        return features


class Task(Protocol):
    """What a network is fitted to do; the layers that only this takes are `head`."""

    head: nn.Module

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:
        """The mean loss of a batch.

        Args:
            network: gives features [n, 128].
            x: images float32 [n, C, 32, 32] in [0, 1].
            chosen: int64 [n], where they are among the images that `fit` was given.
            source: where random numbers come from.
        """


def empty_module(make: Callable[[], nn.Module]) -> nn.Module:
    """A module with allocated parameters that PyTorch does not initialize from its global generator."""
    with torch.device("meta"):
        network = make()
    return network.to_empty(device="cpu")


@torch.no_grad()
def init_layers(network: nn.Module, source: torch.Generator) -> None:
    """Initial parameters: He et al. 2015 for kernels, 0 for biases, and norms that change nothing."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=source)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.reset_parameters()


def training_images(images: ImageSet) -> tuple[Tensor, np.ndarray]:
    """What is fitted on: uint8 [n, C, 32, 32], and int64 [n], which of the set's images these are."""
    index = np.arange(len(images))
    if len(index) > MOST_IMAGES:
        index = np.sort(np.random.RandomState(SEED).permutation(len(images))[:MOST_IMAGES])
    result = torch.empty(len(index), images.image_shape[0], SIDE, SIDE, dtype=torch.uint8)
    for start in range(0, len(index), BATCH):
        piece = torch.from_numpy(np.array(images.images[index[start : start + BATCH]])).float()
        result[start : start + BATCH] = resized(piece, SIDE).round_().clamp_(0, 255).byte()
    return result, index


def fit_network(
    images: Tensor, task: Task, progress: Callable[[int, int], None] | None = None
) -> FittedNetwork:
    """A network in inference mode, its features scaled to a mean variance of 1 over `images`.

    Args:
        images: uint8 [n, C, 32, 32], at least two.
        task: what it learns to do.
        progress: called as (step, steps) after each step.
    """
    source = torch.Generator().manual_seed(SEED)
    network = empty_module(lambda: FittedNetwork(images.shape[1])).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(network, FittedNetwork)
    for module in (network, task.head):
        init_layers(module, source)
        module.train()
    weights = [*network.parameters(), *task.head.parameters()]
    optimizer = torch.optim.AdamW(weights, _LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=STEPS)
    left = torch.empty(0, dtype=torch.int64)
    batch = min(BATCH, len(images))
    for step in range(1, STEPS + 1):
        if len(left) < batch:
            left = torch.randperm(len(images), generator=source)
        chosen, left = left[:batch], left[batch:]
        loss = task(network, to_unit_range(images[chosen]), chosen, source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, STEPS)
    with inference(network):
        features = torch.cat([network(to_unit_range(part)) for part in images[:5000].split(250)])
        size = features.var(0).mean().sqrt().clamp_min(1e-6)  # images may all be the same
        network.hidden.weight.div_(size)
        network.hidden.bias.div_(size)
    return network.requires_grad_(False).eval()


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], channels last."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)

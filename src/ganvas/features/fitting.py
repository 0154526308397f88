"""Fitting a small feature network on the user's own set: a fixed number of steps from a fixed seed.

Two tasks. fitted-classifier: classify the user's labels; no augmentation, as in gv1, since features that are
invariant to a shift or noise could not see them in a generator, but dropout on the features (Srivastava et
al. 2014, JMLR 15) against overfitting. fitted-contrast: SimCLR, Chen et al. 2020, arXiv 2002.05709, which
needs no labels: of all views in a batch, the nearest is the other view of the same image. Views are crops of
three fifths of the side or more, with a small change of brightness and contrast. They are not mirrored and
keep their hue, so that the features see mirrored and miscolored images. As in the paper, the features are
those before the head, which discards what views differ in.

Always on the CPU, in float32, with random numbers of its own: PyTorch's global generator and its number
of threads stay as they are. The same set gives the same network on the same machine with the same number
of threads; elsewhere a slightly different one, which its version shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.data import ImageSet
from ganvas.data.image_set import take_images
from ganvas.features.extractor import resized
from ganvas.networks.layers import inference

SIDE = 32
DIMENSIONS = 128
STEPS = 500
BATCH = 128
MOST_IMAGES = 20_000
"""Of a larger set a random subset; the steps would see each image too seldom otherwise."""
SEED = 0
_LEARNING_RATE = 2e-3
_DROPOUT = 0.3
_TEMPERATURE = 0.2
_SMALLEST_CROP = 0.6
_JITTER = 0.3


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
    """What a network is fitted to do; `head` has the layers that only the task needs."""

    head: nn.Module

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:
        """The mean loss of a batch.

        Args:
            network: gives features [n, 128].
            x: images float32 [n, C, 32, 32] in [0, 1].
            chosen: int64 [n], their indices in the images given to `fit_network`.
            source: generator of random numbers.
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


class Classes:
    """Cross-entropy of the classes, with dropout on the features.

    Args:
        labels: int64 [n], a class for each image.
    """

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels
        self.head = empty_module(lambda: nn.Linear(DIMENSIONS, int(labels.max()) + 1))

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:
        """See `Task`."""
        features = F.relu(network(x))
        kept = torch.rand(features.shape, generator=source) >= _DROPOUT
        return F.cross_entropy(self.head(features * kept / (1 - _DROPOUT)), self.labels[chosen])


class Contrast:
    """NT-Xent, the paper's equation 1, over the 2n views of a batch of n images."""

    def __init__(self) -> None:
        self.head = empty_module(
            lambda: nn.Sequential(
                nn.ReLU(), nn.Linear(DIMENSIONS, DIMENSIONS), nn.ReLU(), nn.Linear(DIMENSIONS, 64)
            )
        )

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:  # noqa: ARG002
        """See `Task`."""
        views = torch.cat([view(x, source), view(x, source)])
        return contrast_loss(self.head(network(views)), _TEMPERATURE)


def contrast_loss(z: Tensor, temperature: float) -> Tensor:
    """NT-Xent: z [2n, d], where z[i] and z[i + n] are views of one image -> the mean loss."""
    count = len(z)
    z = F.normalize(z)
    similarities = z @ z.T / temperature
    similarities = similarities.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(similarities, torch.arange(count).roll(count // 2))


def view(x: Tensor, source: torch.Generator) -> Tensor:
    """Images float32 [n, C, H, W] in [0, 1] -> another view of each, of the same size."""

    def uniform(low: float, high: float) -> Tensor:
        """Random numbers [n], one for each image."""
        return torch.empty(len(x)).uniform_(low, high, generator=source)

    scale = uniform(_SMALLEST_CROP, 1)
    transform = torch.zeros(len(x), 2, 3)
    transform[:, 0, 0] = transform[:, 1, 1] = scale
    for axis in range(2):  # the center of the crop, so that all of it is within the image
        transform[:, axis, 2] = uniform(-1, 1) * (1 - scale)
    grid = F.affine_grid(transform, list(x.shape), align_corners=False)
    # A crop at the border is interpolated with border pixels, not with black.
    crops = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    contrast = uniform(1 - _JITTER, 1 + _JITTER).view(-1, 1, 1, 1)
    brightness = uniform(-_JITTER, _JITTER).view(-1, 1, 1, 1)
    mean = crops.mean((1, 2, 3), keepdim=True)
    result = (crops - mean) * contrast + mean + brightness
    return result.contiguous(memory_format=torch.channels_last)


def training_images(images: ImageSet) -> tuple[Tensor, np.ndarray]:
    """What is fitted on: uint8 [n, C, 32, 32], and int64 [n], which of the set's images these are."""
    index = np.arange(len(images))
    if len(index) > MOST_IMAGES:
        index = np.sort(np.random.RandomState(SEED).permutation(len(images))[:MOST_IMAGES])
    result = torch.empty(len(index), images.image_shape[0], SIDE, SIDE, dtype=torch.uint8)
    for start in range(0, len(index), BATCH):
        piece = torch.from_numpy(take_images(images.images, index[start : start + BATCH])).float()
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
    parameters = [*network.parameters(), *task.head.parameters()]
    optimizer = torch.optim.AdamW(parameters, _LEARNING_RATE, weight_decay=0.05)
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
        size = features.var(0).mean().sqrt().clamp_min(1e-6)  # all images may be the same
        network.hidden.weight.div_(size)
        network.hidden.bias.div_(size)
    return network.requires_grad_(False).eval()


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], channels last."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)

"""The task of fitted-contrast: know an image again among others, from two views of it. No labels needed.

SimCLR, Chen et al. 2020, arXiv 2002.05709: two views of each image of a batch; of all other views, the
one of the same image is the nearest. Views are crops of three fifths of the side or more, with a little
other brightness and contrast. They are not mirrored and keep their hue, so that mirrored or miscolored
images are seen. As in the paper, features are taken before the head, which forgets what views differ in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.features.fitting import DIMENSIONS, FittedNetwork, empty_module

_TEMPERATURE = 0.2
_SMALLEST_CROP = 0.6
_JITTER = 0.3


class Contrast:
    """NT-Xent, the paper's equation 1, over the 2n views of a batch of n images."""

    def __init__(self) -> None:
        self.head = empty_module(
            lambda: nn.Sequential(
                nn.ReLU(), nn.Linear(DIMENSIONS, DIMENSIONS), nn.ReLU(), nn.Linear(DIMENSIONS, 64)
            )
        )

    def __call__(self, network: FittedNetwork, x: Tensor, chosen: Tensor, source: torch.Generator) -> Tensor:  # noqa: ARG002
        """See `fitting.Task`."""
        views = torch.cat([view(x, source), view(x, source)])
        return contrast_loss(self.head(network(views)), _TEMPERATURE)


def contrast_loss(z: Tensor, temperature: float) -> Tensor:
    """NT-Xent: z [2n, d], where z[i] and z[i + n] are views of one image -> the mean loss."""
    count = len(z)
    z = F.normalize(z)
    alike = z @ z.T / temperature
    alike = alike.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(alike, torch.arange(count).roll(count // 2))


def view(x: Tensor, source: torch.Generator) -> Tensor:
    """Images float32 [n, C, H, W] in [0, 1] -> another view of each, of the same size."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(len(x)).uniform_(low, high, generator=source)

    scale = uniform(_SMALLEST_CROP, 1)
    where = torch.zeros(len(x), 2, 3)
    where[:, 0, 0] = where[:, 1, 1] = scale
    for axis in range(2):  # the crop's middle, so that all of it lies within the image
        where[:, axis, 2] = uniform(-1, 1) * (1 - scale)
    grid = F.affine_grid(where, list(x.shape), align_corners=False)
    # A crop at the rim is interpolated with the rim itself, not with black.
    crops = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    contrast = uniform(1 - _JITTER, 1 + _JITTER).view(-1, 1, 1, 1)
    brightness = uniform(-_JITTER, _JITTER).view(-1, 1, 1, 1)
    middle = crops.mean((1, 2, 3), keepdim=True)
    result = (crops - middle) * contrast + middle + brightness
    return result.contiguous(memory_format=torch.channels_last)

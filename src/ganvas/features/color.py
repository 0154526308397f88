"""The extractor gv1-color: gv1's features of the luma, and those of random filters of the colors.

A randomly initialized network distinguishes two sets of images without a bias to the classes of a training
set: Naeem et al. 2020, arXiv 2002.09797, measure generators with such networks where no pretrained one fits.
Here one sees the colors, which gv1 does not. On photographs, which gv1 was not trained on, gv1's features
vary little and the filters dominate; on colored digits both count.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.features import gv1
from ganvas.features.extractor import NetworkExtractor, resized, with_channels

NAME = "gv1-color"
PREPROCESSING = f"{gv1.PREPROCESSING}; color: BT.601 planes, antialiased bilinear to 32, 1"
SEED = 601
SIDE = 32
LAYERS = ((32, 1), (64, 2), (64, 2))
"""Channels and stride of each 3x3 convolution."""
QUARTERED = 16
"""Channels of the last map that are also averaged over each quarter of the image."""
MEANS, QUARTERS = LAYERS[-1][0], 4 * QUARTERED
DIMENSIONS = gv1.DIMENSIONS + MEANS + QUARTERS

# The luma in 0..1, and Cb and Cr of BT.601 in -1..1. Chroma is doubled, since photographs vary far less in
# it than in the luma, which gv1 sees already.
_PLANES = (
    (0.299, 0.587, 0.114),
    (-0.337, -0.663, 1.0),
    (1.0, -0.837, -0.163),
)
_CHROMA = 2.0

# Over 4,000 synthetic images (tests/features/scenes.py, seed 0) the features have these mean
# variances without scaling; they are constants of the network and do not depend on the user's images.
_MEANS_VARIANCE, _QUARTERS_VARIANCE = 0.0142, 0.0192


class RandomFilters(nn.Module):
    """Images float32 [N, 3, 32, 32], 0 to 255 -> features float32 [N, 128] of mean variance about 1.

    Weights and biases are uniform within He's limit (He et al. 2015, arXiv 1502.01852) and drawn from
    `numpy.random.RandomState`, the one generator whose stream NumPy promises never to change (NEP 19).
    Its uniform numbers take no logarithm or cosine, so that they are the same bits on every machine.
    The 64 channels of the last map are averaged over the image, 16 of them over each quarter as well.
    """

    def __init__(self) -> None:
        super().__init__()
        random = np.random.RandomState(SEED)
        self.register_buffer("planes", torch.tensor(_PLANES).view(3, 3, 1, 1))
        channels = 3
        for layer, (out, _) in enumerate(LAYERS):
            limit = math.sqrt(6 / (9 * channels))
            weight = (2 * random.random_sample((out, channels, 3, 3)) - 1) * limit
            bias = (2 * random.random_sample(out) - 1) * limit
            self.register_buffer(f"weight{layer}", torch.from_numpy(weight).float())
            self.register_buffer(f"bias{layer}", torch.from_numpy(bias).float())
            channels = out

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features."""
        x = F.conv2d(images / 255, self.get_buffer("planes"))
        x = torch.cat([2 * x[:, :1] - 1, _CHROMA * x[:, 1:]], 1)
        for layer, (_, stride) in enumerate(LAYERS):
            weight, bias = self.get_buffer(f"weight{layer}"), self.get_buffer(f"bias{layer}")
            # Padded with the border pixels: a black frame would be the strongest edge.
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias, stride))
        means = x.mean((2, 3)) / math.sqrt(_MEANS_VARIANCE)
        quarters = F.adaptive_avg_pool2d(x[:, :QUARTERED], 2).flatten(1) / math.sqrt(_QUARTERS_VARIANCE)
        return torch.cat([means, quarters], 1)


class Color(nn.Module):
    """Images uint8 [N, C, H, W] -> features float32 [N, 256]: gv1's, then the random filters'."""

    def __init__(self) -> None:
        super().__init__()
        self.gray, self.filters = gv1.preprocessed_network(), RandomFilters()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features."""
        colored = self.filters(resized(with_channels(images, 3), SIDE))
        return torch.cat([self.gray(images), colored], 1)


def extractor(device: torch.device | str = "cpu") -> NetworkExtractor:
    """The extractor "gv1-color".

    Raises:
        MachineError: gv1's file in the installed package is damaged.
    """
    return NetworkExtractor(
        NAME,
        Color(),
        preprocessing=PREPROCESSING,
        dimensions=DIMENSIONS,
        comparable=True,
        device=device,
    )

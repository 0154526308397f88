"""Images as a network wants them: channels, size, range.

Nothing is rounded to whole pixel values on the way, and images are made smaller with antialiasing: both
matter as much as a generator's real faults do. Source: Parmar et al. 2022, arXiv 2104.11222.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def gray(images: Tensor) -> Tensor:
    """Images [N, C, H, W], 0 to 255 -> their luma of ITU-R BT.601, float32 [N, 1, H, W], 0 to 255.

    The weights 0.299, 0.587 and 0.114 are counted in 1/65536: every sum of bytes is exact in float32, so
    that three equal channels give exactly what one gives.
    """
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.float().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue) / 65536).unsqueeze(1)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Images [N, C, H, W] -> float32 with 1 channel (luma) or 3 (gray three times), 0 to 255."""
    if channels == 1:
        return gray(images)
    return images.float().expand(-1, channels, -1, -1)


def resized(images: Tensor, side: int, mode: str = "bilinear") -> Tensor:
    """Images float32 [N, C, H, W] -> [N, C, side, side], antialiased; exactly themselves at that size."""
    if images.shape[2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode=mode, align_corners=False, antialias=True)


class Preprocessed(nn.Module):
    """A network of images float32 [N, channels, side, side] in [0, 1], for images uint8 of any kind."""

    def __init__(self, network: nn.Module, channels: int, side: int) -> None:
        super().__init__()
        self.network, self.channels, self.side = network, channels, side

    def forward(self, images: Tensor) -> Tensor:
        """Images uint8 [N, C, H, W] -> what the network says of them."""
        result: Tensor = self.network(resized(with_channels(images, self.channels), self.side) / 255)
        return result

"""Differentiable augmentation: what the discriminator sees of real and of fake images alike.

With few images D learns them by heart; seen through random changes, they are many. Fakes go through the same
changes, which let gradients pass, so that G learns to draw the images and not the changes. Source: Zhao et
al. 2020 (DiffAugment), arXiv 2006.10738, section 3.2 and its policies of colour, translation and cutout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganvas.recipe import Augment

Uniform = Callable[..., Tensor]  # the sides of a tensor -> U(0, 1), float32


def augmented(
    images: Tensor, how: Augment, uniform: Uniform, pixel_range: tuple[int, int] = (-1, 1)
) -> Tensor:
    """Images [N, C, H, W], each changed in its own way: the same shape, differentiable.

    What moves in from outside and what is cut out is the middle of the range, as in the paper.

    Args:
        images: float32 in the pixel range.
        how: which changes, and how far they go.
        uniform: where random numbers come from.
        pixel_range: [-1, 1] or [0, 1].
    """
    if pixel_range != (-1, 1):
        low, high = pixel_range
        middle, half = (low + high) / 2, (high - low) / 2
        return augmented((images - middle) / half, how, uniform) * half + middle
    n = len(images)
    if how.colour:
        images = _coloured(images, how.colour, uniform)
    if how.translation:
        images = _moved(images, how.translation, uniform)
    if how.cutout:
        images = images * _window(n, images.shape[2:], how.cutout, uniform)
    return images.contiguous(memory_format=torch.channels_last)


def _coloured(images: Tensor, strength: float, uniform: Uniform) -> Tensor:
    """Brightness moved, saturation and contrast stretched; at strength 1 as far as the paper goes."""
    brightness, saturation, contrast = ((uniform(len(images), 1, 1, 1) - 0.5) * strength for _ in range(3))
    images = images + brightness
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + 2 * saturation)
    level = images.mean((1, 2, 3), keepdim=True)
    return level + (images - level) * (1 + contrast)


def _moved(images: Tensor, share: float, uniform: Uniform) -> Tensor:
    """By up to `share` of each side, zeros moving in."""
    n, channels, height, width = images.shape
    rows, columns = (_places(side, share, n, uniform) for side in (height, width))
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))  # whatever lies outside is a border's zero
    down = padded.gather(2, rows.view(n, 1, height, 1).expand(-1, channels, -1, width + 2))
    return down.gather(3, columns.view(n, 1, 1, width).expand(-1, channels, height, -1))


def _places(side: int, share: float, n: int, uniform: Uniform) -> Tensor:
    """Where in the padded side each pixel comes from: int64 [n, side]."""
    most = int(side * share + 0.5)
    shift = (uniform(n, 1) * (2 * most + 1)).long() - most
    return (torch.arange(1, side + 1, device=shift.device) + shift).clamp(0, side + 1)


def _window(n: int, sides: torch.Size, share: float, uniform: Uniform) -> Tensor:
    """1, and 0 in a rectangle of `share` of each side, which may reach over the border: [n, 1, H, W]."""
    inside = []
    for side in sides:
        length = int(side * share + 0.5)
        centre = (uniform(n, 1) * (side + (1 - length % 2))).long()
        place = torch.arange(side, device=centre.device)
        inside.append((place >= centre - length // 2) & (place < centre - length // 2 + length))
    return (~(inside[0][:, None, :, None] & inside[1][:, None, None, :])).float()

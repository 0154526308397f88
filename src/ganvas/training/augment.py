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
from ganvas.training.geometry import turned

Uniform = Callable[..., Tensor]  # the sides of a tensor -> U(0, 1), float32


def augmented(
    images: Tensor,
    how: Augment,
    uniform: Uniform,
    pixel_range: tuple[int, int] = (-1, 1),
    probability: Tensor | None = None,
) -> Tensor:
    """Images [N, C, H, W], each changed in its own way: the same shape, differentiable.

    What moves in from outside and what is cut out is the middle of the range, as in the paper.

    Args:
        images: float32 in the pixel range.
        how: which changes, and how far they go.
        uniform: where random numbers come from.
        pixel_range: [-1, 1] or [0, 1].
        probability: of each change of each image, a number; 1 where None.
    """
    if pixel_range != (-1, 1):
        low, high = pixel_range
        middle, half = (low + high) / 2, (high - low) / 2
        centred = (images - middle) / half
        return augmented(centred, how, uniform, probability=probability) * half + middle

    def perhaps(changed: Tensor, plain: Tensor) -> Tensor:
        """For each image one or the other."""
        if probability is None:
            return changed
        return torch.where(uniform(len(plain), 1, 1, 1) < probability, changed, plain)

    if how.geometry and probability is not None:
        images = turned(images, uniform, probability)
    if how.colour:
        for change in _colours(len(images), how.colour, uniform):
            images = perhaps(change(images), images)
    if how.translation:
        images = perhaps(_moved(images, how.translation, uniform), images)
    if how.cutout:
        window = _window(len(images), images.shape[2:], how.cutout, uniform)
        images = perhaps(images * window, images)
    return images.contiguous(memory_format=torch.channels_last)


def _colours(count: int, strength: float, uniform: Uniform) -> tuple[Callable[[Tensor], Tensor], ...]:
    """Brightness moved, saturation and contrast stretched; at strength 1 as far as the paper goes."""
    brightness, saturation, contrast = ((uniform(count, 1, 1, 1) - 0.5) * strength for _ in range(3))

    def stretched(images: Tensor, axes: tuple[int, ...], by: Tensor) -> Tensor:
        mean = images.mean(axes, keepdim=True)
        return mean + (images - mean) * (1 + by)

    return (
        lambda images: images + brightness,
        lambda images: stretched(images, (1,), 2 * saturation),
        lambda images: stretched(images, (1, 2, 3), contrast),
    )


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

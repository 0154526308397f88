"""Differentiable augmentation of all that D sees, real and fake alike.

With few images D memorizes them; augmentation makes them many. Fakes are augmented in the same way, and
gradients pass through it to G, so that G learns the images and not their augmentation. Source: Zhao et
al. 2020 (DiffAugment), arXiv 2006.10738, section 3.2 and its policies color, translation and cutout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganvas.recipes.schema import Augment
from ganvas.training.affine import random_affine

Uniform = Callable[..., Tensor]  # the sizes of a tensor -> U(0, 1), float32


def augment_images(
    images: Tensor,
    config: Augment,
    uniform: Uniform,
    pixel_range: tuple[int, int] = (-1, 1),
    probability: Tensor | None = None,
) -> Tensor:
    """Images [N, C, H, W], each augmented at random; differentiable, of the same shape.

    Translated-in and cut-out pixels are the middle of the pixel range, as in the paper.

    Args:
        images: float32 in the pixel range.
        config: which augmentations, and how strong.
        uniform: where random numbers come from.
        pixel_range: [-1, 1] or [0, 1].
        probability: of each augmentation of each image, a scalar; 1 where None.
    """
    if pixel_range != (-1, 1):
        low, high = pixel_range
        middle, half = (low + high) / 2, (high - low) / 2
        centered = (images - middle) / half
        return augment_images(centered, config, uniform, probability=probability) * half + middle

    def mix(augmented: Tensor, plain: Tensor) -> Tensor:
        """For each image one or the other."""
        if probability is None:
            return augmented
        return torch.where(uniform(len(plain), 1, 1, 1) < probability, augmented, plain)

    if config.affine and probability is not None:
        images = random_affine(images, uniform, probability)
    if config.color:
        for jitter in _color_jitter(len(images), config.color, uniform):
            images = mix(jitter(images), images)
    if config.translation:
        images = mix(_translate(images, config.translation, uniform), images)
    if config.cutout:
        mask = _cutout_mask(len(images), images.shape[2:], config.cutout, uniform)
        images = mix(images * mask, images)
    return images.contiguous(memory_format=torch.channels_last)


def _color_jitter(count: int, strength: float, uniform: Uniform) -> tuple[Callable[[Tensor], Tensor], ...]:
    """Random brightness, saturation and contrast; strength 1 is the paper's."""
    brightness, saturation, contrast = ((uniform(count, 1, 1, 1) - 0.5) * strength for _ in range(3))

    def scale_about_mean(images: Tensor, axes: tuple[int, ...], by: Tensor) -> Tensor:
        mean = images.mean(axes, keepdim=True)
        return mean + (images - mean) * (1 + by)

    return (
        lambda images: images + brightness,
        lambda images: scale_about_mean(images, (1,), 2 * saturation),
        lambda images: scale_about_mean(images, (1, 2, 3), contrast),
    )


def _translate(images: Tensor, fraction: float, uniform: Uniform) -> Tensor:
    """Translated by up to `fraction` of each side, padded with zeros."""
    n, channels, height, width = images.shape
    rows, columns = (_source_indices(side, fraction, n, uniform) for side in (height, width))
    padded = torch.nn.functional.pad(
        images, (1, 1, 1, 1)
    )  # indices outside are clamped to this border of zeros
    down = padded.gather(2, rows.view(n, 1, height, 1).expand(-1, channels, -1, width + 2))
    return down.gather(3, columns.view(n, 1, 1, width).expand(-1, channels, height, -1))


def _source_indices(side: int, fraction: float, n: int, uniform: Uniform) -> Tensor:
    """The index in the padded side that each pixel is taken from: int64 [n, side]."""
    limit = int(side * fraction + 0.5)
    shift = (uniform(n, 1) * (2 * limit + 1)).long() - limit
    return (torch.arange(1, side + 1, device=shift.device) + shift).clamp(0, side + 1)


def _cutout_mask(n: int, sides: torch.Size, fraction: float, uniform: Uniform) -> Tensor:
    """0 in a random rectangle of `fraction` of each side, 1 elsewhere: [n, 1, H, W]."""
    inside = []
    for side in sides:
        length = int(side * fraction + 0.5)
        center = (uniform(n, 1) * (side + (1 - length % 2))).long()
        index = torch.arange(side, device=center.device)
        inside.append((index >= center - length // 2) & (index < center - length // 2 + length))
    return (~(inside[0][:, None, :, None] & inside[1][:, None, None, :])).float()

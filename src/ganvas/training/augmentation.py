"""Differentiable augmentation of all that D sees, real and fake alike.

With few images D memorizes them; augmentation makes them many. Fakes are augmented in the same way, and
gradients pass through it to G, so that G learns the images and not their augmentation. Sources:

    DiffAugment  color, translation, cutout: Zhao et al. 2020, arXiv 2006.10738, section 3.2
    ADA          the probability of each follows how far D overfits: Karras et al. 2020, arXiv 2006.06676,
                 section 3; the affine maps of its appendix B (pixel blitting and geometric transformations),
                 sampled bilinearly with reflection padding, without the paper's wavelet filters
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.recipes.schema import Augment
from ganvas.utils.devices import autocast_disabled

Uniform = Callable[..., Tensor]  # the sizes of a tensor -> U(0, 1), float32

MOVE_INTERVAL = 4  # steps between two moves of ADA's probability
MOVE_IMAGES = 500_000  # images in which it can go from 0 to 1
SCALE = 0.2 * math.log(2)  # standard deviation of the scale's logarithm
SHIFT = 0.125  # standard deviation of a translation, as a fraction of the side


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
    padded = F.pad(images, (1, 1, 1, 1))  # indices outside are clamped to this border of zeros
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


def random_affine(images: Tensor, uniform: Uniform, probability: Tensor) -> Tensor:
    """Images [N, C, H, W], each transformed by a random affine map; every part of it has this probability."""
    with autocast_disabled(images):  # rounded coordinates would shift pixels
        return _resample(images, _random_matrix(len(images), uniform, probability))


def _resample(images: Tensor, matrix: Tensor) -> Tensor:
    """The images resampled: `matrix` maps output to input coordinates."""
    height, width = images.shape[2:]
    aspect = torch.tensor([width / height, 1.0], device=images.device)
    # Rotations are in pixels; in grid coordinates both sides have length 2.
    linear = matrix[:, :2, :2] * aspect.flip(0)[:, None] / aspect.flip(0)[None]
    grid = F.affine_grid(torch.cat([linear, matrix[:, :2, 2:]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _random_matrix(n: int, uniform: Uniform, probability: Tensor) -> Tensor:
    """Random maps from output to input coordinates, [n, 3, 3]."""

    def normal() -> Tensor:
        return math.sqrt(2) * torch.erfinv((2 * uniform(n) - 1).clamp(-0.9999, 0.9999))

    def applied(chance: Tensor) -> Tensor:
        return (uniform(n) < chance).float()

    part = 1 - (1 - probability).sqrt()  # of each of two rotations, so that either happens with `probability`
    mirror = 1 - 2 * applied(probability) * (uniform(n) < 0.5).float()
    quarter = applied(probability) * (uniform(n) * 4).floor() * (math.pi / 2)
    scale = (applied(probability) * SCALE * normal()).exp()
    before = applied(part) * (2 * uniform(n) - 1) * math.pi
    stretch = (applied(probability) * SCALE * normal()).exp()
    after = applied(part) * (2 * uniform(n) - 1) * math.pi
    shifted = applied(probability)
    one, zero = torch.ones_like(scale), torch.zeros_like(scale)
    matrix = _affine(mirror, zero, zero, one)
    matrix = matrix @ _rotation(quarter) @ _affine(scale, zero, zero, scale)
    matrix = matrix @ _rotation(before) @ _affine(stretch, zero, zero, 1 / stretch) @ _rotation(after)
    matrix[:, 0, 2], matrix[:, 1, 2] = 2 * SHIFT * shifted * normal(), 2 * SHIFT * shifted * normal()
    return matrix


def _rotation(angle: Tensor) -> Tensor:
    return _affine(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _affine(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The map (x, y) -> (a x + b y, c x + d y), for each image: [n, 3, 3]."""
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    rows = ((a, b, zero), (c, d, zero), (zero, zero, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def initial_ada_state() -> Tensor:
    """ADA's state before the first step, float32 [3]: probability, sum of signs since its last move, images.

    It stays on the device, so that no step waits for it.
    """
    return torch.zeros(3)


@torch.no_grad()
def update_probability(adaptive: Tensor, sign: Tensor, images: int, target: float, step: int) -> None:
    """Add a step's signs to ADA's state, and move the probability after every fourth step.

    The heuristic r_t, the mean sign of D's logits of real images over four batches, is compared with the
    target; the probability moves at a fixed speed.

    Args:
        adaptive: the state, as `initial_ada_state` makes it; changed in place.
        sign: the mean sign of D's logits of this step's real images.
        images: how many real images.
        target: the mean sign aimed at.
        step: steps before this one.
    """
    adaptive[1] += images * sign
    adaptive[2] += images
    if step % MOVE_INTERVAL == MOVE_INTERVAL - 1:
        probability, signs, count = adaptive.unbind()
        move = torch.sign(signs / count - target) * count / MOVE_IMAGES
        adaptive[0] = (probability + move).clamp(0, 1)
        adaptive[1:] = 0

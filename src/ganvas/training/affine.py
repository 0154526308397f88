"""Random flips, rotations, scalings, stretches and translations, composed into one affine map an image.

Source: Karras et al. 2020, arXiv 2006.06676 (ADA), appendix B, pixel blitting and geometric transformations;
sampled bilinearly with reflection padding, without the paper's wavelet filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.utils.autocast import autocast_disabled

SCALE = 0.2 * math.log(2)  # standard deviation of the scale's logarithm
SHIFT = 0.125  # standard deviation of a translation, as a fraction of the side


def random_affine(images: Tensor, uniform: Callable[..., Tensor], probability: Tensor) -> Tensor:
    """Images [N, C, H, W], each transformed by a random affine map; every part of it has this probability."""
    with autocast_disabled(images):  # rounded coordinates would shift pixels
        return _sampled(images, _matrix(len(images), uniform, probability))


def _sampled(images: Tensor, matrix: Tensor) -> Tensor:
    """The images resampled: `matrix` maps output to input coordinates."""
    height, width = images.shape[2:]
    aspect = torch.tensor([width / height, 1.0], device=images.device)
    # Rotations are in pixels; in grid coordinates both sides have length 2.
    linear = matrix[:, :2, :2] * aspect.flip(0)[:, None] / aspect.flip(0)[None]
    grid = F.affine_grid(torch.cat([linear, matrix[:, :2, 2:]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _matrix(n: int, uniform: Callable[..., Tensor], probability: Tensor) -> Tensor:
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
    moved = applied(probability)
    one, zero = torch.ones_like(scale), torch.zeros_like(scale)
    matrix = _affine(mirror, zero, zero, one)
    matrix = matrix @ _rotation(quarter) @ _affine(scale, zero, zero, scale)
    matrix = matrix @ _rotation(before) @ _affine(stretch, zero, zero, 1 / stretch) @ _rotation(after)
    matrix[:, 0, 2], matrix[:, 1, 2] = 2 * SHIFT * moved * normal(), 2 * SHIFT * moved * normal()
    return matrix


def _rotation(angle: Tensor) -> Tensor:
    return _affine(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _affine(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The map (x, y) -> (a x + b y, c x + d y), for each image: [n, 3, 3]."""
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    rows = ((a, b, zero), (c, d, zero), (zero, zero, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)

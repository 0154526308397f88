"""Images mirrored, turned, scaled and stretched, all in one look at their pixels.

Source: Karras et al. 2020, arXiv 2006.06676 (ADA), appendix B: its pixel and geometric changes, composed into
one affine map an image; sampled bilinearly, what lies outside mirrored in, without the paper's wavelets.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.networks.products import unrounded

SCALE = 0.2 * math.log(2)  # deviation of the scale's logarithm
SHIFT = 0.125  # deviation of a shift, of the side


def turned(images: Tensor, uniform: Callable[..., Tensor], probability: Tensor) -> Tensor:
    """Images [N, C, H, W], each by an affine map of its own, each of whose parts has this probability."""
    with unrounded(images):  # rounded places would shift pixels
        return _sampled(images, _matrix(len(images), uniform, probability))


def _sampled(images: Tensor, matrix: Tensor) -> Tensor:
    """Where each pixel of the new images lies in the old ones."""
    height, width = images.shape[2:]
    aspect = torch.tensor([width / height, 1.0], device=images.device)
    # Turns are made among pixels: in the grid's own measure both sides are 2 long.
    linear = matrix[:, :2, :2] * aspect.flip(0)[:, None] / aspect.flip(0)[None]
    grid = F.affine_grid(torch.cat([linear, matrix[:, :2, 2:]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _matrix(n: int, uniform: Callable[..., Tensor], probability: Tensor) -> Tensor:
    """From places of the new image to places of the old: [n, 3, 3]."""

    def normal() -> Tensor:
        return math.sqrt(2) * torch.erfinv((2 * uniform(n) - 1).clamp(-0.9999, 0.9999))

    def drawn(chance: Tensor) -> Tensor:
        return (uniform(n) < chance).float()

    part = 1 - (1 - probability).sqrt()  # of either turn, so that one of them has the whole probability
    mirror = 1 - 2 * drawn(probability) * (uniform(n) < 0.5).float()
    quarter = drawn(probability) * (uniform(n) * 4).floor() * (math.pi / 2)
    scale = (drawn(probability) * SCALE * normal()).exp()
    before = drawn(part) * (2 * uniform(n) - 1) * math.pi
    stretch = (drawn(probability) * SCALE * normal()).exp()
    after = drawn(part) * (2 * uniform(n) - 1) * math.pi
    moved = drawn(probability)
    one, zero = torch.ones_like(scale), torch.zeros_like(scale)
    found = _affine(mirror, zero, zero, one)
    found = found @ _turn(quarter) @ _affine(scale, zero, zero, scale)
    found = found @ _turn(before) @ _affine(stretch, zero, zero, 1 / stretch) @ _turn(after)
    found[:, 0, 2], found[:, 1, 2] = 2 * SHIFT * moved * normal(), 2 * SHIFT * moved * normal()
    return found


def _turn(angle: Tensor) -> Tensor:
    return _affine(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _affine(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The map (x, y) -> (a x + b y, c x + d y), for each image: [n, 3, 3]."""
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    rows = ((a, b, zero), (c, d, zero), (zero, zero, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)

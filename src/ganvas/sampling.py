"""Samples of a generator: of random z, of given z, and along arcs between z.

A generator is any module from z float32 [N, Z] to images in a pixel range; what comes out is uint8
[N, C, H, W]. The same seed gives the same z on every machine: z is drawn on the CPU. A conditional generator
is given the class as one of K behind z, float32 [N, Z + K].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.images import Pixels, to_uint8
from ganvas.networks.classes import Batch, with_class
from ganvas.networks.layers import inference
from ganvas.randomness import Stream, derived_seed, labels, latents
from ganvas.recipe import Latent, Recipe

CHUNK = 500  # images a forward pass: the batch norms are in inference mode, so chunks do not matter


def draw_latents(latent: Latent, count: int, seed: int, stream: Stream = Stream.SAMPLE) -> Tensor:
    """Z float32 [count, Z] of (seed, stream), on the CPU. The first z are the same for every count."""
    source = torch.Generator().manual_seed(derived_seed(seed, stream))
    # Drawn one by one: PyTorch fills a large tensor in another order than a small one.
    cpu = torch.device("cpu")
    rows = [latents(1, latent.size, latent.distribution, source, cpu) for _ in range(count)]
    return torch.cat(rows) if rows else torch.empty(0, latent.size)


def draw_inputs(
    recipe: Recipe,
    count: int,
    seed: int,
    stream: Stream = Stream.SAMPLE,
    *,
    shares: Sequence[float] = (),
    classes: Tensor | None = None,
) -> Batch:
    """What the recipe's generator is given, and the classes that were asked for.

    Args:
        recipe: says what z is, and whether classes are told.
        count: how many.
        seed: of z and of the classes.
        stream: the same.
        shares: how often each class is to come; all alike where empty.
        classes: the classes themselves, int64 [count], instead.

    Returns:
        float32 [count, Z], or [count, Z + K] and the classes int64 [count].
    """
    z = draw_latents(recipe.latent, count, seed, stream)
    if not recipe.classes:
        return Batch(z)
    if classes is None:
        source = np.random.default_rng(derived_seed(seed, Stream.LABELS, stream))
        classes = labels(count, shares or [1.0] * recipe.classes, source)
    return Batch(with_class(z, classes, recipe.classes), classes)


def generate(generator: nn.Module, z: Tensor, pixel_range: tuple[int, int]) -> Pixels:
    """Images uint8 [N, C, H, W] of z float32 [N, Z], in inference mode."""
    device = next(generator.parameters()).device
    with inference(generator):
        chunks = [to_uint8(generator(part.to(device)), pixel_range) for part in z.split(CHUNK)]
    return np.concatenate(chunks)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation from `a` to `b` [..., Z] at shares `t` in [0, 1].

    Directions turn along the great arc and lengths change linearly, so that every point is as typical of
    a Gaussian as its ends. Source: Shoemake 1985; White 2016, arXiv 1609.04468.
    """
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / length_a, b / length_b
    cosine = (unit_a * unit_b).sum(-1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    straight = sine.abs() < 1e-4  # nearly the same direction: the arc is a line
    safe = torch.where(straight, torch.ones_like(sine), sine)
    from_a = torch.where(straight, 1 - t, torch.sin((1 - t) * angle) / safe)
    from_b = torch.where(straight, t, torch.sin(t * angle) / safe)
    arc: Tensor = (from_a * unit_a + from_b * unit_b) * ((1 - t) * length_a + t * length_b)
    return arc


def interpolate(
    generator: nn.Module,
    recipe: Recipe,
    rows: int,
    columns: int,
    seed: int,
    classes: Tensor | None = None,
    shares: Sequence[float] = (),
) -> Pixels:
    """`rows` walks of `columns` images each, from one random z to another: [rows*columns, C, H, W].

    `classes` int64 [2 * rows] are those of the ends, drawn by `shares` where None; between two of them the
    walk goes in a straight line.
    """
    ends = draw_inputs(recipe, 2 * rows, seed, shares=shares, classes=classes).images
    size = recipe.latent.size
    share = torch.linspace(0, 1, columns).view(1, columns, 1)
    first, last = ends[0::2].unsqueeze(1), ends[1::2].unsqueeze(1)
    z = slerp(first[..., :size], last[..., :size], share)  # [rows, columns, Z]
    told = torch.lerp(first[..., size:], last[..., size:], share)
    return generate(generator, torch.cat([z, told], -1).flatten(0, 1), recipe.pixel_range)

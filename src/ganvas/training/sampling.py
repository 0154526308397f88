"""Samples of a generator: from random z, from given z, and along arcs between two z.

A generator is any module from z float32 [N, Z] to images in a pixel range; samples are uint8 [N, C, H, W].
The same seed gives the same z on every machine: z is drawn on the CPU. A conditional generator takes the
one-hot class behind z, float32 [N, Z + K].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.networks.conditioning import GeneratorInput, append_one_hot
from ganvas.networks.layers import inference
from ganvas.recipes.schema import Latent, Recipe
from ganvas.training.rng import Stream, derive_seed, sample_labels, sample_latents, seeded_global_rng
from ganvas.utils.images import ImageArray, to_uint8

CHUNK = 500  # images a forward pass: in inference mode batch norm does not depend on the batch


def sample_z(latent: Latent, count: int, seed: int, stream: Stream = Stream.SAMPLE) -> Tensor:
    """Z float32 [count, Z] of (seed, stream), on the CPU. The first z are the same for every count."""
    rng = torch.Generator().manual_seed(derive_seed(seed, stream))
    # Drawn one by one: PyTorch fills a large tensor in another order than a small one.
    cpu = torch.device("cpu")
    rows = [sample_latents(1, latent.size, latent.distribution, rng, cpu) for _ in range(count)]
    return torch.cat(rows) if rows else torch.empty(0, latent.size)


def sample_inputs(
    recipe: Recipe,
    count: int,
    seed: int,
    stream: Stream = Stream.SAMPLE,
    *,
    frequencies: Sequence[float] = (),
    classes: Tensor | None = None,
) -> GeneratorInput:
    """Random inputs of the recipe's generator, and their classes.

    Args:
        recipe: gives the distribution of z and the number of classes.
        count: how many.
        seed: of z and of the classes.
        stream: which random numbers of that seed.
        frequencies: of the classes; equal where empty.
        classes: int64 [count], the classes themselves instead.

    Returns:
        float32 [count, Z], or [count, Z + K] and the classes int64 [count].
    """
    z = sample_z(recipe.latent, count, seed, stream)
    if not recipe.classes:
        return GeneratorInput(z)
    if classes is None:
        rng = np.random.default_rng(derive_seed(seed, Stream.LABELS, stream))
        classes = sample_labels(count, frequencies or [1.0] * recipe.classes, rng)
    return GeneratorInput(append_one_hot(z, classes, recipe.classes), classes)


def generate(generator: nn.Module, z: Tensor, pixel_range: tuple[int, int], seed: int = 0) -> ImageArray:
    """Images uint8 [N, C, H, W] of z float32 [N, Z], in inference mode.

    `seed` seeds the noise of a generator that draws random numbers in inference mode too.
    """
    device = next(generator.parameters()).device
    with inference(generator), seeded_global_rng(seed, device):
        chunks = [to_uint8(generator(part.to(device)), pixel_range) for part in z.split(CHUNK)]
    return np.concatenate(chunks)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation from `a` to `b` [..., Z] at fractions `t` in [0, 1].

    Directions follow the great circle and norms change linearly, so that every point is as typical of a
    Gaussian as its ends. Source: Shoemake 1985; White 2016, arXiv 1609.04468.
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
    frequencies: Sequence[float] = (),
) -> ImageArray:
    """`rows` walks of `columns` images each, from one random z to another: [rows*columns, C, H, W].

    `classes` int64 [2 * rows] are those of the ends, drawn by `frequencies` where None; between two classes
    the one-hot vectors are interpolated linearly.
    """
    ends = sample_inputs(recipe, 2 * rows, seed, frequencies=frequencies, classes=classes).z
    size = recipe.latent.size
    fraction = torch.linspace(0, 1, columns).view(1, columns, 1)
    first, last = ends[0::2].unsqueeze(1), ends[1::2].unsqueeze(1)
    z = slerp(first[..., :size], last[..., :size], fraction)  # [rows, columns, Z]
    one_hot = torch.lerp(first[..., size:], last[..., size:], fraction)
    return generate(generator, torch.cat([z, one_hot], -1).flatten(0, 1), recipe.pixel_range, seed)

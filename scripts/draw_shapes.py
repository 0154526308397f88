"""Draw a test set of RGB images: one shape each on a plain, striped or shaded ground. No download.

    python scripts/draw_shapes.py shapes/ [--count 5000] [--size 32] [--seed 0]

Four folders, one a class: disc, square, triangle, ring. Colors, places, sizes, turns and grounds are drawn
from the seed; edges are smooth (drawn four times as large and reduced).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("disc", "square", "triangle", "ring")
FINER = 4


def ground(rng: np.random.Generator, side: int) -> Image.Image:
    """Plain, striped, or shaded from one color to another: RGB, `side` pixels."""
    first, second = rng.integers(0, 256, (2, 3))
    y, x = np.mgrid[:side, :side] / side
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    share = {
        0: np.zeros((side, side)),
        1: (np.sin(along * rng.uniform(20, 50)) > 0).astype(float),
        2: np.clip(along, 0, 1),
    }[int(rng.integers(3))]
    pixels = first + share[..., None] * (second - first)
    return Image.fromarray(pixels.astype(np.uint8))


def image(rng: np.random.Generator, kind: str, size: int) -> Image.Image:
    """One shape on a ground: RGB, `size` pixels."""
    side = size * FINER
    image = ground(rng, side)
    draw = ImageDraw.Draw(image)
    color = tuple(int(v) for v in rng.integers(0, 256, 3))
    radius = rng.uniform(0.18, 0.35) * side
    x, y = rng.uniform(radius, side - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    if kind == "disc":
        draw.ellipse(box, fill=color)
    elif kind == "ring":
        draw.ellipse(box, outline=color, width=max(int(radius * 0.35), 1))
    else:
        corners = 4 if kind == "square" else 3
        turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
        draw.polygon([(x + radius * np.cos(t), y + radius * np.sin(t)) for t in turns], fill=color)
    return image.resize((size, size), Image.Resampling.BOX)


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    rng = np.random.default_rng(a.seed)
    for kind in KINDS:
        (a.folder / kind).mkdir(parents=True, exist_ok=True)
    for i in range(a.count):
        kind = KINDS[i % len(KINDS)]
        image(rng, kind, a.size).save(a.folder / kind / f"{i:06d}.png")
    print(f"{a.count:,} images of {a.size}x{a.size} in {a.folder}, a folder a class: {', '.join(KINDS)}")


if __name__ == "__main__":
    main()

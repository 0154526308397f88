"""Stacked MNIST: three random digits as the channels of one RGB image, a thousand modes.

    python scripts/stack_mnist.py stacked.npz [--data mnist] [--count 128000] [--seed 0]

Written are `images`, uint8 [N, 3, 28, 28], and `labels`, the number that the digits spell. Source: Metz et
al. 2017, arXiv 1611.02163, section 3.3; 128,000 images as in Lin et al. 2018 (PacGAN, arXiv 1712.04086).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ganvas.data import load_dataset


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the .npz")
    parser.add_argument("--data", default="mnist", help="a name, looked for in GANVAS_DATA, or a path")
    parser.add_argument("--count", type=int, default=128_000)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    digits = load_dataset(a.data)
    if digits.labels is None or digits.num_classes != 10 or digits.image_shape[0] != 1:
        raise SystemExit(f"{a.data}: expected gray images of ten classes")
    rows = np.random.default_rng(a.seed).integers(len(digits), size=(a.count, 3))
    images = digits.images[rows][:, :, 0]
    labels = digits.labels[rows] @ np.array([100, 10, 1])
    np.savez_compressed(a.out, images=images, labels=labels)
    covered = len(np.unique(labels))
    print(f"{a.count:,} images of {covered} modes in {a.out}")


if __name__ == "__main__":
    main()

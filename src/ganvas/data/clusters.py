"""Pictures sorted into clusters by their pixels, which take the place of classes where there are none.

A generator that is told the cluster need not find out by itself how kinds differ, and draws each as often as
it comes; no label is used. Source: Liu et al. 2020, arXiv 2006.10728 (clusters of D's features, found again
while training; here of the pixels, once, before it); k-means: see `ganvas.metrics.cells`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganvas.data.batches import AT_ONCE
from ganvas.data.imageset import ImageSet, in_chunks
from ganvas.errors import UserError
from ganvas.memory import unmap_read
from ganvas.metrics.cells import SAMPLES, cell_of, k_means

# Larger pictures, grey and RGB, are reduced to this many pixels a side: kinds show in what is coarse.
SIDES = {1: 32, 3: 16}
MOST = 2_000  # clusters: beyond, k-means takes longer than the training that it is for
COMPONENTS = 50  # of the pixels, in which distances are taken: the rest is detail, and time

Labels = NDArray[np.int64]


def clusters(images: ImageSet, count: int, seed: int) -> Labels:
    """The cluster of each picture: int64 [N], values 0 to `count` - 1.

    Args:
        images: the set; of a large one, so many as `k_means` looks at are drawn to find the centres.
        count: how many clusters. Some stay empty where fewer of the pictures looked at differ.
        seed: of the draw and of the first centres.

    Raises:
        UserError: fewer than 2 clusters, more than pictures, or more than `MOST`.
    """
    most = min(len(images), MOST)
    if not 2 <= count <= most:
        raise UserError(
            f"--clusters {count}: expected 2 to {most:,} for the {len(images):,} pictures of {images.name}, "
            f"or 0 for none"
        )
    rows = np.random.default_rng(seed).choice(len(images), min(len(images), SAMPLES), replace=False)
    sample = torch.cat([_coarse(part) for part in _picked(images.images, np.sort(rows))])
    mean = sample.mean(0)
    sample -= mean
    axes = _principal_axes(sample)
    centres = k_means(sample @ axes, count, seed)
    labels, start = np.empty(len(images), np.int64), 0  # made first: parts would keep the heap from shrinking
    for part in in_chunks(images.images):
        labels[start : start + len(part)] = cell_of((_coarse(part) - mean) @ axes, centres).numpy()
        start += len(part)
    return labels


def sorted_into(images: ImageSet, labels: Labels, names: tuple[str, ...]) -> ImageSet:
    """The same pictures with clusters, of these names, in place of their labels."""
    return dataclasses.replace(images, labels=labels, class_names=names)


def _picked(pixels: NDArray[np.uint8], rows: Labels) -> Iterator[NDArray[np.uint8]]:
    """Some of the pictures, few at a time: of a mapped file not more than these is held."""
    for part in np.array_split(rows, -(-len(rows) // AT_ONCE)):
        yield pixels[part]
        unmap_read(pixels)


def _coarse(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels uint8 [n, C, H, W] as float32 [n, C * h * w] in 0 to 1, h and w at most what `SIDES` says."""
    x = torch.from_numpy(np.array(pixels)).float()
    most = SIDES[x.shape[1]]
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], most), min(x.shape[3], most))).flatten(1) / 255


def _principal_axes(x: Tensor) -> Tensor:
    """The directions in which centred x [N, D] varies most: [D, at most `COMPONENTS`]."""
    axes: Tensor = torch.linalg.eigh((x.T @ x).double()).eigenvectors  # by their eigenvalues, ascending
    return axes[:, -COMPONENTS:].to(x.dtype)

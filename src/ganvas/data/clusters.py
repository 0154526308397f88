"""Pictures sorted into clusters by their pixels, which take the place of classes where there are none.

A generator that is told the cluster need not find out by itself how kinds differ, and draws each as often as
it comes; no label is used. Source: Liu et al. 2020, arXiv 2006.10728 (clusters of D's features, found again
while training; here of the pixels, once, before it); k-means: see `ganvas.metrics.cells`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganvas.data.imageset import ImageSet, in_chunks
from ganvas.errors import UserError
from ganvas.metrics.cells import SAMPLES, cell_of, k_means

# Larger pictures, grey and RGB, are reduced to this many pixels a side: kinds show in what is coarse.
SIDES = {1: 32, 3: 16}
COMPONENTS = 50  # of the pixels, in which distances are taken: the rest is detail, and time

Labels = NDArray[np.int64]


def clusters(images: ImageSet, count: int, seed: int) -> Labels:
    """The cluster of each picture: int64 [N], values 0 to `count` - 1.

    Args:
        images: the set; of a large one, so many as `k_means` looks at are drawn to find the centres.
        count: how many clusters. Where fewer different pictures are, some stay empty.
        seed: of the draw and of the first centres.

    Raises:
        UserError: fewer than 2 clusters, or more than pictures.
    """
    if not 2 <= count <= len(images):
        raise UserError(
            f"{count} clusters: expected 2 to {len(images):,}, the pictures of {images.name}, or 0 for none"
        )
    rows = np.random.default_rng(seed).choice(len(images), min(len(images), SAMPLES), replace=False)
    sample = _coarse(images.images[np.sort(rows)])
    mean = sample.mean(0)
    axes = _principal_axes(sample - mean)
    centres = k_means((sample - mean) @ axes, count, seed)
    parts = [cell_of((_coarse(part) - mean) @ axes, centres) for part in in_chunks(images.images)]
    labels: Labels = torch.cat(parts).numpy()
    return labels


def sorted_into(images: ImageSet, labels: Labels, count: int) -> ImageSet:
    """The same pictures with clusters in place of their labels; the names are the clusters' numbers."""
    names = tuple(str(number) for number in range(count))
    return dataclasses.replace(images, labels=labels, class_names=names)


def _coarse(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels uint8 [n, C, H, W] as float32 [n, C * h * w] in 0 to 1, h and w at most what `SIDES` says."""
    x = torch.from_numpy(np.array(pixels)).float() / 255
    most = SIDES[x.shape[1]]
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], most), min(x.shape[3], most))).flatten(1)


def _principal_axes(x: Tensor) -> Tensor:
    """The directions in which centred x [N, D] varies most: [D, at most `COMPONENTS`]."""
    axes: Tensor = torch.linalg.eigh((x.T @ x).double()).eigenvectors  # by their eigenvalues, ascending
    return axes[:, -COMPONENTS:].to(x.dtype)

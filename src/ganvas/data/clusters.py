"""k-means clusters of the pixels of images, to condition on where a set has no labels.

A generator conditioned on the cluster need not find the clusters itself, and generates each in proportion to
its size; no label is used. Source: Liu et al. 2020, arXiv 2006.10728 (clusters of D's features, found again
during training; here of the pixels, once, before it); k-means: see `ganvas.metrics.knn`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganvas.data.image_set import IMAGES_PER_READ, ImageSet, iter_chunks, take_images
from ganvas.errors import UserError
from ganvas.metrics.knn import SAMPLES, assign_clusters, kmeans_centers

# Larger images, gray and RGB, are downsampled to this many pixels per side: coarse structure suffices.
SIDES = {1: 32, 3: 16}
MAX_CLUSTERS = 2_000  # clusters: beyond, k-means takes longer than the training that it is for
COMPONENTS = 50  # principal components in which distances are computed

Labels = NDArray[np.int64]


def cluster_images(images: ImageSet, count: int, seed: int) -> Labels:
    """The cluster of each image: int64 [N], values 0 to `count` - 1.

    Args:
        images: the set; of a large one, a random sample of `SAMPLES` images determines the centers.
        count: number of clusters. Some are empty if the sample has fewer distinct images.
        seed: of the sample and of the initial centers.

    Raises:
        UserError: fewer than 2 clusters, more than images, or more than `MAX_CLUSTERS`.
    """
    most = min(len(images), MAX_CLUSTERS)
    if not 2 <= count <= most:
        raise UserError(
            f"clusters {count}: expected 2 to {most:,} for the {len(images):,} images of {images.name}, "
            f"or 0 for none"
        )
    rows = np.random.default_rng(seed).choice(len(images), min(len(images), SAMPLES), replace=False)
    sample = torch.cat([_coarse(part) for part in _select(images.images, np.sort(rows))])
    mean = sample.mean(0)
    sample -= mean
    axes = _principal_axes(sample)
    centers = kmeans_centers(sample @ axes, count, seed)
    labels, start = np.empty(len(images), np.int64), 0  # allocated first, so that the heap can shrink
    for part in iter_chunks(images.images):
        labels[start : start + len(part)] = assign_clusters((_coarse(part) - mean) @ axes, centers).numpy()
        start += len(part)
    return labels


def _select(pixels: NDArray[np.uint8], rows: Labels) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of `rows`, a few at a time."""
    for part in np.array_split(rows, -(-len(rows) // IMAGES_PER_READ)):
        yield take_images(pixels, part)


def _coarse(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels uint8 [n, C, H, W] as float32 [n, C * h * w] in 0 to 1, h and w at most what `SIDES` says."""
    x = torch.from_numpy(np.array(pixels)).float()
    most = SIDES[x.shape[1]]
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], most), min(x.shape[3], most))).flatten(1) / 255


def _principal_axes(x: Tensor) -> Tensor:
    """The principal axes, in which centered x [N, D] varies most: [D, at most `COMPONENTS`]."""
    axes: Tensor = torch.linalg.eigh((x.T @ x).double()).eigenvectors  # by their eigenvalues, ascending
    return axes[:, -COMPONENTS:].to(x.dtype)

"""The generated images that lie closest to training images: a copy shows here as a pair of twins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas import metrics
from ganvas.data.image_set import iter_chunks
from ganvas.report import Extras
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil, upscale
from ganvas.utils.io import write_bytes

if TYPE_CHECKING:
    from ganvas.runs.evaluate import EvaluationResult


@dataclass(frozen=True)
class TrainingNeighbors:
    """Images that lie closest to a training image, and what lies nearest to them.

    Attributes:
        images: uint8 [P, C, H, W], the closest first, by features.
        by_features: the training images nearest by features, uint8 [P, K, C, H, W].
        by_pixels: the same by pixels.
        distances: by features, [P, K].
    """

    images: ImageArray
    by_features: ImageArray
    by_pixels: ImageArray
    distances: list[list[float]]

    def sheet(self) -> ImageArray:
        """Row by row: the image, its nearest by features, its nearest by pixels; uint8 [C, H, W].

        A copy shows here as a pair of twins.
        """
        blank = np.zeros_like(self.images[:, None])
        rows = np.concatenate([self.images[:, None], blank, self.by_features, blank, self.by_pixels], axis=1)
        return make_grid(rows.reshape(-1, *self.images.shape[1:]), rows.shape[1])

    def save(self, path: Path) -> None:
        """Write the sheet as a PNG."""
        write_bytes(path, encode_png(upscale(to_pil(self.sheet()), 280)))


def nearest_training_images(result: EvaluationResult, count: int = 10, nearest: int = 3) -> TrainingNeighbors:
    """The `count` images of an evaluation closest to training images, with their neighbors."""
    real = result.reference
    closest = metrics.nearest_neighbors(result.features, real.features, 1)[0][:, 0].argsort()[:count]
    distances, index = metrics.nearest_neighbors(result.features[closest], real.features, nearest)
    images = result.images[closest.numpy()]
    by_pixels = _nearest_by_pixels(images, real.images.images, nearest)
    return TrainingNeighbors(
        images, real.images.images[index.numpy()], real.images.images[by_pixels], distances.tolist()
    )


def report_extras(result: EvaluationResult, near: TrainingNeighbors) -> Extras:
    """What a report shows of an evaluation beside its numbers: nearest training images."""
    score, baseline = result.evaluation.score, result.evaluation.baseline
    note = (
        f"the {len(near.images)} of {len(result.images):,} images that lie closest to a training image. "
        f"{score.copies.value:.1%} of all lie closer to one than 99% of held-out real images do; of held-out "
        f"real images themselves, {baseline['copies']:.1%}"
    )
    rows = [
        (image, list(real), distances)
        for image, real, distances in zip(near.images, near.by_features, near.distances, strict=True)
    ]
    return Extras(neighbors=rows, neighbor_note=note)


def _nearest_by_pixels(images: ImageArray, real: ImageArray, nearest: int) -> NDArray[np.int64]:
    """Indices [P, nearest] of the reals with the least squared difference, piece by piece."""
    flat = torch.from_numpy(images).flatten(1).float()
    parts = []
    for part in iter_chunks(real):
        other = torch.from_numpy(np.ascontiguousarray(part)).flatten(1).float()
        parts.append(other.square().sum(1) - 2 * flat @ other.T)  # the images' own squares are constant
    result: NDArray[np.int64] = torch.cat(parts, 1).topk(nearest, largest=False).indices.numpy()
    return result

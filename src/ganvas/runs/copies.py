"""Is a generated image a copy? The training images nearest to it, and how near held-out real images come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganvas.errors import RunError
from ganvas.metrics.knn import nearest_neighbors
from ganvas.runs.evaluate import reference_of
from ganvas.runs.run import Run
from ganvas.utils.images import ImageArray

_NEIGHBORS = 8
_COPY_PERCENT = 1.0  # nearer to a training image than 99% of the held-out images: a copy


@dataclass(frozen=True)
class Neighbors:
    """The training images nearest to an image.

    Attributes:
        images: uint8 [K, C, H, W], the nearest first.
        distances: of these, in features.
        distance: the least of them.
        percentile: percentage of held-out real images that are nearer to a training image than this is.
        is_copy: whether it is nearer than 99% of them.
        message: the same in words.
    """

    images: ImageArray
    distances: list[float]
    distance: float
    percentile: float
    is_copy: bool
    message: str


class NearestImages:
    """The training images of a run, in which nearest neighbors are looked up."""

    def __init__(self, run: Run) -> None:
        self._reference = reference_of(run)

    def find(self, image: ImageArray) -> Neighbors:
        """The training images nearest to `image`, uint8 [C, H, W].

        Raises:
            RunError: it is not of the shape of the training images.
        """
        reference = self._reference
        if image.shape != reference.images.image_shape:
            raise RunError(f"expected an image {reference.images.image_shape}, got {image.shape}")
        count = min(_NEIGHBORS, len(reference.features))
        distances, index = nearest_neighbors(reference.extractor(image[None]), reference.features, count)
        distance = float(distances[0, 0])
        held_out = reference.held_out_nearest[:, 0]
        percentile = 100 * float((held_out <= distance).double().mean())
        return Neighbors(
            np.ascontiguousarray(reference.images.images[index[0].numpy()]),
            [float(d) for d in distances[0]],
            distance,
            percentile,
            percentile <= _COPY_PERCENT,
            _copy_message(percentile),
        )


def _copy_message(percentile: float) -> str:
    if percentile <= _COPY_PERCENT:
        return (
            f"likely a copy: of real images that were not trained on, only {percentile:.1f}% are this near "
            f"to a training image"
        )
    if percentile >= 99:
        return (
            "no copy, and unlike the data: 99% of the real images that were not trained on are nearer to a "
            "training image"
        )
    return (
        f"no copy: {percentile:.0f}% of the real images that were not trained on are as near to a training "
        f"image or nearer"
    )

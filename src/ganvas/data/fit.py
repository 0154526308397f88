"""Bringing images to a wanted size: crop, pad or resize, with Pillow's antialiasing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ganvas.data.imageset import LARGEST, SMALLEST
from ganvas.data.stream import ImageStream, Pixels
from ganvas.errors import DataError, nearest

if TYPE_CHECKING:
    from PIL import Image

WAYS = ("crop", "pad", "resize")


@dataclass(frozen=True)
class Fit:
    """A wanted size in pixels, square, and how to get there.

    Attributes:
        size: height and width.
        how: "crop" scales the short side and cuts the middle out; "pad" scales the long side and
            fills up with black; "resize" squashes; None accepts only images that have the size.

    Raises:
        DataError: a size out of range, or no such way.
    """

    size: int
    how: str | None = None

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise DataError(f"size: expected {SMALLEST} to {LARGEST} pixels, got {self.size}; choose another")
        if self.how is not None and self.how not in WAYS:
            raise DataError(f"fit: expected {', '.join(WAYS)}, got {self.how!r}; {nearest(self.how, WAYS)}")

    def __str__(self) -> str:
        return f"{self.size}x{self.size} {self.how}"


def fit_picture(picture: "Image.Image", fit: Fit) -> "Image.Image":
    """One Pillow picture brought to fit.size x fit.size; one of that size is left as it is."""
    from PIL import Image

    size, (width, height) = fit.size, picture.size
    if (width, height) == (size, size):
        return picture
    lanczos = Image.Resampling.LANCZOS
    if fit.how == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return picture.resize((size, size), lanczos, box=(left, top, left + side, top + side))
    if fit.how == "pad":
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        black = Image.new(picture.mode, (size, size))
        black.paste(picture.resize(inner, lanczos), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return black
    return picture.resize((size, size), lanczos)


def fitted(stream: ImageStream, fit: Fit | None, where: str) -> ImageStream:
    """A stream whose images all have the wanted size.

    Raises:
        DataError: they have another and `fit` does not say how to get there.
    """
    if fit is None:
        return stream
    count, channels, height, width = stream.shape
    if (height, width) == (fit.size, fit.size):
        return stream
    if fit.how is None:
        raise DataError(
            f"{where}: expected images of {fit.size}x{fit.size}, got {width}x{height}; say how to "
            "fit them: crop, pad or resize"
        )

    def chunks() -> Iterator[Pixels]:
        for chunk in stream.chunks():
            yield _fit_chunk(chunk, fit)

    return replace(
        stream,
        shape=(count, channels, fit.size, fit.size),
        chunks=chunks,
        origin=f"{stream.origin}\n{fit}",
        in_place=None,
    )


def _fit_chunk(chunk: Pixels, fit: Fit) -> Pixels:
    from PIL import Image

    grey = chunk.shape[1] == 1
    out = np.empty((len(chunk), chunk.shape[1], fit.size, fit.size), np.uint8)
    for index, image in enumerate(chunk):
        pixels = image[0] if grey else image.transpose(1, 2, 0)
        array = np.asarray(fit_picture(Image.fromarray(np.ascontiguousarray(pixels)), fit))
        out[index] = array if grey else array.transpose(2, 0, 1)
    return out

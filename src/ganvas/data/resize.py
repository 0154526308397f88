"""Resizing images: crop, pad or resize, with Pillow's antialiasing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ganvas.data.image_set import LARGEST, SMALLEST
from ganvas.data.image_stream import ImageArray, ImageStream
from ganvas.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from PIL import Image

METHODS = ("crop", "pad", "resize")


@dataclass(frozen=True)
class Resize:
    """A target size in pixels, square, and the method.

    Attributes:
        size: height and width.
        how: "crop" scales the short side and takes the center; "pad" scales the long side and
            pads with black; "resize" changes the aspect ratio; None accepts only images that have the size.

    Raises:
        DataError: a size out of range, or no such method.
    """

    size: int
    how: str | None = None

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise DataError(f"size: expected {SMALLEST} to {LARGEST} pixels, got {self.size}; choose another")
        if self.how is not None and self.how not in METHODS:
            raise DataError(
                f"resize: expected {', '.join(METHODS)}, got {self.how!r}; {did_you_mean(self.how, METHODS)}"
            )

    def __str__(self) -> str:
        return f"{self.size}x{self.size} {self.how}"


def resize_image(image: "Image.Image", resize: Resize) -> "Image.Image":
    """One Pillow image scaled to resize.size x resize.size; one of that size is returned unchanged."""
    from PIL import Image

    size, (width, height) = resize.size, image.size
    if (width, height) == (size, size):
        return image
    lanczos = Image.Resampling.LANCZOS
    if resize.how == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((size, size), lanczos, box=(left, top, left + side, top + side))
    if resize.how == "pad":
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        black = Image.new(image.mode, (size, size))
        black.paste(image.resize(inner, lanczos), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return black
    return image.resize((size, size), lanczos)


def resize_stream(stream: ImageStream, resize: Resize | None, where: str) -> ImageStream:
    """A stream whose images have the target size.

    Raises:
        DataError: they have another and `resize.how` is None.
    """
    if resize is None:
        return stream
    count, channels, height, width = stream.shape
    if (height, width) == (resize.size, resize.size):
        return stream
    if resize.how is None:
        raise DataError(
            f"{where}: expected images of {resize.size}x{resize.size}, got {width}x{height}; choose how to "
            "resize them: crop, pad or resize"
        )

    def chunks() -> Iterator[ImageArray]:
        """Yield the resized images."""
        for chunk in stream.chunks():
            yield _resize_chunk(chunk, resize)

    return replace(
        stream,
        shape=(count, channels, resize.size, resize.size),
        chunks=chunks,
        origin=f"{stream.origin}\n{resize}",
        in_place=None,
    )


def _resize_chunk(chunk: ImageArray, resize: Resize) -> ImageArray:
    from PIL import Image

    gray = chunk.shape[1] == 1
    out = np.empty((len(chunk), chunk.shape[1], resize.size, resize.size), np.uint8)
    for index, image in enumerate(chunk):
        pixels = image[0] if gray else image.transpose(1, 2, 0)
        array = np.asarray(resize_image(Image.fromarray(np.ascontiguousarray(pixels)), resize))
        out[index] = array if gray else array.transpose(2, 0, 1)
    return out

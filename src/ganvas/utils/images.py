"""Images from tensors: pixel ranges, grids, and image files. Images are uint8 [N, C, H, W] arrays."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

ImageArray = npt.NDArray[np.uint8]


def to_float(images: Tensor, pixel_range: tuple[int, int]) -> Tensor:
    """uint8 [N, C, H, W] -> float32 in `pixel_range`: 0 and 255 meet its ends exactly."""
    low, high = pixel_range
    return images.float().mul_((high - low) / 255).add_(low)


def to_uint8(images: Tensor, pixel_range: tuple[int, int]) -> ImageArray:
    """float32 [N, C, H, W] in `pixel_range` -> uint8, rounded to the nearest, clipped at the ends."""
    low, high = pixel_range
    scaled = (images.detach().float() - low) * (255 / (high - low))
    pixels: ImageArray = scaled.round_().clamp_(0, 255).byte().cpu().contiguous().numpy()
    return pixels


def make_grid(images: ImageArray, columns: int, *, gap: int = 1, inverted: bool = False) -> ImageArray:
    """Lay images out row by row on black (white if `inverted`): uint8 [C, rows*(H+gap)+gap, ...]."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    sheet = np.zeros((c, rows * (h + gap) + gap, columns * (w + gap) + gap), np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        sheet[:, top : top + h, left : left + w] = image
    return 255 - sheet if inverted else sheet


def grid_columns(count: int) -> int:
    """Columns for a grid of `count` images that is as wide as high, or a little wider."""
    return math.ceil(math.sqrt(count))


def to_pil(pixels: ImageArray) -> Image.Image:
    """uint8 [C, H, W] with C 1 or 3 -> a Pillow image, gray or RGB."""
    if pixels.shape[0] == 1:
        return Image.fromarray(pixels[0])
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def upscale(image: Image.Image, at_least: int) -> Image.Image:
    """Enlarge by a whole factor, pixels kept square and sharp, until the short side is `at_least`."""
    factor = max(1, -(-at_least // min(image.size)))
    width, height = image.size
    return image.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def encode_gif(frames: Sequence[Image.Image], milliseconds: int, last_milliseconds: int) -> bytes:
    """The frames as an animated GIF's bytes, looping, resting on the last frame."""
    durations = [milliseconds] * (len(frames) - 1) + [last_milliseconds]
    buffer = io.BytesIO()
    # Pillow merges equal neighbors into one frame of their summed duration: it looks the same.
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=list(frames[1:]),
        duration=durations,
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()

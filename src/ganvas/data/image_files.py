"""Single images: PNG, JPEG, BMP and WebP, recognized by content, to uint8 gray or RGB.

How image modes are converted:
- black and white, gray, and a palette of grays are gray; every other palette, CMYK and YCbCr, RGB;
- 16-bit gray is scaled from 0..65535 to 0..255;
- transparency is composited on black, the color that `pad` fills up with;
- EXIF orientation is applied; of an animation the first frame is taken.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ganvas.data.files import one_line
from ganvas.data.image_stream import ImageArray
from ganvas.data.resize import Resize, resize_image
from ganvas.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MOST_PIXELS = 64 * 2**20
MOST_FILE_BYTES = 64 * 2**20
# EXIF orientation to the Image.Transpose that undoes it.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image says: channels 1 or 3, size once upright, alpha channel."""

    channels: int
    width: int
    height: int
    alpha: bool


def looks_like_image(start: bytes) -> bool:
    """Whether a file that begins so (12 bytes) is one of the four formats."""
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")) or (
        start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    )


def read_info(stream: BinaryIO, where: str) -> ImageInfo:
    """Read the header of an image.

    Raises:
        DataError: not an image that can be read, or one of too many pixels.
    """
    with _decode_errors(where), _opened(stream, where) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        channels = 1 if _is_gray(image) else 3
        return ImageInfo(channels, width, height, image.has_transparency_data)


def decode(stream: BinaryIO, where: str, resize: Resize | None = None) -> ImageArray:
    """An image as uint8 [C, H, W], upright and resized.

    Raises:
        DataError: as `read_info`, or its pixels are damaged.
    """
    with _decode_errors(where):
        with _opened(stream, where) as image:
            upright = _upright(_plain(image), _orientation(image))
        if resize is not None and resize.how is not None:
            upright = resize_image(upright, resize)
        pixels = np.array(upright, np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def _decode_errors(where: str) -> Iterator[None]:
    """Turn what Pillow raises on damaged bytes into a `DataError`; its warnings are ignored.

    Its decoders raise many kinds of exceptions (SyntaxError, struct.error, IndexError, ...), which all mean:
    not a readable image. Exceptions of the disk and of memory pass.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (DataError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(
                f"{where}: expected a readable PNG, JPEG, BMP or WebP image, got a damaged one or another"
                f" file ({type(error).__name__}: {one_line(error)}); replace or remove it"
            ) from error


def _opened(stream: BinaryIO, where: str) -> "Image.Image":
    from PIL import Image

    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size > MOST_FILE_BYTES:  # some decoders read the whole file at once
        raise DataError(f"{where}: expected an image of at most {MOST_FILE_BYTES:,} bytes, got {size:,}")
    try:
        image = Image.open(stream, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: expected at most {MOST_PIXELS} pixels, got more") from error
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{where}: expected at most {MOST_PIXELS} pixels, got {image.width}x{image.height}; scale it down"
        )
    return image


def _orientation(image: "Image.Image") -> int:
    """EXIF orientation 1 to 8; what cannot be read counts as upright.

    A PNG whose EXIF follows its pixels counts as upright too: Pillow would have to decode it.
    """
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        orientation = int(image.getexif().get(0x0112, 1))
    except MemoryError:
        raise
    except Exception:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright(image: "Image.Image", orientation: int) -> "Image.Image":
    from PIL import Image

    if orientation == 1:
        return image
    return image.transpose(Image.Transpose[_UPRIGHT[orientation]])


def _is_gray(image: "Image.Image") -> bool:
    if image.mode == "P" and image.palette is not None:
        palette = image.palette
        colors = bytes(palette.palette or b"")
        step = len(palette.rawmode or palette.mode)
        return colors[0::step] == colors[1::step] == colors[2::step]
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F"))


def _plain(image: "Image.Image") -> "Image.Image":
    """Any mode to "L" or "RGB", as the head of this file says."""
    from PIL import Image

    mode = "L" if _is_gray(image) else "RGB"
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert(mode)

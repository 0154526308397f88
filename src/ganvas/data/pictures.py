"""Single pictures: PNG, JPEG, BMP and WebP, told by content, to uint8 grey or RGB.

What becomes of the modes of a picture:
- black and white, grey, and a palette of greys are grey; every other palette, CMYK and YCbCr, RGB;
- 16-bit grey is scaled from 0..65535 to 0..255;
- transparency is laid on black, the colour that `pad` fills up with;
- EXIF orientation is applied; of an animation the first frame is taken.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ganvas.data.files import one_line
from ganvas.data.fit import Fit, fit_picture
from ganvas.data.stream import Pixels
from ganvas.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MOST_PIXELS = 64 * 2**20
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
class Look:
    """What the header of a picture says: channels 1 or 3, size once upright, alpha channel."""

    channels: int
    width: int
    height: int
    alpha: bool


def looks_like_picture(start: bytes) -> bool:
    """Whether a file that begins so (12 bytes) is one of the four formats."""
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")) or (
        start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    )


def look(stream: BinaryIO, where: str) -> Look:
    """Read the header of a picture.

    Raises:
        DataError: not a picture that can be read, or one of too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(stream, where) as picture:
                width, height = picture.size
                if _orientation(picture) >= 5:
                    width, height = height, width
                channels = 1 if _is_grey(picture) else 3
                return Look(channels, width, height, picture.has_transparency_data)
        except DataError:
            raise
        except Exception as error:
            raise _damaged(where, error) from error


def decode(stream: BinaryIO, where: str, fit: Fit | None = None) -> Pixels:
    """A picture as uint8 [C, H, W], upright and brought to `fit`.

    Raises:
        DataError: as `look`, or damaged further in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(stream, where) as picture:
                upright = _upright(_plain(picture), _orientation(picture))
            if fit is not None and fit.how is not None:
                upright = fit_picture(upright, fit)
            pixels = np.array(upright, np.uint8)
        except DataError:
            raise
        except Exception as error:
            raise _damaged(where, error) from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


# Pillow's decoders raise whatever damaged bytes make them stumble over (SyntaxError, struct.error,
# IndexError, ...) and warn besides. Here, at the border, all of it means: not a readable picture.
def _damaged(where: str, error: Exception) -> DataError:
    return DataError(
        f"{where}: expected a readable PNG, JPEG, BMP or WebP picture, got a damaged one or another"
        f" file ({type(error).__name__}: {one_line(error)}); replace or remove it"
    )


def _opened(stream: BinaryIO, where: str) -> "Image.Image":
    from PIL import Image

    try:
        picture = Image.open(stream, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: expected at most {MOST_PIXELS} pixels, got more") from error
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(
            f"{where}: expected at most {MOST_PIXELS} pixels, got {picture.width}x{picture.height};"
            " scale it down"
        )
    return picture


def _orientation(picture: "Image.Image") -> int:
    """EXIF orientation 1 to 8; what cannot be read counts as upright.

    A PNG whose EXIF follows its pixels counts as upright too: Pillow would have to decode it.
    """
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    try:
        orientation = int(picture.getexif().get(0x0112, 1))
    except Exception:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright(picture: "Image.Image", orientation: int) -> "Image.Image":
    from PIL import Image

    if orientation == 1:
        return picture
    return picture.transpose(Image.Transpose[_UPRIGHT[orientation]])


def _is_grey(picture: "Image.Image") -> bool:
    if picture.mode == "P" and picture.palette is not None:
        palette = picture.palette
        colours = bytes(palette.palette or b"")
        step = len(palette.rawmode or palette.mode)
        return colours[0::step] == colours[1::step] == colours[2::step]
    return picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith(("I", "F"))


def _plain(picture: "Image.Image") -> "Image.Image":
    """Any mode to "L" or "RGB", as the head of this file says."""
    from PIL import Image

    mode = "L" if _is_grey(picture) else "RGB"
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return picture.convert(mode)

"""The sample grids of a page: chosen and encoded so that all of them fit a budget of bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganvas.report.templating import data_uri
from ganvas.utils.images import encode_png
from ganvas.utils.io import read_regular

MAX_FRAMES = 60
MAX_BYTES = 3_000_000
"""Of all frames of a page together, in base64."""
_WEBP_QUALITY = 85
_MAX_FILE_BYTES = 2**28


@dataclass(frozen=True)
class Frame:
    """A grid: its step, its encoded image, its size in pixels."""

    step: int
    content: bytes
    width: int
    height: int
    media_type: str = "image/png"

    @property
    def encoded_size(self) -> int:
        """Bytes in the page: base64 makes four of three."""
        return -(-len(self.content) // 3) * 4

    @property
    def uri(self) -> str:
        """The image as a data: address."""
        return data_uri(self.content, self.media_type)


def evenly_spaced(count: int, limit: int) -> list[int]:
    """At most `limit` of the numbers below `count`, evenly spaced, including the first and the last.

    >>> evenly_spaced(9, 5)
    [0, 2, 4, 6, 8]
    """
    if count <= limit:
        return list(range(count))
    if limit < 2:
        return [count - 1]
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def choose_frames(files: Sequence[Path], max_bytes: int = MAX_BYTES) -> list[Frame]:
    """Frames for a page, oldest first, of at most `max_bytes` in all; damaged files are skipped.

    Too large color grids become WebP; if that is not enough there are fewer of them; a single one is halved.
    """
    readable = _without_damaged_ends(files)
    frames = [frame for i in evenly_spaced(len(readable), MAX_FRAMES) if (frame := read(readable[i]))]
    if sum(frame.encoded_size for frame in frames) > max_bytes:
        frames = [_compressed(frame) for frame in frames]
    while len(frames) > 1 and sum(frame.encoded_size for frame in frames) > max_bytes:
        frames = [frames[i] for i in evenly_spaced(len(frames), len(frames) - 1)]
    return [shrink(frame, max_bytes) for frame in frames]


def read(path: Path) -> Frame | None:
    """The grid in a file, or None if it is not a whole PNG."""
    try:
        content = read_regular(path, limit=_MAX_FILE_BYTES, follow_links=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                image.load()
                return Frame(int(path.stem), content, *image.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def shrink(frame: Frame, max_bytes: int) -> Frame:
    """The frame, compressed and then halved in size until it takes at most `max_bytes`."""
    if frame.encoded_size > max_bytes:
        frame = _compressed(frame)
    while frame.encoded_size > max_bytes and min(frame.width, frame.height) > 16:
        with Image.open(io.BytesIO(frame.content)) as image:
            half = image.reduce(2)
        frame = _compressed(Frame(frame.step, encode_png(half), *half.size))
    return frame


def _compressed(frame: Frame) -> Frame:
    """A color grid as WebP where that is smaller; a gray one as it is, since its PNG is small."""
    with Image.open(io.BytesIO(frame.content)) as image:
        if image.format != "PNG" or image.mode != "RGB":
            return frame
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", quality=_WEBP_QUALITY, method=4)
    if buffer.tell() >= len(frame.content):
        return frame
    return Frame(frame.step, buffer.getvalue(), frame.width, frame.height, "image/webp")


def _without_damaged_ends(files: Sequence[Path]) -> Sequence[Path]:
    """The files from the first to the last readable grid."""
    first, last = 0, len(files)
    while first < last and read(files[first]) is None:
        first += 1
    while first < last and read(files[last - 1]) is None:
        last -= 1
    return files[first:last]

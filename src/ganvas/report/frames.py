"""The sample grids, chosen and made small enough to travel inside a page."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganvas.images import png_bytes

MOST_FRAMES = 60
MOST_BYTES = 15_000_000
"""Of all frames together, as they lie in the page."""


@dataclass(frozen=True)
class Frame:
    """A grid: after which step, its PNG, its size in pixels."""

    step: int
    png: bytes
    width: int
    height: int

    @property
    def weight(self) -> int:
        """Bytes in the page: base64 makes four of three."""
        return -(-len(self.png) // 3) * 4


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spread, the first and the last among them.

    >>> evenly(9, 5)
    [0, 2, 4, 6, 8]
    """
    if count <= most:
        return list(range(count))
    if most < 2:
        return [count - 1]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def chosen(files: Sequence[Path], most_bytes: int = MOST_BYTES) -> list[Frame]:
    """Frames for a page, oldest first, in all no heavier than `most_bytes`; damaged files are passed over."""
    whole = _without_damaged_ends(files)
    frames = [frame for i in evenly(len(whole), MOST_FRAMES) if (frame := read(whole[i]))]
    while len(frames) > 1 and sum(frame.weight for frame in frames) > most_bytes:
        frames = [frames[i] for i in evenly(len(frames), len(frames) - 1)]
    return [lighter(frame, most_bytes) for frame in frames]


def read(path: Path) -> Frame | None:
    """The grid in a file, or None where there is no whole PNG."""
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
                picture.load()
                return Frame(int(path.stem), content, *picture.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def lighter(frame: Frame, most_bytes: int) -> Frame:
    """The frame itself, or halved in size until it weighs no more than `most_bytes`."""
    while frame.weight > most_bytes and min(frame.width, frame.height) > 16:
        with Image.open(io.BytesIO(frame.png)) as picture:
            half = picture.reduce(2)
        frame = Frame(frame.step, png_bytes(half), *half.size)
    return frame


def _without_damaged_ends(files: Sequence[Path]) -> Sequence[Path]:
    """The first and the last grid that are whole, and what lies between."""
    first, last = 0, len(files)
    while first < last and read(files[first]) is None:
        first += 1
    while first < last and read(files[last - 1]) is None:
        last -= 1
    return files[first:last]

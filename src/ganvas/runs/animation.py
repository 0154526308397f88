"""The animated GIF of a run's grids: all frames, or a subsample in which late, slow changes pass quickly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ganvas.errors import RunError
from ganvas.utils.images import encode_gif, upscale
from ganvas.utils.io import IrregularFileError, open_regular, write_bytes

MILLISECONDS = 200
LAST_MILLISECONDS = 2000
_MAX_GRID_BYTES = 2**28


def subsampled(count: int) -> list[int]:
    """Frames kept of `count`: i is kept when round(2 * sqrt(i)) grows, and the last one always.

    The rule of TensorFlow's DCGAN tutorial.

    >>> subsampled(12)
    [0, 1, 2, 4, 6, 8, 11]
    """
    kept, last = [], -1
    for i in range(count):
        frame = round(2 * i**0.5)
        if frame > last:
            kept.append(i)
            last = frame
    if kept and kept[-1] != count - 1:
        kept.append(count - 1)
    return kept


def animate(frames: Sequence[Path], out: Path, *, subsample: bool, at_least: int = 280) -> int:
    """Write the GIF of the grids in `frames` to `out` and return the number of grids shown.

    Args:
        frames: PNG files, oldest first.
        out: the GIF.
        subsample: keep the frames of `subsampled` only.
        at_least: pixels of the short side; images are enlarged by a whole factor.

    Raises:
        RunError: no frames, or one that is no image.
        StorageError: the disk is full or may not be written.
    """
    if not frames:
        raise RunError("there are no sample grids to animate: expected PNG files in samples/")
    chosen = [frames[i] for i in subsampled(len(frames))] if subsample else list(frames)
    images = []
    for path in chosen:
        try:
            with (
                open_regular(path, limit=_MAX_GRID_BYTES, follow_links=False) as stream,
                Image.open(stream, formats=("PNG",)) as image,
            ):
                images.append(upscale(image.copy(), at_least))
        except IrregularFileError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise RunError(f"{path} is not a whole image ({error}): remove it and try again") from None
    write_bytes(out, encode_gif(images, MILLISECONDS, LAST_MILLISECONDS))
    return len(images)

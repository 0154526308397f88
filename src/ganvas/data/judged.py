"""A few pictures of the user's, brought to the shape of a set: what a discriminator is shown."""

from pathlib import Path

import numpy as np

from ganvas.data.album import read_folder
from ganvas.data.files import opened
from ganvas.data.fit import Fit
from ganvas.data.pictures import decode
from ganvas.data.stream import Pixels
from ganvas.errors import DataError


def load_pictures(
    path: str | Path, *, shape: tuple[int, int, int], fit: str | None = None
) -> tuple[list[str], Pixels]:
    """The picture at `path`, or those of a folder.

    Args:
        path: a PNG, JPEG, BMP or WebP file, or a folder of them.
        shape: (C, H, W) wanted.
        fit: "crop", "pad" or "resize" brings pictures of another size to it; None refuses them.

    Returns:
        Names for people, and uint8 pictures [n, C, H, W].

    Raises:
        DataError: nothing there, no picture, another size or number of channels.
    """
    path = Path(path).expanduser()
    channels, height, width = shape
    if fit is not None and height != width:
        raise DataError(
            f"fit: expected a square size to {fit} to, got {width}x{height}; "
            "bring the pictures to that size first"
        )
    wanted = Fit(height, fit) if fit is not None else None
    if path.is_dir():
        stream = read_folder(path, wanted)
        pixels = np.concatenate(list(stream.chunks()))
        names = list(stream.names)
    else:
        with opened(path) as file:
            pixels = decode(file, str(path), wanted)[None]
        names = [str(path)]
    if pixels.shape[1] != channels:
        kinds = {1: "grey", 3: "RGB"}
        raise DataError(f"{path}: expected {kinds[channels]} pictures, got {kinds[pixels.shape[1]]}; convert")
    if pixels.shape[2:] != (height, width):
        raise DataError(
            f"{path}: expected pictures of {width}x{height}, got "
            f"{pixels.shape[3]}x{pixels.shape[2]}; say how to fit them: crop, pad or resize"
        )
    return names, pixels

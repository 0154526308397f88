"""Image files before a run's discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganvas.data import load_images
from ganvas.runs.run import Run


def discriminate_files(run: Run, paths: Sequence[str | Path], resize: str | None) -> list[tuple[str, float]]:
    """(name, logit) of every image in `paths`, files or folders.

    Args:
        run: whose discriminator judges.
        paths: image files, or folders of them.
        resize: how images of another size are brought to the run's; None refuses them.

    Raises:
        DataError: no such file, no image, another size or color.
    """
    names: list[str] = []
    logits: list[float] = []
    for path in paths:
        found, pixels = load_images(path, shape=run.record.data.image_shape, resize=resize)
        names += found
        logits += run.discriminate(pixels)
    return list(zip(names, logits, strict=True))

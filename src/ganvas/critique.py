"""Picture files before a run's discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganvas.data import load_pictures
from ganvas.run import Run


def judged_files(run: Run, paths: Sequence[str | Path], fit: str | None) -> list[tuple[str, float]]:
    """(name, logit) of every picture in `paths`, files or folders.

    Args:
        run: whose discriminator judges.
        paths: picture files, or folders of them.
        fit: how pictures of another size are brought to the run's; None refuses them.

    Raises:
        DataError: no such file, no picture, another size or colour.
    """
    names: list[str] = []
    logits: list[float] = []
    for path in paths:
        found, pixels = load_pictures(path, shape=run.record.data.image_shape, fit=fit)
        names += found
        logits += run.critique(pixels)
    return list(zip(names, logits, strict=True))

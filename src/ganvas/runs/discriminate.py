"""A run's discriminator judges images: arrays, files, and fakes of the run's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ganvas.data import load_images
from ganvas.errors import UserError
from ganvas.networks.conditioning import Batch, class_logits
from ganvas.networks.layers import inference
from ganvas.runs.image_batch import ImageBatch
from ganvas.training import sampling
from ganvas.training.rng import Stream
from ganvas.training.state import new_discriminator, new_generator
from ganvas.utils.images import ImageArray, to_float

if TYPE_CHECKING:
    from ganvas.runs.run import Run


def discriminate(run: Run, images: ImageArray, *, step: int | str | None = None) -> list[float]:
    """The logit of the trained discriminator for each image; see `Run.discriminate`."""
    network = run.discriminator(step=step)
    expected = run.record.data.image_shape
    if images.shape[1:] != expected:
        raise UserError(
            f"this run's discriminator judges images of shape {expected} (channels, height, width), got "
            f"{images.shape[1:]}"
        )
    logits: list[float] = []
    with inference(network):
        for part in torch.from_numpy(np.ascontiguousarray(images)).split(sampling.CHUNK):
            logits += _highest(network(to_float(part, run.recipe.pixel_range)))
    return logits


def discriminate_files(run: Run, paths: Sequence[str | Path], resize: str | None) -> list[tuple[str, float]]:
    """(name, logit) of every image in `paths`.

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
        files, pixels = load_images(path, shape=run.record.data.image_shape, resize=resize)
        names += files
        logits += discriminate(run, pixels)
    return list(zip(names, logits, strict=True))


def compare_fixed_fakes(run: Run) -> tuple[ImageBatch, list[float], list[float]]:
    """One fixed z through both networks before and after training; see `Run.compare_fixed_fakes`."""
    shape, seed, recipe = run.record.data.image_shape, run.record.seed, run.recipe
    inputs = sampling.sample_inputs(recipe, 1, seed, Stream.GRID, frequencies=run.record.class_frequencies)
    before = sampling.generate(new_generator(recipe, shape, seed), inputs.z, recipe.pixel_range)
    after = sampling.generate(run.raw_generator(), inputs.z, recipe.pixel_range)
    fakes = np.concatenate([before, after])
    labels = None if inputs.labels is None else inputs.labels.repeat(2)
    batch = Batch(to_float(torch.from_numpy(fakes), recipe.pixel_range), labels)
    untrained, trained = new_discriminator(recipe, shape, seed), run.discriminator()
    with inference(untrained, trained):
        logits = [class_logits(network, batch).tolist() for network in (untrained, trained)]
    return ImageBatch.of(fakes), logits[0], logits[1]


def discrimination_table(run: Run, paths: Sequence[str | Path], resize: str | None) -> list[str]:
    """The lines that `ganvas discriminate` prints: the run's own fixed fakes, and the images in `paths`.

    Raises:
        DataError: as `discriminate_files`.
    """
    _, before, after = compare_fixed_fakes(run)
    rows = [
        (f"fixed fake, G {generator}", discriminator, logits[i])
        for i, generator in enumerate(("untrained", "trained"))
        for discriminator, logits in (("untrained", before), ("trained", after))
    ]
    rows += [(name, "trained", logit) for name, logit in discriminate_files(run, paths, resize)]
    width = max(len(name) for name, _, _ in rows)
    return [
        f"{'image':<{width}}  {'D':<9}  {'logit':>9}  P(real)",
        *(f"{name:<{width}}  {d:<9}  {logit:>+9.4f}  {_sigmoid(logit):.4f}" for name, d, logit in rows),
    ]


def _highest(logits: Tensor) -> list[float]:
    highest: list[float] = (logits if logits.dim() == 1 else logits.amax(1)).tolist()
    return highest


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))

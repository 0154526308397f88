"""The recipe for any small pictures, drawn from what they are: `ganvas train` without a recipe's name.

A DCGAN of 4x4 kernels for the pictures' size (Radford et al. 2016, arXiv 1511.06434) with what was learned
since: small batches, a lazy R1 penalty (Mescheder et al. 2018, arXiv 1801.04406; Karras et al. 2020, arXiv
1912.04958) in place of the discriminator's batch norm, one backward pass for both players, an averaged
generator (Yazici et al. 2019, arXiv 1806.04498), rates that fall, clusters of the pixels told to both players
where labels are not (Liu et al. 2020, arXiv 2006.10728), and where pictures are few DiffAugment (Zhao et al.
2020, arXiv 2006.10738). docs/speedrun.md says how its numbers were found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ganvas.errors import RecipeError, nearest
from ganvas.networks import (
    BatchNorm,
    Convolution,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ImageShape,
    ToImage,
)
from ganvas.recipe import Adam, Augment, Grid, Latent, Penalty, Recipe, Sampling, Schedule, steps_in

# Seconds that a budget takes on two processor cores with bf16, and the most channels of the outermost layers
# that serve it and longer ones: a short run wants many steps, a long one a wider network. Pictures so large
# that fewer than `STEPS` would fit get narrower layers, as long as these gain steps.
BUDGETS = {"1m": (60, 32), "5m": (300, 48), "20m": (1200, 64), "1h": (3600, 96)}
BUDGET = "5m"
STEPS, WIDTHS = 4500, (8, 12, 16, 24, 32, 48, 64, 96)
_BUDGET = re.compile(r"([1-9][0-9]?)(m|h)")

# A step's time there, within two fifths of what was measured from 28 to 256 pixels: so much for itself; so
# much a multiply-add, and less of those beyond a number; so much for each value of a picture beyond MNIST's.
_STEP_SECONDS, _MULTIPLY_ADD_SECONDS, _VALUE_SECONDS = 9e-3, (8.4e-12, 3.5e-12), 65e-9
_SMALL_MULTIPLY_ADDS, _SMALL_VALUES = 4.25e9, 28 * 28

CLUSTERS, A_CLUSTER = 100, 100  # at most, and pictures that each has then at least, on average

SEEN = 100  # times: a picture that is seen more often is shown changed
BATCH = 32


def recipe_for(
    image_shape: ImageShape,
    images: int,
    budget: str | None = None,
    *,
    batch_size: int | None = None,
    length: str | None = None,
    labels: int | None = None,
    clusters: int | None = None,
) -> Recipe:
    """The recipe for pictures of this shape.

    Args:
        image_shape: (C, H, W).
        images: how many there are.
        budget: minutes or hours, as "5m" or "2h": how long to train, told by what takes so long on two cores.
        batch_size: instead of the recipe's own.
        length: instead of the budget's: a stretch of training, as "200 steps" or "15 epochs".
        labels: how many classes of labels both players are told.
        clusters: how many clusters of the pixels they are told instead; 0 is none, and where neither is given
            it goes by the number of pictures.

    Raises:
        RecipeError: no such budget.
    """
    seconds, most = _budgeted(BUDGET if budget is None else budget)
    batch = batch_size or min(BATCH, max(images // 2, 1))
    widths, steps = _layers(image_shape, seconds, most, batch)
    if length is not None:
        steps = steps_in(length, max(images // batch, 1))
    if clusters is None:
        clusters = min(images // A_CLUSTER, CLUSTERS)
        clusters = clusters if clusters > 1 else 0
    classes = labels or clusters
    return Recipe(
        name="modern",
        summary="for any small pictures: a DCGAN with what has been learned since",
        source="arXiv 1511.06434, 1801.04406, 1912.04958, 1806.04498, 2006.10728; docs/speedrun.md",
        sampling=Sampling(partial_batch="drop"),
        batch_size=batch,
        latent=Latent(size=64),
        classes=classes,
        classes_from="labels" if labels or not clusters else "clusters",
        generator=ConvolutionalGenerator(
            hidden=(256,),
            base=widths[-1],
            layers=tuple(_halving(width) for width in widths[-2::-1]),
            to_image=ToImage(kernel=4, stride=2),
            slope=0,
            batch_norm=BatchNorm(momentum=0.9, epsilon=1e-5),
        ),
        discriminator=ConvolutionalDiscriminator(
            layers=tuple(_halving(width) for width in widths), hidden=(256,), slope=0.2
        ),
        penalties=(Penalty(kind="r1", weight=0.2, every=8),),
        augment=Augment() if steps * batch > SEEN * images else None,
        generator_optimizer=Adam(learning_rate=2e-3, beta1=0.5, beta2=0.99, epsilon=1e-8),
        discriminator_optimizer=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.99, epsilon=1e-8),
        schedule=Schedule(final=0.05),
        ema=_average(steps),
        precision="auto",
        length=length or f"{steps} steps",
        checkpoint_every=f"{max(steps // 10, 1)} steps",
        log_every="50 steps",
        grid=Grid(rows=8, columns=classes if 0 < classes <= 16 else 8, every=f"{max(steps // 40, 1)} steps"),
    )


def _budgeted(budget: str) -> tuple[int, int]:
    """Seconds, and the most channels of the outermost layers."""
    found = _BUDGET.fullmatch(budget)
    if found is None:
        raise RecipeError(
            f"--budget {budget}: {nearest(budget, BUDGETS)}; any minutes or hours will do, 1m to 99h"
        )
    seconds = int(found[1]) * (60 if found[2] == "m" else 3600)
    return seconds, max(width for least, width in BUDGETS.values() if least <= seconds)


def drawn(
    image_shape: ImageShape, images: int, budget: str | None, settings: Mapping[str, Any]
) -> tuple[Recipe, str]:
    """The recipe for these pictures with settings changed, and one line that says what was chosen.

    A length, a batch size or classes that are asked for come first: what is drawn goes by it.
    """
    keys = ("length", "batch_size", "classes", "classes_from")
    first = {key: settings[key] for key in keys if key in settings}
    found = recipe_for(image_shape, images, budget)
    if first:
        asked = found.changed({"classes_from": "labels", **first} if "classes" in first else first)
        found = recipe_for(
            image_shape, images, budget,
            batch_size=asked.batch_size,
            length=asked.length if "length" in first else None,
            **_told(first, asked),
        )  # fmt: skip
    found = found.changed(settings)
    channels, height, width = image_shape
    kind = "grey" if channels == 1 else "RGB"
    steps = steps_in(found.length, max(images // found.batch_size, 1))
    by = "" if "length" in first else f" (--budget {budget or BUDGET})"
    shown = ", changed by DiffAugment" if found.augment is not None else ""
    kinds = "clusters of their pixels" if found.told_clusters else "classes"
    told_of = f", {found.classes} {kinds} told" if found.classes else ""
    return found, (
        f"chosen for {images:,} {kind} pictures of {height}x{width}: modern, convolutions of "
        f"{_channels(found)} channels, {found.length}{by}, each seen {steps * found.batch_size / images:.0f} "
        f"times{shown}{told_of}"
    )


def _told(first: Mapping[str, Any], asked: Recipe) -> dict[str, int]:
    """What `recipe_for` is to tell the players, as far as it was asked for."""
    if "classes" not in first:
        return {"clusters": 0} if first.get("classes_from") == "labels" else {}
    if asked.told_clusters:
        return {"clusters": asked.classes}
    return {"labels": asked.classes, "clusters": 0}


def _channels(recipe: Recipe) -> str:
    layers = getattr(recipe.discriminator, "layers", ())
    return " and ".join(str(layer.channels) for layer in layers) or "no"


def _halving(channels: int) -> Convolution:
    return Convolution(channels=channels, kernel=4, stride=2)


def _widths(image_shape: ImageShape, first: int) -> list[int]:
    """Channels of the discriminator's layers: each halves the sides, down to 4 to 8 pixels."""
    side = max(image_shape[1:])
    layers = max(1, math.ceil(math.log2(side / 8)))
    return [min(first * 2**i, 512) for i in range(layers)]


def _layers(image_shape: ImageShape, seconds: int, most: int, batch: int) -> tuple[list[int], int]:
    """The widest layers, of `most` channels outermost, of which enough steps fit; and how many do."""
    found: list[tuple[list[int], int]] = []
    for first in WIDTHS:
        widths = _widths(image_shape, first)
        steps = max(round(seconds / _step_seconds(image_shape, widths, batch)), 1)
        if not found or (first <= most and steps >= min(STEPS, 0.7 * found[0][1])):
            found.append((widths, steps))
    return found[-1]


def _step_seconds(image_shape: ImageShape, widths: list[int], batch: int) -> float:
    """What a step takes, nearly."""
    first, beyond = _MULTIPLY_ADD_SECONDS
    work = batch * _multiply_adds(image_shape, widths)
    large = max(work - _SMALL_MULTIPLY_ADDS, 0.0)
    values = max(math.prod(image_shape) - _SMALL_VALUES, 0)
    return _STEP_SECONDS + first * (work - large) + beyond * large + _VALUE_SECONDS * batch * values


def _multiply_adds(image_shape: ImageShape, widths: list[int]) -> float:
    """Of one image in a step, nearly: each network forth once and back twice, D for real and fake."""
    channels, height, width = image_shape
    places, inputs, total = height * width, channels, 0
    for outputs in widths:
        places //= 4
        total += 16 * inputs * outputs * places
        inputs = outputs
    return 9.0 * total


def _average(steps: int) -> float:
    """The decay that averages over about an eighth of the run."""
    return min(max(1 - 8 / steps, 0.9), 0.9995)


recipe = recipe_for((1, 28, 28), 60_000)

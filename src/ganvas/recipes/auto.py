"""The automatic recipe: chosen for the shape and number of the images, and for a budget of time.

`ganvas train` uses it where no recipe is named. A DCGAN of 4x4 kernels (Radford et al. 2016, arXiv
1511.06434) with what was learned since: small batches, a lazy R1 penalty (Mescheder et al. 2018, arXiv
1801.04406; Karras et al. 2020, arXiv 1912.04958) instead of batch norm in D, one backward pass for both
players, an EMA generator (Yazici et al. 2019, arXiv 1806.04498), falling learning rates, conditioning on
clusters of the pixels where it is not conditioned on labels (Liu et al. 2020, arXiv 2006.10728), and
DiffAugment for few images (Zhao et al. 2020, arXiv 2006.10738). docs/speedrun.md says how its values were
found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ganvas.errors import RecipeError, did_you_mean
from ganvas.networks import BatchNorm, ConvLayer, DCGANDiscriminator, DCGANGenerator, ImageShape, OutputLayer
from ganvas.recipes.durations import to_steps
from ganvas.recipes.optimizers import Adam, Schedule
from ganvas.recipes.schema import Augment, DataOrder, Grid, Latent, Penalty, Recipe

# For each budget its seconds on two processor cores with bf16, and the most channels of the outermost layers
# for it and longer ones: a short run needs many steps, a long one a wider network. For images so large that
# fewer than MIN_STEPS would fit, layers get narrower as long as that gains steps.
BUDGETS = {"1m": (60, 32), "5m": (300, 48), "20m": (1200, 64), "1h": (3600, 96)}
DEFAULT_BUDGET = "5m"
MIN_STEPS, WIDTHS = 4500, (8, 12, 16, 24, 32, 48, 64, 96)
_BUDGET = re.compile(r"([1-9][0-9]?)(m|h)")

# The time of a step on those cores, within 40% of what was measured from 28 to 256 pixels: a constant,
# seconds a MAC (fewer beyond _SMALL_MACS), seconds a value of an image beyond MNIST's. The regressor of that
# fit is `_nominal_macs`, not the exact count of `profiling.flops`.
_STEP_SECONDS, _MAC_SECONDS, _VALUE_SECONDS = 9e-3, (8.4e-12, 3.5e-12), 65e-9
_SMALL_MACS, _SMALL_VALUES = 4.25e9, 28 * 28

MAX_CLUSTERS, IMAGES_PER_CLUSTER = 100, 100  # a cluster for each so many images
MAX_REPEATS = 100  # an image that would be seen more often is augmented
BATCH_SIZE = 32


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
    """The recipe for images of this shape.

    Args:
        image_shape: (C, H, W).
        images: how many there are.
        budget: minutes or hours, as "5m" or "2h": how long to train, estimated for two cores.
        batch_size: instead of the recipe's own.
        length: instead of the budget's, as "200 steps" or "15 epochs".
        labels: how many classes to condition on.
        clusters: how many clusters of the pixels to condition on instead; 0 is none; by the number of
            images where neither is given.

    Raises:
        RecipeError: no such budget.
    """
    seconds, most = _parse_budget(DEFAULT_BUDGET if budget is None else budget)
    batch = batch_size or min(BATCH_SIZE, max(images // 2, 1))
    widths, steps = _layers(image_shape, seconds, most, batch)
    if length is not None:
        steps = to_steps(length, max(images // batch, 1))
    if clusters is None:
        clusters = min(images // IMAGES_PER_CLUSTER, MAX_CLUSTERS)
        clusters = clusters if clusters > 1 else 0
    classes = labels or clusters
    columns = classes if 0 < classes <= 16 else 8
    return Recipe(
        name="auto",
        summary="chosen for your images: a DCGAN with what was learned since",
        source="arXiv 1511.06434, 1801.04406, 1912.04958, 1806.04498, 2006.10728; docs/speedrun.md",
        data_order=DataOrder(drop_last=True),
        batch_size=batch,
        latent=Latent(size=64),
        classes=classes,
        condition_on="labels" if labels or not clusters else "clusters",
        generator=_generator(widths),
        discriminator=DCGANDiscriminator(
            layers=tuple(map(_strided_conv, widths)), hidden=(256,), negative_slope=0.2
        ),
        penalties=(Penalty(kind="r1", weight=0.2, interval=8),),
        augment=Augment() if steps * batch > MAX_REPEATS * images else None,
        generator_optimizer=_adam(2e-3),
        discriminator_optimizer=_adam(1e-3),
        ema=_ema_decay(steps),
        precision="auto",
        length=length or f"{steps} steps",
        checkpoint_interval=f"{max(steps // 10, 1)} steps",
        log_interval="50 steps",
        grid=Grid(rows=8, columns=columns, interval=f"{max(steps // 40, 1)} steps"),
    )


def _generator(widths: list[int]) -> DCGANGenerator:
    """The generator that mirrors a discriminator of these widths."""
    return DCGANGenerator(
        hidden=(256,),
        base_channels=widths[-1],
        layers=tuple(map(_strided_conv, widths[-2::-1])),
        output_layer=OutputLayer(kernel=4, stride=2),
        negative_slope=0,
        batch_norm=BatchNorm(momentum=0.9, epsilon=1e-5),
    )


def _strided_conv(channels: int) -> ConvLayer:
    return ConvLayer(channels=channels, kernel=4, stride=2)


def _adam(learning_rate: float) -> Adam:
    schedule = Schedule(final=0.05)
    return Adam(learning_rate=learning_rate, beta1=0.5, beta2=0.99, epsilon=1e-8, schedule=schedule)


def _parse_budget(budget: str) -> tuple[int, int]:
    """Seconds, and the most channels of the outermost layers."""
    match = _BUDGET.fullmatch(budget)
    if match is None:
        raise RecipeError(
            f"budget {budget!r}: {did_you_mean(budget, BUDGETS)}; any number of minutes or hours from 1m to "
            f"99h works"
        )
    seconds = int(match[1]) * (60 if match[2] == "m" else 3600)
    return seconds, max(width for least, width in BUDGETS.values() if least <= seconds)


def budget_seconds(budget: str) -> int:
    """Seconds of a budget like "5m" or "1h".

    Raises:
        RecipeError: no such budget.
    """
    return _parse_budget(budget)[0]


def estimated_step_seconds(recipe: Recipe, image_shape: ImageShape) -> float:
    """Estimated seconds a step of an automatic recipe on two processor cores with bf16."""
    widths = [layer.channels for layer in getattr(recipe.discriminator, "layers", ())]
    return _step_seconds(image_shape, widths, recipe.batch_size)


def auto_recipe(
    image_shape: ImageShape, images: int, budget: str | None, overrides: Mapping[str, Any]
) -> tuple[Recipe, str]:
    """The recipe for these images with overrides, and one line that says what was chosen.

    An overridden length, batch size or number of classes comes first: the rest is chosen for it.
    """
    keys = ("length", "batch_size", "classes", "condition_on")
    first = {key: overrides[key] for key in keys if key in overrides}
    recipe = recipe_for(image_shape, images, budget)
    if first:
        asked = recipe.with_overrides({"condition_on": "labels", **first} if "classes" in first else first)
        recipe = recipe_for(
            image_shape, images, budget,
            batch_size=asked.batch_size,
            length=asked.length if "length" in first else None,
            **_conditioning(first, asked),
        )  # fmt: skip
    recipe = recipe.with_overrides(overrides)
    channels, height, width = image_shape
    kind = "gray" if channels == 1 else "RGB"
    steps = to_steps(recipe.length, max(images // recipe.batch_size, 1))
    by = "" if "length" in first else f" (budget {budget or DEFAULT_BUDGET})"
    augmented = ", DiffAugment" if recipe.augment is not None else ""
    kinds = "clusters of their pixels" if recipe.conditioned_on_clusters else "classes"
    condition = f", conditioned on {recipe.classes} {kinds}" if recipe.classes else ""
    return recipe, (
        f"chosen for {images:,} {kind} images of {height}x{width}: auto, convolutions of "
        f"{_describe_channels(recipe)} channels, {recipe.length}{by}, each image used "
        f"{steps * recipe.batch_size / images:.0f} times{augmented}{condition}"
    )


def _conditioning(first: Mapping[str, Any], asked: Recipe) -> dict[str, int]:
    """The conditioning arguments of `recipe_for`, as far as they were asked for."""
    if "classes" not in first:
        return {"clusters": 0} if first.get("condition_on") == "labels" else {}
    if asked.conditioned_on_clusters:
        return {"clusters": asked.classes}
    return {"labels": asked.classes, "clusters": 0}


def _describe_channels(recipe: Recipe) -> str:
    layers = getattr(recipe.discriminator, "layers", ())
    return " and ".join(str(layer.channels) for layer in layers) or "no"


def _widths(image_shape: ImageShape, first: int) -> list[int]:
    """Channels of D's layers, each of stride 2, down to a map of 4 to 8 pixels."""
    side = max(image_shape[1:])
    layers = max(1, math.ceil(math.log2(side / 8)))
    return [min(first * 2**i, 512) for i in range(layers)]


def _layers(image_shape: ImageShape, seconds: int, most: int, batch: int) -> tuple[list[int], int]:
    """The widest layers, at most `most` channels outermost, for which enough steps fit; and how many fit."""
    options: list[tuple[list[int], int]] = []
    for first in WIDTHS:
        widths = _widths(image_shape, first)
        steps = max(round(seconds / _step_seconds(image_shape, widths, batch)), 1)
        if not options or (first <= most and steps >= min(MIN_STEPS, 0.7 * options[0][1])):
            options.append((widths, steps))
    return options[-1]


def _step_seconds(image_shape: ImageShape, widths: list[int], batch: int) -> float:
    """Estimated seconds a step."""
    first, beyond = _MAC_SECONDS
    work = batch * _nominal_macs(image_shape, widths)
    large = max(work - _SMALL_MACS, 0.0)
    values = max(math.prod(image_shape) - _SMALL_VALUES, 0)
    return _STEP_SECONDS + first * (work - large) + beyond * large + _VALUE_SECONDS * batch * values


def _nominal_macs(image_shape: ImageShape, widths: list[int]) -> float:
    """Approximate MACs of one image in a step: G, and D for a real and a fake image, both passes."""
    channels, height, width = image_shape
    pixels, inputs, total = height * width, channels, 0
    for outputs in widths:
        pixels //= 4
        total += 16 * inputs * outputs * pixels
        inputs = outputs
    return 9.0 * total


def _ema_decay(steps: int) -> float:
    """The EMA decay whose memory is about an eighth of the run."""
    return min(max(1 - 8 / steps, 0.9), 0.9995)


recipe = recipe_for((1, 28, 28), 60_000)

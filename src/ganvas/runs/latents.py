"""Points of a run's latent space: blends of seeds, a plane of seeds, directions with a meaning.

A point is written with seeds only, so that it can be repeated anywhere: `ganvas sample RUN --seed 12` draws
its first image from the z of seed 12, and `ganvas blend RUN 12:0.5,13:0.5` mixes the z of several seeds.

Directions: of each attribute of an image (ink, slant, position, ...) the gradient of its linear regression on
z, with R² on held-out samples; without labels, as GANSpace regresses principal components on z (Härkönen et
al. 2020, arXiv 2004.02546). Principal directions: SeFa, Shen and Zhou 2021, arXiv 2007.06600.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganvas.errors import UserError, did_you_mean
from ganvas.networks.conditioning import append_one_hot
from ganvas.runs.run import Run
from ganvas.training import sampling
from ganvas.utils.images import ImageArray

Blend = Mapping[int, float]
"""Weights of seeds: {12: 0.5, 13: 0.5} is halfway between the first images of seeds 12 and 13."""

PLANE_COLUMNS = 100  # seeds in a row of the plane: the seed at (x, y) is x + 100 y
MAX_DEVIATIONS = 5.0  # standard deviations along a direction: beyond lies nothing that G was trained on
FIT_SAMPLES = 4_096  # images from which directions are fitted, a quarter of them held out
PRINCIPAL = 6  # principal directions
MIN_R2 = 0.05  # an attribute that z explains less of has no direction
_SEED = 0  # of the images from which directions are fitted: a direction is the same everywhere


@dataclass(frozen=True)
class Points:
    """Points of a run's latent space.

    Attributes:
        blends: weights of seeds, one for each point.
        z: float32 [N, Z].
        labels: int64 [N], the class of each; None where the run has none.
        label: the class that was asked for, for all of them; None: each point has that of its heaviest seed.
        truncation: factor on z: below 1, images are more typical and vary less.
        directions: standard deviations to go along directions, by name.
    """

    blends: tuple[Blend, ...]
    z: Tensor
    labels: Tensor | None
    label: int | None = None
    truncation: float = 1.0
    directions: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        run: Run,
        blends: Sequence[Blend],
        *,
        label: int | None = None,
        truncation: float = 1.0,
        directions: Mapping[str, float] | None = None,
        step: int | str | None = None,
    ) -> Points:
        """The points that blends of seeds are.

        A blend is Σ wᵢ zᵢ / √(Σ wᵢ²), which is as long as a z of N(0, 1) is on average; of z from U(-1, 1),
        the weighted mean.

        Raises:
            UserError: no seeds, weights of 0 only, an unknown class or direction.
        """
        if label is not None and not 0 <= label < run.recipe.classes:
            raise UserError(f"label {label}: expected 0 to {run.recipe.classes - 1}")
        if not 0 <= truncation <= 2:
            raise UserError(f"truncation {truncation}: expected 0 to 2")
        latents: dict[int, Tensor] = {}
        classes: dict[int, int] = {}
        rows, labels = [], []
        for blend in blends:
            _check_blend(blend)
            for seed in blend:
                if seed not in latents:
                    inputs = sampling.sample_inputs(
                        run.recipe, 1, seed, frequencies=run.record.class_frequencies
                    )
                    latents[seed] = inputs.z[0, : run.recipe.latent.size]
                    classes[seed] = 0 if inputs.labels is None else int(inputs.labels[0])
            weights = torch.tensor(list(blend.values()))
            uniform = run.recipe.latent.distribution == "uniform"
            scale = weights.abs().sum() if uniform else weights.square().sum().sqrt()
            rows.append(weights @ torch.stack([latents[seed] for seed in blend]) / scale)
            heaviest = max(blend, key=lambda seed: abs(blend[seed]))
            labels.append(classes[heaviest] if label is None else label)
        z = torch.stack(rows) * truncation
        directions = directions or {}
        if any(directions.values()):
            z = z + _offset(find_directions(run, step), directions)
        known = torch.tensor(labels) if run.recipe.classes else None
        return cls(tuple(dict(b) for b in blends), z, known, label, truncation, dict(directions))


def _check_blend(blend: Blend) -> None:
    if not blend or len(blend) > 64:
        raise UserError(f"blend: expected 1 to 64 seeds, got {len(blend)}")
    for seed, weight in blend.items():
        if not 0 <= seed < 2**63:
            raise UserError(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
        if not -1e6 < weight < 1e6:  # NaN is not, either
            raise UserError(f"blend: expected a weight for seed {seed}, got {weight}")
    if not any(blend.values()):
        raise UserError("blend: expected a weight that is not 0")


def plane(x: float, y: float, columns: int, rows: int, spacing: float) -> list[Blend]:
    """Blends of the points of a plane through latent space, row by row.

    The seed at whole numbers (x, y) is x + 100 y, with y taken modulo 100; between them, the four corners are
    mixed bilinearly. Beyond its edges the plane repeats.

    Args:
        x: of the first point.
        y: of the first point.
        columns: of points.
        rows: of points.
        spacing: between neighboring points.
    """
    return [
        _corner_weights(x + column * spacing, y + row * spacing)
        for row in range(rows)
        for column in range(columns)
    ]


def _corner_weights(x: float, y: float) -> Blend:
    left, top = int(np.floor(x)), int(np.floor(y))
    right, below = x - left, y - top
    weights = {
        (left, top): (1 - right) * (1 - below),
        (left + 1, top): right * (1 - below),
        (left, top + 1): (1 - right) * below,
        (left + 1, top + 1): right * below,
    }
    blend: dict[int, float] = {}
    for (column, row), weight in weights.items():
        if weight > 0:
            seed = column % PLANE_COLUMNS + PLANE_COLUMNS * (row % PLANE_COLUMNS)
            blend[seed] = blend.get(seed, 0.0) + weight
    return blend


def render(run: Run, points: Points, step: int | str | None = None) -> ImageArray:
    """The images of the points: uint8 [N, C, H, W], of the checkpoint of `step` (the averaged generator)."""
    z = points.z
    if points.labels is not None:
        z = append_one_hot(z, points.labels, run.recipe.classes)
    return sampling.generate(run.raw_generator(step=step), z, run.recipe.pixel_range)


def shell_command(run: Run, points: Points, step: int) -> str:
    """The command that makes the first image of the points again."""
    words = ["ganvas", "blend", str(run.path), format_blend(points.blends[0]), "--step", str(step)]
    if points.label is not None:
        words += ["--class", run.record.class_names[points.label]]
    if points.truncation != 1:
        words += ["--truncation", f"{points.truncation:g}"]
    for name, amount in points.directions.items():
        if amount:
            words += ["--direction", f"{name}:{amount:g}"]
    return shlex.join([*words, "--out", "image.png"])


def python_call(run: Run, points: Points, step: int) -> str:
    """The line of Python that makes the first image of the points again."""
    blend = {seed: round(weight, 6) for seed, weight in points.blends[0].items()}
    options = [f"step={step}"]
    if points.label is not None:
        options.append(f"class_={run.record.class_names[points.label]!r}")
    if points.truncation != 1:
        options.append(f"truncation={points.truncation:g}")
    directions = {name: amount for name, amount in points.directions.items() if amount}
    if directions:
        options.append(f"directions={directions!r}")
    return f"ganvas.open_run({str(run.path)!r}).blend([{blend!r}], {', '.join(options)})"


def format_blend(blend: Blend) -> str:
    """A blend as the command line takes it: "12:0.5,13:0.5", or "12"."""
    if len(blend) == 1:
        return str(next(iter(blend)))
    return ",".join(f"{seed}:{weight:.6g}" for seed, weight in blend.items())


def parse_blend(text: str) -> dict[int, float]:
    """The blend that "12:0.5,13:0.5" or "12" means.

    Raises:
        UserError: it means none.
    """
    blend: dict[int, float] = {}
    for part in text.split(","):
        seed, colon, weight = part.strip().partition(":")
        try:
            blend[int(seed)] = float(weight) if colon else 1.0
        except ValueError:
            raise UserError(f"blend {text}: expected SEED:WEIGHT,SEED:WEIGHT, as 12:0.5,13:0.5") from None
    return blend


_fitted: WeakKeyDictionary[Run, dict[int, tuple[Direction, ...]]] = WeakKeyDictionary()


def parse_amounts(texts: Sequence[str]) -> dict[str, float]:
    """The amounts that "ink:1.5" and others mean, by name.

    Raises:
        UserError: one means none.
    """
    amounts: dict[str, float] = {}
    for text in texts:
        name, _, amount = text.rpartition(":")
        try:
            amounts[name] = float(amount)
        except ValueError:
            raise UserError(f"direction {text}: expected NAME:AMOUNT, as ink:1.5") from None
    return amounts


@dataclass(frozen=True)
class Direction:
    """A direction in latent space.

    Attributes:
        name: of the attribute that it changes, or "component 1".
        kind: "attribute" or "principal".
        r2: how much of the attribute's variance z explains linearly, on held-out images; None: principal.
        step: float32 [Z], by which z moves for one standard deviation.
    """

    name: str
    kind: str
    r2: float | None
    step: Tensor


def find_directions(run: Run, step: int | str | None = None) -> tuple[Direction, ...]:
    """Directions of the latent space of a run's generator: named ones first, by R², then principal ones."""
    number = run.resolve_step(step)
    fitted = _fitted.setdefault(run, {})
    if number not in fitted:
        fitted.clear()
        fitted[number] = (
            *_attribute_directions(run, number),
            *_principal_directions(run.raw_generator(step=number), run.recipe.latent.size),
        )
    return fitted[number]


def direction_table(run: Run) -> list[str]:
    """A line for each direction of a run's latent space."""
    lines = [
        f"{d.name:<16}" + (f"R² {d.r2:.2f}" if d.r2 is not None else "principal")
        for d in find_directions(run)
    ]
    return lines or ["no directions: the images have no attribute that z explains"]


def _offset(directions: Sequence[Direction], amounts: Mapping[str, float]) -> Tensor:
    """By how much the amounts, in standard deviations, move z: float32 [Z]."""
    known = {direction.name: direction for direction in directions}
    total = torch.zeros(len(directions[0].step) if directions else 0)
    for name, amount in amounts.items():
        if name not in known:
            raise UserError(f"direction {name}: {did_you_mean(name, list(known))}")
        if not -MAX_DEVIATIONS <= amount <= MAX_DEVIATIONS:
            raise UserError(
                f"direction {name}: expected {-MAX_DEVIATIONS:g} to {MAX_DEVIATIONS:g} standard deviations, "
                f"got {amount:g}"
            )
        total = total + amount * known[name].step
    return total


def _attribute_directions(run: Run, step: int) -> list[Direction]:
    """Fit n = E[z (a(G(z)) - E a)] of each attribute a: for z of N(0, 1), its regression on z."""
    inputs = sampling.sample_inputs(run.recipe, FIT_SAMPLES, _SEED, frequencies=run.record.class_frequencies)
    images = sampling.generate(run.raw_generator(step=step), inputs.z, run.recipe.pixel_range)
    z = inputs.z[:, : run.recipe.latent.size].double()
    z = z / z.std()  # uniform z, too, has a variance of 1 then
    fit, held_out = slice(0, 3 * FIT_SAMPLES // 4), slice(3 * FIT_SAMPLES // 4, None)
    directions = []
    for name, measure in _attributes(images).items():
        values = torch.from_numpy(_without_class_means(measure(images), inputs.labels))
        if values.std() < 1e-6:
            continue
        values = (values - values[fit].mean()) / values[fit].std()
        slope = torch.linalg.lstsq(z[fit], values[fit, None]).solution[:, 0]
        error = (values[held_out] - z[held_out] @ slope).square().mean()
        r2 = 1 - float(error / values[held_out].var())
        if r2 >= MIN_R2:
            directions.append(Direction(name, "attribute", r2, (slope / slope.norm()).float()))
    return sorted(directions, key=lambda d: -(d.r2 or 0))


def _without_class_means(values: NDArray[np.float64], labels: Tensor | None) -> NDArray[np.float64]:
    """Values less the mean of their class: a direction changes an image within its class."""
    if labels is None:
        return values
    index = labels.numpy()
    totals, counts = np.bincount(index, values), np.bincount(index)
    result: NDArray[np.float64] = values - (totals / np.maximum(counts, 1))[index]
    return result


Measure = Callable[[ImageArray], NDArray[np.float64]]


def _attributes(images: ImageArray) -> dict[str, Measure]:
    """What is measured of images uint8 [N, C, H, W], by name."""
    shape: dict[str, Measure] = {
        "ink": lambda x: _ink(x).mean((1, 2)),
        "slant": lambda x: _moments(x)[4],
        "width": lambda x: np.sqrt(_moments(x)[2]),
        "height": lambda x: np.sqrt(_moments(x)[3]),
        "x position": lambda x: _moments(x)[0],
        "y position": lambda x: _moments(x)[1],
    }
    if images.shape[1] == 1:
        return shape
    color: dict[str, Measure] = {
        "brightness": lambda x: x.mean((1, 2, 3), dtype=np.float64),
        "red or green": lambda x: (x[:, 0].astype(np.float64) - x[:, 1]).mean((1, 2)),
        "yellow or blue": lambda x: (x[:, :2].mean(1, dtype=np.float64) - x[:, 2]).mean((1, 2)),
        "saturation": lambda x: (x.max(1).astype(np.float64) - x.min(1)).mean((1, 2)),
        "contrast": lambda x: x.std((1, 2, 3), dtype=np.float64),
    }
    return color | {name: shape[name] for name in ("x position", "y position")}


def _ink(images: ImageArray) -> NDArray[np.float64]:
    """How far each pixel is from the background, in 0 to 1: [N, H, W]; background: the edge's median."""
    edge = np.concatenate([images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1]], 2)
    background = np.median(edge, 2)[:, :, None, None]
    result: NDArray[np.float64] = np.abs(images - background).mean(1) / 255
    return result


def _moments(images: ImageArray) -> tuple[NDArray[np.float64], ...]:
    """Of the ink: center x and y, variance x and y, and the slant (covariance over variance y)."""
    ink = _ink(images) + 1e-9
    ink = ink / ink.sum((1, 2), keepdims=True)
    _, height, width = ink.shape
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)[:, None]
    center_x, center_y = (ink * x).sum((1, 2)), (ink * y).sum((1, 2))
    dx, dy = x - center_x[:, None, None], y - center_y[:, None, None]
    variance_x, variance_y = (ink * dx**2).sum((1, 2)), (ink * dy**2).sum((1, 2))
    return center_x, center_y, variance_x, variance_y, -(ink * dx * dy).sum((1, 2)) / (variance_y + 1e-9)


def _principal_directions(generator: nn.Module, latent_size: int) -> list[Direction]:
    """SeFa: eigenvectors of AᵀA, A the first layer's matrix with the batch norm behind it folded in.

    One standard deviation along each changes that layer's output as much as along the others. Generators
    that do not begin with a linear layer have none.
    """
    modules = [m for m in generator.modules() if not list(m.children())]
    weight = getattr(modules[0], "weight", None) if modules else None
    if not isinstance(weight, Tensor) or weight.ndim != 2 or weight.shape[1] < latent_size:
        return []
    matrix = weight.detach()[:, :latent_size].double()
    norm = modules[1] if len(modules) > 1 else None
    if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_var is not None:
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.detach().double()
        if len(scale) == len(matrix):
            matrix = matrix * scale[:, None]
    values, vectors = torch.linalg.eigh(matrix.T @ matrix)  # ascending
    count = min(PRINCIPAL, latent_size)
    values, vectors = values.flip(0)[:count].clamp(min=1e-12), vectors.flip(1)[:, :count]
    steps = vectors * (values[0] / values).sqrt().clamp(max=3)
    signs = torch.where(vectors.sum(0) < 0, -1.0, 1.0)  # of the two directions, always the same
    return [
        Direction(f"component {i + 1}", "principal", None, (steps[:, i] * signs[i]).float())
        for i in range(count)
    ]

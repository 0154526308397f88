"""Points of a line and ticks of an axis: what a chart computes before anything is laid out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple


class Points(NamedTuple):
    """X and y of a line, x in rising order."""

    x: Sequence[float]
    y: Sequence[float]


def subsample_points(points: Points, limit: int = 1000) -> Points:
    """At most `limit` points: both ends, and the lowest and highest point of each stretch between them.

    Extremes are kept, so that no spike disappears, which it would if every n-th point were kept.
    """
    x, y = points
    count = len(x)
    if count <= limit:
        return points
    stretches = (limit - 2) // 2
    kept = {0, count - 1}
    for i in range(stretches):
        part = range(1 + i * (count - 2) // stretches, 1 + (i + 1) * (count - 2) // stretches)
        kept |= {min(part, key=y.__getitem__), max(part, key=y.__getitem__)}
    chosen = sorted(kept)
    return Points([x[i] for i in chosen], [y[i] for i in chosen])


def moving_mean(points: Points, width: int) -> Points:
    """Each point's mean with `width` neighbors on both sides, fewer at the ends.

    At the beginning the window shrinks on both sides, so that fast early changes are not blurred. At the end
    only its right side shrinks: the mean lags, but stays smooth.
    """
    sums = [0.0]
    for value in points.y:
        sums.append(sums[-1] + value)
    count = len(points.y)
    means = []
    for i in range(count):
        first, last = max(0, i - width), min(i + min(width, i), count - 1)
        means.append((sums[last + 1] - sums[first]) / (last + 1 - first))
    return Points(points.x, means)


def interpolate_at(points: Points, x: float) -> float | None:
    """The line's y at `x`, linear between the neighboring points; None outside the line."""
    xs, ys = points
    if not xs or not xs[0] <= x <= xs[-1]:
        return None
    right = next(i for i, value in enumerate(xs) if value >= x)
    if xs[right] == x:
        return ys[right]
    fraction = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + fraction * (ys[right] - ys[right - 1])


def linear_ticks(low: float, high: float, about: int = 5, *, integers: bool = False) -> list[float]:
    """About `about` round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten.

    >>> linear_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    step = _round_step((high - low) / about)
    if integers:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(i * step, min(digits, 20)) + 0.0 for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`, and 2 and 5 times them if that gives at most seven ticks.

    >>> log_ticks(8, 300)
    [10.0, 20.0, 50.0, 100.0, 200.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    coarse = [t for t in fine if math.isclose(math.log10(t), round(math.log10(t)))]
    return fine if len(fine) <= 7 else coarse


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's number, with as many digits as distinguish it from the other ticks."""
    size = max(map(abs, ticks), default=0)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 1e6 and len({f"{tick / 1e6:g}" for tick in ticks}) == len(ticks):
        return f"{value / 1e6:g}M" if value else "0"
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    smallest = min([*gaps, *(abs(t) for t in ticks if t)], default=1)
    digits = max(0, -math.floor(math.log10(smallest) + 1e-9)) if smallest else 0
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if rough <= m * power * 1.1)

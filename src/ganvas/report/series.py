"""A line of measurements, made light enough for a page and calm enough for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Points(NamedTuple):
    """x and y of a line, x in rising order."""

    x: Sequence[float]
    y: Sequence[float]


def thinned(points: Points, most: int = 1000) -> Points:
    """At most `most` points: the ends, and of each stretch between them the lowest and the highest.

    What stands out stays: no spike is lost, which it would be if every n-th point were kept.
    """
    x, y = points
    count = len(x)
    if count <= most:
        return points
    stretches = (most - 2) // 2
    kept = {0, count - 1}
    for i in range(stretches):
        part = range(1 + i * (count - 2) // stretches, 1 + (i + 1) * (count - 2) // stretches)
        kept |= {min(part, key=y.__getitem__), max(part, key=y.__getitem__)}
    chosen = sorted(kept)
    return Points([x[i] for i in chosen], [y[i] for i in chosen])


def moving_mean(points: Points, width: int) -> Points:
    """Each point's mean with its neighbours, `width` of them to both sides; fewer at the ends.

    At the beginning as many to both sides: what changes fast there is not blurred. At the end the mean leans
    back, and stays calm.
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


def between(points: Points, at: float) -> float | None:
    """The line at `at`, on the straight line between the points beside it; None outside of them."""
    x, y = points
    if not x or not x[0] <= at <= x[-1]:
        return None
    right = next(i for i, value in enumerate(x) if value >= at)
    if x[right] == at:
        return y[right]
    share = (at - x[right - 1]) / (x[right] - x[right - 1])
    return y[right - 1] + share * (y[right] - y[right - 1])

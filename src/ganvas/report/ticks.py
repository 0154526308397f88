"""Where an axis has its ticks, and the words beside them."""

from __future__ import annotations

import itertools
import math


def linear(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about so many, steps of 1, 2 or 5 times a power of ten.

    >>> linear(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    step = _round_step((high - low) / about)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(i * step, min(digits, 20)) + 0.0 for i in range(first, last + 1)]


def logarithmic(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; 2 and 5 times them too, where there is room.

    >>> logarithmic(8, 300)
    [10.0, 20.0, 50.0, 100.0, 200.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    coarse = [t for t in fine if math.isclose(math.log10(t), round(math.log10(t)))]
    return fine if len(fine) <= 7 else coarse


def word(value: float, ticks: list[float]) -> str:
    """A tick's number, with the digits that tell it from its neighbours."""
    size = max(map(abs, ticks), default=0)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 1e6:
        return f"{value / 1e6:g}M" if value else "0"
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    smallest = min([*gaps, *(abs(t) for t in ticks if t)], default=1)
    digits = max(0, -math.floor(math.log10(smallest) + 1e-9)) if smallest else 0
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if rough <= m * power * 1.1)

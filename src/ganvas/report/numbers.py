"""Numbers and stretches of time as words for a reader, and numbers out of values that may be anything."""

from __future__ import annotations

import math

LARGEST = 1e30
"""Beyond it a value is damage, no measurement; and differences stay finite below it."""


def number(value: object) -> float | None:
    """`value` as a finite number, or None.

    >>> number(True), number("3"), number(float("nan")), number(3)
    (None, None, None, 3.0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST < value < LARGEST else None  # false for nan


def decimals(value: float) -> int:
    """Digits after the point that suit a number of this size: three or four digits in all."""
    size = abs(value)
    if size == 0 or size >= 100:
        return 0
    return min(6, max(1, 2 - math.floor(math.log10(size)))) if size < 1 else 2 if size < 10 else 1


def number_words(value: float | None) -> str:
    """A number for a table; a dash where there is none.

    >>> number_words(9.1), number_words(0.0123), number_words(12345.6), number_words(None)
    ('9.10', '0.0123', '12,346', '–')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size and (size < 1e-5 or size >= 1e9):
        return f"{value:.2e}"
    return f"{value:,.{decimals(value)}f}".replace("-", "−")


def spread_words(value: float | None, spread: float | None) -> str:
    """A number and how far it scatters: `9.10 ± 0.05`."""
    if value is None or spread is None:
        return number_words(value)
    digits = decimals(value)
    if 0 < spread < 0.5 * 10.0**-digits:  # one digit more rather than a spread of nothing
        digits += 1
    return f"{value:,.{digits}f} ± {spread:,.{digits}f}".replace("-", "−")


def duration_words(seconds: float | None) -> str:
    """A stretch of time: `42 s`, `3:07 min`, `1:02 h`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600:,}:{whole % 3600 // 60:02d} h"

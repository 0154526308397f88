"""Numbers and durations as text."""

from __future__ import annotations

import math


def decimals(value: float) -> int:
    """Digits after the decimal point for a number of this size: three or four significant digits."""
    size = abs(value)
    if size == 0 or size >= 100:
        return 0
    return min(6, max(1, 2 - math.floor(math.log10(size)))) if size < 1 else 2 if size < 10 else 1


def format_number(value: float | None) -> str:
    """A number for a table; a dash for None.

    >>> format_number(9.1), format_number(0.0123), format_number(12345.6), format_number(None)
    ('9.10', '0.0123', '12,346', '–')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size and (size < 1e-5 or size >= 1e9):
        return f"{value:.2e}"
    return f"{value:,.{decimals(value)}f}".replace("-", "−")


def format_with_error(value: float | None, error: float | None) -> str:
    """A number and its standard error or deviation: `9.10 ± 0.05`."""
    if value is None or error is None:
        return format_number(value)
    digits = decimals(value)
    if 0 < error < 0.5 * 10.0**-digits:  # one more digit, so that a small error is not shown as 0
        digits += 1
    return f"{value:,.{digits}f} ± {error:,.{digits}f}".replace("-", "−")


def format_duration(seconds: float | None) -> str:
    """A duration: `42 s`, `3:07 min`, `1:02 h`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600:,}:{whole % 3600 // 60:02d} h"

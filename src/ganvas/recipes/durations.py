"""Durations of training: "200 steps" or "15 epochs"; a plain number counts steps."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_DURATION = re.compile(r"([1-9][0-9]{0,11}) (step|epoch)s?")


def _parse(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12:
        return f"{value} steps" if value > 1 else "1 step"
    if isinstance(value, str) and re.fullmatch("[0-9]{1,12}", value):
        return _parse(int(value))
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("expected a number of steps from 1 to 12 digits, or words like '15 epochs'")
    return value


Duration = Annotated[str, BeforeValidator(_parse)]
"""A duration of training: "200 steps" or "15 epochs"; a plain number counts steps."""


def to_steps(duration: Duration, steps_per_epoch: int) -> int:
    """Number of steps in `duration`.

    >>> to_steps("15 epochs", 235)
    3525
    """
    count, unit = duration.split()
    return int(count) * (steps_per_epoch if unit.startswith("epoch") else 1)

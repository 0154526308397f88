"""A run's scores over time, as its `metrics.jsonl` has them: which step was best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Scored(NamedTuple):
    """A step that was scored while training, and its line's `score`."""

    step: int
    epoch: int
    fid: float
    score: Mapping[str, Any]


def scored(lines: Iterable[Mapping[str, Any]]) -> list[Scored]:
    """The scored steps among a log's lines, oldest first; only those of the last one's protocol."""
    found: list[tuple[Any, Scored]] = []
    for line in lines:
        step, score = line.get("step"), numbers(line.get("score"))
        if isinstance(step, int) and "fid" in score:
            epoch = line.get("epoch")
            entry = Scored(step, epoch if isinstance(epoch, int) else 0, score["fid"], score)
            found.append((line.get("protocol"), entry))
    return [entry for protocol, entry in found if protocol == found[-1][0]]


def numbers(values: object) -> dict[str, float]:
    """The finite numbers of a line that may have been damaged."""
    if not isinstance(values, Mapping):
        return {}
    return {
        str(key): value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def best(scores: Iterable[Scored]) -> Scored | None:
    """The step with the lowest Fréchet distance, the earliest of several; None without scores."""
    return min(scores, key=lambda s: s.fid, default=None)

"""The one reader of what a run has measured: `metrics.jsonl` (while training) and `evaluation.json` (after).

Both are read leniently: a line or a value that is damaged counts as missing.

    history = History.read(directory.metrics)
    history.records      training records: losses, accuracies, seconds
    history.scores       scores taken while training, see `scored_steps` for those of one protocol
    history.health       messages of the health checks
    read_evaluation(directory.evaluation)   the evaluation with the most images, or None
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from ganvas.errors import RunError
from ganvas.utils.io import write_json

Line = dict[str, Any]

EVALUATION_FORMAT = 1


class ScoredStep(NamedTuple):
    """A step that was scored while training, and its line's `score`."""

    step: int
    epoch: int
    fid: float
    score: Mapping[str, Any]


class HealthMessage(NamedTuple):
    """What a health check reported: the step, its kind ("collapse", "worse", ...) and the message."""

    step: int
    kind: str
    message: str


@dataclass(frozen=True)
class History:
    """The lines of `metrics.jsonl`: JSON objects with an integer `step`, in the order of the file."""

    lines: list[Line]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `metrics.jsonl` at `path`; without that file, the history is empty.

        Raises:
            RunError: the file exists and cannot be read.
        """
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return cls([])
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        lines = (parse_line(line) for line in text.splitlines())
        return cls([line for line in lines if line is not None])

    @property
    def records(self) -> list[Line]:
        """The training records: all lines but scores and health messages."""
        return [line for line in self.lines if "score" not in line and "health" not in line]

    @property
    def scores(self) -> list[Line]:
        """The lines of scores, whatever their protocol: `step`, `epoch`, `score`, `protocol`."""
        return [line for line in self.lines if "score" in line]

    @property
    def health(self) -> list[HealthMessage]:
        """The messages of the health checks."""
        return [
            HealthMessage(line["step"], line["health"], line["message"])
            for line in self.lines
            if isinstance(line.get("health"), str) and isinstance(line.get("message"), str)
        ]

    @property
    def scored_steps(self) -> list[ScoredStep]:
        """The scored steps of the last score's protocol, oldest first; see `scored_steps`."""
        return scored_steps(self.lines)


def parse_line(text: str) -> Line | None:
    """Parse one line of `metrics.jsonl`; None if it is damaged, or cut off by a kill."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    step = line.get("step")
    return line if isinstance(step, int) and not isinstance(step, bool) else None


def scored_steps(lines: Iterable[Mapping[str, Any]]) -> list[ScoredStep]:
    """The scored steps among a log's lines, oldest first; only those of the last one's protocol."""
    scored: list[tuple[Any, ScoredStep]] = []
    for line in lines:
        step, score = line.get("step"), finite_numbers(line.get("score"))
        if isinstance(step, int) and "fid" in score:
            epoch = line.get("epoch")
            entry = ScoredStep(step, epoch if isinstance(epoch, int) else 0, score["fid"], score)
            scored.append((line.get("protocol"), entry))
    return [entry for protocol, entry in scored if protocol == scored[-1][0]]


def finite_numbers(values: object) -> dict[str, float]:
    """The finite numbers of a JSON object that may be damaged, by key; booleans are no numbers."""
    if not isinstance(values, Mapping):
        return {}
    return {
        str(key): value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def best_scored_step(scores: Iterable[ScoredStep]) -> ScoredStep | None:
    """The step with the lowest Fréchet distance, the earliest of several; None without scores."""
    return min(scores, key=lambda s: s.fid, default=None)


def read_evaluations(path: Path) -> list[Line]:
    """The evaluations in `evaluation.json` at `path`, newest last; empty if there is none to be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    entries = content.get("evaluations") if isinstance(content, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def read_evaluation(path: Path) -> Line | None:
    """The evaluation of the most images in `evaluation.json`, the newest of equals; None if there is none."""
    newest_first = reversed(read_evaluations(path))
    return max(newest_first, key=_images, default=None)


def add_evaluation(path: Path, evaluation: Mapping[str, Any]) -> None:
    """Append an evaluation (`Evaluation.as_json`) to `evaluation.json`, in place of one of its protocol.

    Raises:
        StorageError: the file cannot be written; the old one is untouched.
    """
    protocol = evaluation.get("protocol")
    others = [entry for entry in read_evaluations(path) if entry.get("protocol") != protocol]
    write_json(path, {"format": EVALUATION_FORMAT, "evaluations": [*others, dict(evaluation)]})


def _images(evaluation: Line) -> float:
    return finite_numbers(evaluation.get("protocol")).get("images", 0)

"""What a run has written of itself, read without trust: a damaged line or value counts as missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ganvas.evaluation import history
from ganvas.report.numbers import number

if TYPE_CHECKING:
    from ganvas.runs.run import Run

LogLine = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """A score taken while training: the values that are numbers, by key."""

    step: int
    values: Mapping[str, float]
    protocol: str


@dataclass(frozen=True)
class HealthMessage:
    """What a health check said while training."""

    step: int
    kind: str
    message: str


@dataclass(frozen=True)
class Records:
    """The lines of `metrics.jsonl`, told apart, in the order of their steps."""

    readings: list[LogLine]
    scores: list[Score]
    health: list[HealthMessage]

    @property
    def seconds(self) -> float | None:
        """Time spent training, as of the last reading."""
        return _last(self.readings, "seconds")

    @property
    def images_seen(self) -> float | None:
        """Images trained on, as of the last reading."""
        return _last(self.readings, "images_seen")


@dataclass(frozen=True)
class Evaluation:
    """`evaluation.json`: the values that are numbers, by key, and what belongs to them."""

    values: Mapping[str, float]
    histogram: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    protocol: Mapping[str, Any] = field(default_factory=dict)
    protocol_text: str = ""
    step: int | None = None


def read_records(run: Run) -> Records:
    """Read `metrics.jsonl`."""
    records = Records([], [], [])
    lines = [line for line in run.history() if 0 <= line["step"] < 2**53]
    for line in sorted(lines, key=lambda line: int(line["step"])):
        if "health" in line:
            if isinstance(line["health"], str) and isinstance(line.get("message"), str):
                records.health.append(HealthMessage(line["step"], line["health"], line["message"]))
        elif "score" in line:
            values = _numbers(line["score"]) if isinstance(line["score"], dict) else {}
            if values:
                records.scores.append(Score(line["step"], values, _text(line.get("protocol"))))
        else:
            records.readings.append(line)
    return records


def read_evaluation(run: Run) -> tuple[Evaluation | None, str]:
    """Read `evaluation.json`; where there is none to be had, the second value says why."""
    path = run.path / "evaluation.json"
    if not path.exists():
        return None, "This run has not been scored yet."
    values = history.read_evaluation(path)
    if values is None:
        return None, "The file evaluation.json cannot be read."
    protocol = values.get("protocol")
    protocol = protocol if isinstance(protocol, dict) else {}
    missing, step = values.get("modes_missing"), number(values.get("step"))
    return Evaluation(
        values=_numbers(values),
        histogram=_frequencies(values.get("modes_histogram")),
        expected=_frequencies(values.get("modes_expected")),
        missing=tuple(map(str, missing)) if isinstance(missing, list) else (),
        protocol={key: value for key, value in protocol.items() if key != "text"},
        protocol_text=_text(protocol.get("text")),
        step=None if step is None else int(step),
    ), ""


def _numbers(values: LogLine) -> dict[str, float]:
    pairs = ((key, number(value)) for key, value in values.items())
    return {key: value for key, value in pairs if value is not None}


def _frequencies(values: object) -> dict[str, float]:
    numbers = _numbers(values) if isinstance(values, dict) else {}
    return {key: min(1.0, max(0.0, value)) for key, value in numbers.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _last(lines: list[LogLine], key: str) -> float | None:
    found = (number(line.get(key)) for line in reversed(lines))
    return next((value for value in found if value is not None), None)

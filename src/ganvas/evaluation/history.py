"""The one reader of what a run has measured: `metrics.jsonl` (while training) and `evaluation.json` (after).

Run directories are passed on, and files are damaged, so nothing in them is believed. What is no number where
one belongs (text, null, a list, NaN, Infinity, a number of `LARGEST` or more) counts as missing, a line
without a step is left out, and text that UTF-8 cannot hold is replaced. What comes from here needs no
further check.

    history = History.read(directory.metrics)
    history.records      training records: losses, accuracies, seconds
    history.scores       scores taken while training; `history.scored_steps`: those of one protocol
    history.health       messages of the health checks
    read_evaluation(directory.evaluation)   the evaluation with the most images, or None
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeGuard

from ganvas.errors import RunError
from ganvas.utils.io import read_regular, write_json

Line = dict[str, Any]

EVALUATION_FORMAT = 1
LARGEST = 1e30
"""Larger numbers are treated as damaged; below it, differences and squares of two values stay finite."""
_LAST_STEP = 2**53  # from there on, a browser's numbers have gaps
_METRICS_BYTES = 2**28  # of metrics.jsonl: some 700,000 records
_LINE_CHARACTERS = 2**20
_EVALUATION_BYTES = 2**24
_DEPTH = 3  # of the objects in an evaluation
_NO_NUMBERS = ("score", "protocol", "health", "message", "stopped")  # keys of a line


class ScoredStep(NamedTuple):
    """A step that was scored while training: the scores that are numbers, by key, and their protocol."""

    step: int
    epoch: int
    score: Mapping[str, float]
    protocol: str

    @property
    def fid(self) -> float:
        """The Fréchet distance; `scored_steps` gives only steps that have one."""
        return self.score["fid"]


class HealthMessage(NamedTuple):
    """What a health check reported: the step, its kind ("collapse", "worse", ...) and the message."""

    step: int
    kind: str
    message: str


@dataclass(frozen=True)
class History:
    """The lines of `metrics.jsonl`, as `parse_line` gives them, in the order of their steps."""

    lines: list[Line]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `metrics.jsonl` at `path`; see `read_log`."""
        lines = map(parse_line, read_log(path))
        return cls(sorted((line for line in lines if line is not None), key=lambda line: int(line["step"])))

    @property
    def records(self) -> list[Line]:
        """The training records: all lines but scores, health messages and stops."""
        return [line for line in self.lines if not line.keys() & {"score", "health", "stopped"}]

    @property
    def scores(self) -> list[ScoredStep]:
        """All scores, whatever their protocol and whichever numbers they have."""
        return [_scored_step(line) for line in self.lines if line.get("score")]

    @property
    def scored_steps(self) -> list[ScoredStep]:
        """The scored steps of the last score's protocol, oldest first; see `scored_steps`."""
        return scored_steps(self.lines)

    @property
    def health(self) -> list[HealthMessage]:
        """The messages of the health checks."""
        return [
            HealthMessage(line["step"], line["health"], line["message"])
            for line in self.lines
            if "health" in line
        ]

    @property
    def stopped(self) -> str:
        """What stopped the run before its end ("Ctrl-C", "SIGTERM", ...); "" unless it is logged last."""
        reason: str = self.lines[-1].get("stopped", "") if self.lines else ""
        return reason

    def last(self, key: str) -> float | None:
        """The value of `key` in the last record that has one, as of "seconds" or "images_seen"."""
        values = (line[key] for line in reversed(self.records) if key in line)
        return next(values, None)


def read_log(path: Path) -> list[str]:
    """The text of each line of `metrics.jsonl` at `path`; without that file, there is none.

    Raises:
        RunError: the file exists and cannot be read, is no regular file, or is too large.
    """
    try:
        content = read_regular(path, limit=_METRICS_BYTES, follow_links=False)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from None
    return content.decode("utf-8", "replace").split("\n")


def parse_line(text: str) -> Line | None:
    """Parse one line of `metrics.jsonl`; None if it is damaged, or cut off by a kill.

    Returns:
        `step` (0 to 2^53) and other numbers by key; of a score also `score` (numbers by key) and `protocol`
        (text); of a health check also `health` and `message` (text); of a stop also `stopped` (text). What
        else is in the line is left out.
    """
    try:
        raw = json.loads(text) if len(text) <= _LINE_CHARACTERS else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not _is_step(raw.get("step")):
        return None
    line: Line = {key: value for key, value in finite_numbers(raw).items() if key not in _NO_NUMBERS}
    if "score" in raw:
        if not isinstance(raw["score"], dict):
            return None
        return line | {"score": finite_numbers(raw["score"]), "protocol": _text(raw.get("protocol"))}
    texts = ("health", "message") if "health" in raw else ("stopped",) if "stopped" in raw else ()
    if not all(isinstance(raw.get(key), str) for key in texts):
        return None
    return line | {key: _text(raw[key]) for key in texts}


def scored_steps(lines: Iterable[Mapping[str, Any]]) -> list[ScoredStep]:
    """Those of a log's lines that score a step and have a Fréchet distance, of the last one's protocol."""
    scored = [_scored_step(line) for line in lines if _is_step(line.get("step"))]
    scored = [entry for entry in scored if "fid" in entry.score]
    return [entry for entry in scored if entry.protocol == scored[-1].protocol]


def best_scored_step(scores: Iterable[ScoredStep]) -> ScoredStep | None:
    """The step with the lowest Fréchet distance, the earliest of several; None without scores."""
    return min(scores, key=lambda s: s.fid, default=None)


def number(value: object) -> float | None:
    """`value` as it is if it is a finite number below `LARGEST`, else None; booleans are no numbers.

    >>> number(True), number("3"), number(float("nan")), number(10**400), number(3)
    (None, None, None, None, 3)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST < value < LARGEST else None  # false for nan


def finite_numbers(values: object) -> dict[str, float]:
    """The numbers (see `number`) of a JSON object that may be damaged, by key."""
    if not isinstance(values, Mapping):
        return {}
    pairs = ((key, number(value)) for key, value in values.items())
    return {_text(key): value for key, value in pairs if value is not None}


@dataclass(frozen=True)
class SavedEvaluation:
    """An entry of `evaluation.json`.

    Attributes:
        values: the numbers, by key: `fid`, `fid_stderr`, `fid_baseline`, ...
        histogram: the fraction of each class among the generated images, 0 to 1, by name.
        expected: the same among the real images.
        missing: the names of the missing classes.
        protocol: how the scores were taken, without the text.
        protocol_text: the same in words.
        step: the checkpoint that was scored, where it is known.
    """

    values: Mapping[str, float]
    histogram: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    protocol: Mapping[str, Any] = field(default_factory=dict)
    protocol_text: str = ""
    step: int | None = None

    @classmethod
    def read(cls, path: Path) -> tuple[Self | None, str]:
        """Read the evaluation with the most images; where there is none, the second value says why."""
        values = read_evaluation(path)
        if values is None:
            if path.exists() or path.is_symlink():
                return None, "The file evaluation.json cannot be read."
            return None, "This run has not been scored yet."
        protocol = values.get("protocol")
        protocol = protocol if isinstance(protocol, dict) else {}
        missing, step = values.get("modes_missing"), values.get("step")
        return cls(
            values=finite_numbers(values),
            histogram=_frequencies(values.get("modes_histogram")),
            expected=_frequencies(values.get("modes_expected")),
            missing=tuple(x for x in missing if isinstance(x, str)) if isinstance(missing, list) else (),
            protocol={key: value for key, value in protocol.items() if key != "text"},
            protocol_text=_text(protocol.get("text")),
            step=step if _is_step(step) else None,
        ), ""


def read_evaluations(path: Path) -> list[Line]:
    """The evaluations in `evaluation.json` at `path`, newest last; empty if there is none to be read.

    Numbers and text in them are as `number` and UTF-8 allow; which key has which is not checked.
    """
    try:
        content = json.loads(read_regular(path, limit=_EVALUATION_BYTES, follow_links=False))
    except (OSError, ValueError, RecursionError):
        return []
    entries = content.get("evaluations") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return []
    return [_cleaned(entry, _DEPTH) for entry in entries if isinstance(entry, dict)]


def read_evaluation(path: Path) -> Line | None:
    """The evaluation of the most images in `evaluation.json`, the newest of equals; None if there is none."""
    newest_first = reversed(read_evaluations(path))
    return max(newest_first, key=_images, default=None)


def add_evaluation(path: Path, evaluation: Mapping[str, Any]) -> None:
    """Append an evaluation (`Evaluation.as_json`) to `evaluation.json`, in place of one of its protocol.

    Raises:
        StorageError: the file cannot be written; the old one is untouched.
    """
    protocol = _cleaned(evaluation.get("protocol"), _DEPTH - 1)
    with _locked(path.parent):  # two evaluations that end at the same time are both kept
        others = [entry for entry in read_evaluations(path) if entry.get("protocol") != protocol]
        write_json(path, {"format": EVALUATION_FORMAT, "evaluations": [*others, dict(evaluation)]})


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder itself, so that no file stays behind; not on Windows, or where that is not possible."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no such folder, or a file system without locks
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _images(evaluation: Line) -> float:
    return finite_numbers(evaluation.get("protocol")).get("images", 0)


def _scored_step(line: Mapping[str, Any]) -> ScoredStep:
    epoch = line.get("epoch")
    score, protocol = finite_numbers(line.get("score")), _text(line.get("protocol"))
    return ScoredStep(line["step"], epoch if _is_step(epoch) else 0, score, protocol)


def _is_step(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LAST_STEP


def _frequencies(values: object) -> dict[str, float]:
    return {key: min(1.0, max(0.0, value)) for key, value in finite_numbers(values).items()}


def _text(value: object) -> str:
    """Text, with a question mark for what UTF-8 cannot hold (half a surrogate pair); "" if it is none."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _cleaned(value: Any, depth: int) -> Any:
    """A JSON value without the numbers, the text and the depth that its reader could not take; else None."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict) and depth:
        pairs = ((_text(key), _cleaned(entry, depth - 1)) for key, entry in value.items())
        return {key: entry for key, entry in pairs if entry is not None}
    if isinstance(value, list) and depth:
        return [entry for entry in (_cleaned(entry, depth - 1) for entry in value) if entry is not None]
    return value if isinstance(value, bool) else number(value)

"""The scores of a run beside those of real images, and the health messages of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganvas.evaluation import metric_info
from ganvas.evaluation.history import HealthMessage, History, SavedEvaluation
from ganvas.evaluation.metric_info import metric_infos
from ganvas.report.numbers import format_number, format_with_error

_TILES = ("fid", "precision", "recall", "modes")
_LEVELS = {"collapse": "warn", "copying": "warn", "worse": "warn"}
_ARROWS = {"lower": "↓", "higher": "↑", "nearer 0": "→"}
_TITLES = {
    "collapse": "Collapse",
    "discriminator": "Discriminator",
    "worse": "Getting worse",
    "copying": "Copying",
}


def score_table(
    evaluation: SavedEvaluation | None, why: str, history: History, step: int, command: str
) -> dict[str, Any]:
    """Tiles, table rows and notes.

    Args:
        evaluation: the final scores, if there are any.
        why: why there are none.
        history: the last score of training is used where there is no evaluation; and the health messages.
        step: the newest checkpoint's step.
        command: the command that evaluates the run.
    """
    view: dict[str, Any] = {
        "reason": "", "command": command, "outdated": "", "newest_command": f"{command} --step {step}",
        "health": health_rows(history.health),
    }  # fmt: skip
    values: Mapping[str, float] = {}
    notes: list[str] = []
    if evaluation is not None and _has_scores(evaluation.values):
        values, scored = evaluation.values, evaluation.step
        notes = [
            f"Real data: {metric_info.BASELINE_MEANING}. After ±: the standard error of the measurement."
        ]
        if evaluation.protocol_text:
            where = f" Scored at step {scored:,}." if scored is not None else ""
            notes.append(f"Measured with {evaluation.protocol_text}.{where}")
        if scored is not None and scored != step:
            view["outdated"] = (
                f"This is the score of step {scored:,}: the best one during training, or the one requested. "
                f"The newest checkpoint is at step {step:,}."
            )
    elif history.scores and _has_scores(history.scores[-1].score):
        last = history.scores[-1]
        values = last.score
        notes = [f"Measured with {last.protocol}."] if last.protocol else []
        view["reason"] = (
            f"{why} Below is the last score computed during training, at step {last.step:,}, without "
            "real-data baselines."
        )
    else:
        line = why or "The last evaluation holds no scores."
        view["reason"] = f"{line} So nothing is known yet about the quality of its images."
    return view | {"tiles": _tiles(values), "rows": _rows(values), "notes": notes}


def health_rows(messages: Sequence[HealthMessage]) -> list[dict[str, str]]:
    """The last message of each kind, and how many times there was one."""
    rows = []
    for kind, message in {message.kind: message for message in messages}.items():
        times = sum(other.kind == kind for other in messages)
        rows.append(
            {
                "level": _LEVELS.get(kind, "advice"),
                "title": _TITLES.get(kind, "Health"),
                "message": message.message,
                "when": f"during training, at step {message.step:,}"
                + (f", the last of {times} times" if times > 1 else ""),
            }
        )
    return rows


def format_score(values: Mapping[str, float], key: str, *, error: bool = True) -> str:
    """A score, with its standard error if `error`; for modes, how many of how many."""
    if key == "modes":
        return format_modes(values.get("modes"), values.get("modes_total"))
    return format_with_error(values.get(key), values.get(f"{key}_stderr") if error else None)


def format_modes(modes: float | None, total: float | None) -> str:
    """`9 of 10`; a mean over runs may be 9.5."""
    if modes is None:
        return "–"
    return f"{modes:g} of {total:g}" if total else f"{modes:g}"


def _has_scores(values: Mapping[str, float]) -> bool:
    return any(metric.key in values for metric in metric_infos())


def _baseline(values: Mapping[str, float], key: str) -> str:
    baseline = values.get(f"{key}_baseline")
    if key == "modes":
        return format_modes(baseline, values.get("modes_total"))
    return format_number(baseline)


def _tiles(values: Mapping[str, float]) -> list[dict[str, str]]:
    tiles = []
    for metric in metric_infos():
        if metric.key not in _TILES or metric.key not in values:
            continue
        value = format_score(values, metric.key, error=False)
        baseline = _baseline(values, metric.key)
        note = f"real data {baseline}" if baseline != "–" else f"{metric.better} is better"
        tiles.append({"title": metric.title, "value": value, "note": note})
    return tiles


def _rows(values: Mapping[str, float]) -> list[dict[str, str]]:
    return [
        {
            "title": metric.title,
            "value": format_score(values, metric.key),
            "baseline": _baseline(values, metric.key),
            "better": f"{_ARROWS[metric.better]} {metric.better}",
            "meaning": metric.meaning,
        }
        for metric in metric_infos()
        if metric.key in values
    ]

"""The page of a comparison: the table, the FID curves in one chart, the last grids side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.evaluation import metric_info
from ganvas.evaluation.metric_info import COMPARED, METRICS
from ganvas.report import frames
from ganvas.report.charts import Chart, Line, draw_all
from ganvas.report.comparison_table import format_mean
from ganvas.report.numbers import format_duration, format_number
from ganvas.report.run_charts import ChartSection
from ganvas.report.score_table import format_score
from ganvas.report.templating import render_page
from ganvas.utils.io import write_bytes

if TYPE_CHECKING:
    from ganvas.report.comparison import Comparison, Group, Row

_METRICS = {metric.key: metric for metric in METRICS}


def comparison_page(comparison: Comparison, out: str | Path) -> Path:
    """Write the page, one self-contained HTML file, and return its path.

    Raises:
        StorageError: the disk is full or not writable.
    """
    path = Path(out).expanduser()
    rows = comparison.rows
    names = short_names([row.path for row in rows])
    labels = dict(zip((row.path for row in rows), names, strict=True))
    middle = [_metric_head(key) for key in COMPARED]
    run_heads = [_head("Run"), _head("Recipe"), _head("Data"), _head("Seed", "number")]
    page = render_page(
        "comparison.html",
        ("chart.js", "table.js"),
        count=len(rows),
        heads=[*run_heads, _head("Steps", "number"), *middle, _head("Images seen", "number"),
               _head("Time", "number")],
        rows=[_run(row, labels[row.path]) for row in rows],
        notes=_notes(comparison),
        unscored=[(labels[row.path], row.command) for row in comparison.unscored],
        mean_heads=[_head("Runs"), _head("Recipe"), _head("Data"), _head("Seeds", "number"), *middle,
                    _head("Time", "number")],
        means=[_mean(group, labels) for group in comparison.groups if len(group.rows) > 1],
        curves=_curves(rows, names),
        grids=_grids(rows, names),
    )  # fmt: skip
    write_bytes(path, page)
    return path


def short_names(paths: Sequence[Path]) -> list[str]:
    """The paths without the folders that all of them share."""
    if len(paths) == 1:
        return [paths[0].resolve().name]
    absolute = [str(path.resolve()) for path in paths]
    common = Path(os.path.commonpath(absolute))
    return [str(Path(path).relative_to(common)) if Path(path) != common else common.name for path in absolute]


def _notes(comparison: Comparison) -> list[str]:
    notes = [f"Measured with {comparison.protocol}."] if comparison.protocol else []
    scores = [row.scores for row in comparison.rows if row.scores and "fid_baseline" in row.scores]
    if scores:
        baseline = format_number(scores[0]["fid_baseline"])
        notes.append(
            f"Real-data FID {baseline}: {metric_info.BASELINE_MEANING}. "
            "After ±: the standard error of the measurement."
        )
    return notes


def _run(row: Row, name: str) -> dict[str, Any]:
    scores = row.scores or {}
    images = "–" if row.images_seen is None else f"{row.images_seen:,.0f}"
    cells = [
        _cell(row.recipe, row.recipe),
        _cell(row.data, row.data),
        _cell(str(row.seed), row.seed, "number"),
        _cell(f"{row.steps:,}", row.steps, "number"),
        *(_cell(format_score(scores, key), scores.get(key), "number") for key in COMPARED),
        _cell(images, row.images_seen, "number"),
        _cell(format_duration(row.seconds), row.seconds, "number"),
    ]
    return {"name": name, "title": str(row.path), "cells": cells}


def _mean(group: Group, labels: dict[Path, str]) -> dict[str, Any]:
    first = group.rows[0]
    names = ", ".join(labels[row.path] for row in group.rows)
    scored = sum(row.scores is not None for row in group.rows)
    seeds = str(len(group.rows)) + (f", {scored} scored" if scored < len(group.rows) else "")
    means = {key: mean.mean for key, mean in group.means.items()}
    cells = [
        _cell(first.recipe, first.recipe),
        _cell(first.data, first.data),
        _cell(seeds, len(group.rows), "number"),
        *(_cell(format_mean(group, key), means.get(key), "number") for key in COMPARED),
        _cell(format_duration(means.get("seconds")), means.get("seconds"), "number"),
    ]
    return {"name": names, "title": names, "cells": cells}


def _curves(rows: Sequence[Row], names: Sequence[str]) -> ChartSection:
    scored = [(row, name) for row, name in zip(rows, names, strict=True) if row.by_images.x]
    if not scored:
        return ChartSection(reason="None of these runs was scored while it trained.")
    protocols = list(dict.fromkeys(row.score_protocol for row, _ in scored))
    if len(protocols) > 1:
        listed = "; ".join(text or "an unnamed protocol" for text in protocols)
        return ChartSection(
            reason="These runs were scored with different protocols during training, so that their curves "
            f"are not comparable: {listed}."
        )
    explanation = "Lower is better; a line that gets there further to the left needed less."
    by_time = [Line(name, row.by_seconds) for row, name in scored]
    by_images = [Line(name, row.by_images) for row, name in scored]
    charts = [
        Chart("FID by time", explanation, by_time, x_label="seconds"),
        Chart("FID by images seen", explanation, by_images, x_label="images seen"),
    ]
    notes = [f"Measured with {protocols[0]}."] if protocols[0] else []
    return ChartSection(draw_all(charts), notes=notes)


def _grids(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, str]]:
    budget = frames.MAX_BYTES // len(rows)
    grids = []
    for row, name in zip(rows, names, strict=True):
        frame = frames.read(row.grid) if row.grid else None
        if frame is None:
            grids.append({"name": name, "uri": "", "caption": ""})
            continue
        caption = f", {row.recipe}, seed {row.seed}, step {frame.step:,}"
        grids.append({"name": name, "uri": frames.shrink(frame, budget).uri, "caption": caption})
    return grids


def _head(title: str, kind: str = "", first: str = "", meaning: str = "") -> dict[str, str]:
    return {"title": title, "kind": kind, "first": first, "meaning": meaning}


def _metric_head(key: str) -> dict[str, str]:
    """A first click sorts the best run to the top."""
    metric = _METRICS[key]
    first = "ascending" if metric.better == "lower" else "descending"
    return _head(metric.title, "number", first, f"{metric.better} is better: {metric.meaning}")


def _cell(text: str, value: str | float | None, kind: str = "") -> dict[str, Any]:
    mean, _, error = text.partition(" ± ")
    return {"text": mean, "error": error, "value": "" if value is None else value, "kind": kind}

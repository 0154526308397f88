"""A comparison as a page (table, FID curves, last grids), as a table for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganvas.errors import printable, shorten
from ganvas.evaluation import metric_info
from ganvas.evaluation.metric_info import COMPARED, METRICS, MetricInfo
from ganvas.report import frames
from ganvas.report.charts import Chart, Line, draw_all
from ganvas.report.numbers import format_duration, format_number, format_with_error
from ganvas.report.run_charts import ChartSection
from ganvas.report.score_table import format_modes, format_score
from ganvas.report.templating import render_page
from ganvas.utils.io import write_bytes

if TYPE_CHECKING:
    from ganvas.report.comparison import Comparison, Group, Row

_TEXT_COLUMNS = 3  # the first columns of the terminal's table are text, aligned left
_CELL_LETTERS = 300  # of a cell there: a path may be long, a data set's name of a megabyte is not wanted
_NO_SCORES = ("step", "seconds")  # numbers of an evaluation that are not scores


def comparison_page(comparison: Comparison, out: str | Path) -> Path:
    """Write the page, one self-contained HTML file, and return its path.

    Raises:
        StorageError: the disk is full or not writable.
    """
    path = Path(out).expanduser()
    rows = comparison.rows
    names = short_names([row.path for row in rows])
    labels = dict(zip((row.path for row in rows), names, strict=True))
    keys = [metric.key for metric in comparison.metrics]
    middle = [_metric_head(metric) for metric in comparison.metrics]
    run_heads = [_head("Run"), _head("Recipe"), _head("Data"), _head("Seed", "number")]
    page = render_page(
        "comparison.html",
        ("chart.js", "table.js"),
        count=len(rows),
        heads=[*run_heads, _head("Steps", "number"), *middle, _head("Images seen", "number"),
               _head("Time", "number")],
        rows=[_run(row, keys, labels[row.path]) for row in rows],
        notes=_notes(comparison),
        unscored=[(labels[row.path], row.command) for row in comparison.unscored],
        mean_heads=[_head("Runs"), _head("Recipe"), _head("Data"), _head("Seeds", "number"), *middle,
                    _head("Time", "number")],
        means=[_mean(group, keys, labels) for group in comparison.groups if len(group.rows) > 1],
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


def _run(row: Row, keys: Sequence[str], name: str) -> dict[str, Any]:
    scores = row.scores or {}
    images = "–" if row.images_seen is None else f"{row.images_seen:,.0f}"
    cells = [
        _cell(row.recipe, row.recipe),
        _cell(row.data, row.data),
        _cell(str(row.seed), row.seed, "number"),
        _cell(f"{row.steps:,}", row.steps, "number"),
        *(_cell(format_score(scores, key), scores.get(key), "number") for key in keys),
        _cell(images, row.images_seen, "number"),
        _cell(format_duration(row.seconds), row.seconds, "number"),
    ]
    return {"name": name, "title": str(row.path), "cells": cells}


def _mean(group: Group, keys: Sequence[str], labels: dict[Path, str]) -> dict[str, Any]:
    first = group.rows[0]
    names = ", ".join(labels[row.path] for row in group.rows)
    scored = sum(row.scores is not None for row in group.rows)
    seeds = str(len(group.rows)) + (f", {scored} scored" if scored < len(group.rows) else "")
    means = {key: mean.mean for key, mean in group.means.items()}
    cells = [
        _cell(first.recipe, first.recipe),
        _cell(first.data, first.data),
        _cell(seeds, len(group.rows), "number"),
        *(_cell(format_mean(group, key), means.get(key), "number") for key in keys),
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


def _metric_head(metric: MetricInfo) -> dict[str, str]:
    """A first click sorts the best run to the top."""
    first = "ascending" if metric.better == "lower" else "descending"
    return _head(metric.title, "number", first, f"{metric.better} is better: {metric.meaning}")


def _cell(text: str, value: str | float | None, kind: str = "") -> dict[str, Any]:
    mean, _, error = text.partition(" ± ")
    return {"text": mean, "error": error, "value": "" if value is None else value, "kind": kind}


def table_lines(comparison: Comparison) -> list[str]:
    """An aligned table, one line for each run and each mean, followed by notes.

    Of the built-in metrics it has those of `COMPARED`: all of them would not fit a terminal.
    """
    built_in = {metric.key for metric in METRICS}
    metrics = [m for m in comparison.metrics if m.key in COMPARED or m.key not in built_in]
    keys = [metric.key for metric in metrics]
    titles = ["FID (real data)" if metric.key == "fid" else metric.title for metric in metrics]
    rows = [["run", "recipe", "data", "seed", "steps", *titles, "time"]]
    for group in comparison.groups:
        rows += [_run_line(row, keys) for row in group.rows]
        if len(group.rows) > 1:
            rows += [_mean_line(group, keys), _deviation_line(group, keys)]
    lines = _aligned([[printable(shorten(cell, _CELL_LETTERS)) for cell in row] for row in rows])
    if comparison.protocol:
        lines.append(f"scores: {printable(shorten(comparison.protocol, _CELL_LETTERS))}")
    if any(len(group.rows) > 1 for group in comparison.groups):
        lines.append("mean and standard deviation are over the seeds of runs that are otherwise the same")
    return lines + [f"no scores yet: {printable(row.command)}" for row in comparison.unscored]


def csv_bytes(comparison: Comparison) -> bytes:
    """One row for each run: path, recipe, data, seed, steps, seconds, images_seen, and all its scores.

    Each score is followed by its standard error and its real-data baseline, where a run has them. The text is
    UTF-8; bytes of a path that are not stay as they are, so that the path can still be opened.
    """
    keys = _csv_keys(comparison)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["path", "recipe", "data", "seed", "steps", "seconds", "images_seen", *keys])
    for row in comparison.rows:
        scores = row.scores or {}
        names = (_no_formula(row.recipe), _no_formula(row.data))
        facts = [str(row.path), *names, row.seed, row.steps, row.seconds, row.images_seen]
        writer.writerow([*facts, *(scores.get(key) for key in keys)])
    text = re.sub("[\ud800-\udc7f\udd00-\udfff]", "?", buffer.getvalue())  # halves of pairs: not from a path
    return text.encode("utf-8", "surrogateescape")


def _no_formula(name: str) -> str:
    """A name from a run, quoted where a spreadsheet would take it for a formula and run it."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _csv_keys(comparison: Comparison) -> list[str]:
    """The keys of all scores: metric by metric, then what no metric known here explains."""
    stored = dict.fromkeys(key for row in comparison.rows for key in row.scores or {})
    first = [
        metric.key + suffix
        for metric in comparison.metrics
        for suffix in ("", "_stderr", "_baseline", "_total")
    ]
    ordered = dict.fromkeys([*(key for key in first if key in stored), *stored])
    return [key for key in ordered if key not in _NO_SCORES]


def format_mean(group: Group, key: str) -> str:
    """Mean and standard deviation of a score over the seeds, or a dash."""
    value = group.means.get(key)
    if value is None:
        return "–"
    if key == "modes":
        total = group.means.get("modes_total")
        return format_modes(round(value.mean, 2), None if total is None else total.mean)
    return format_with_error(value.mean, value.deviation)


def _aligned(rows: list[list[str]]) -> list[str]:
    """The lines of a table whose first row is its head; rich knows the width of wide characters."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for i, head in enumerate(rows[0]):
        table.add_column(Text(head), justify="left" if i < _TEXT_COLUMNS else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(file=io.StringIO(), width=100_000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _run_line(row: Row, keys: Sequence[str]) -> list[str]:
    scores = row.scores or {}
    cells = [format_score(scores, key, error=False) for key in keys]
    facts = [str(row.path), row.recipe, row.data, str(row.seed), f"{row.steps:,}"]
    return [*facts, *_with_baseline(cells, keys, scores.get("fid_baseline")), format_duration(row.seconds)]


def _mean_line(group: Group, keys: Sequence[str]) -> list[str]:
    rows, means = group.rows, {key: mean.mean for key, mean in group.means.items()}
    scored = sum(row.scores is not None for row in rows)
    name = f"  mean of {len(rows)}" + (f" ({scored} scored)" if scored < len(rows) else "")
    cells = [format_mean(group, key).partition(" ± ")[0] for key in keys]
    cells = _with_baseline(cells, keys, means.get("fid_baseline"))
    return [name, "", "", "", "", *cells, format_duration(means.get("seconds"))]


def _with_baseline(cells: Sequence[str], keys: Sequence[str], baseline: float | None) -> list[str]:
    """The cells, with the real-data FID in parentheses behind the FID."""
    if baseline is None:
        return list(cells)
    behind = f" ({format_number(baseline)})"
    return [cell + behind if key == "fid" else cell for key, cell in zip(keys, cells, strict=True)]


def _deviation_line(group: Group, keys: Sequence[str]) -> list[str]:
    deviations = [format_mean(group, key).partition(" ± ")[2] for key in keys]
    return ["  standard deviation", "", "", "", "", *(f"± {d}" if d else "" for d in deviations), ""]

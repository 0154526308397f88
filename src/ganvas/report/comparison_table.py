"""A comparison as a table for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganvas.evaluation.metric_info import COMPARED
from ganvas.report.numbers import format_duration, format_number, format_with_error
from ganvas.report.score_table import format_modes

if TYPE_CHECKING:
    from ganvas.report.comparison import Comparison, Group, Row

_HEADS = ("run", "recipe", "data", "seed", "steps", "FID (real data)", "KID", "precision", "recall",
          "density", "coverage", "modes", "time")  # fmt: skip
_TEXT_COLUMNS = 3  # the first columns are text, aligned left


def table_lines(comparison: Comparison) -> list[str]:
    """An aligned table, one line for each run and each mean, followed by notes."""
    rows = []
    for group in comparison.groups:
        rows += [_run(row) for row in group.rows]
        if len(group.rows) > 1:
            rows += [_mean(group), _deviation(group)]
    lines = _aligned([[_visible(cell) for cell in row] for row in rows])
    if comparison.protocol:
        lines.append(f"scores: {_visible(comparison.protocol)}")
    if any(len(group.rows) > 1 for group in comparison.groups):
        lines.append("mean and standard deviation are over the seeds of runs that are otherwise the same")
    return lines + [f"no scores yet: {_visible(row.command)}" for row in comparison.unscored]


def csv_text(comparison: Comparison) -> str:
    """One row for each run: path, recipe, data, seed, steps, seconds, images_seen, and all its scores."""
    keys = list(dict.fromkeys(key for row in comparison.rows for key in row.scores or {} if key != "step"))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["path", "recipe", "data", "seed", "steps", "seconds", "images_seen", *keys])
    for row in comparison.rows:
        scores = row.scores or {}
        facts = [str(row.path), row.recipe, row.data, row.seed, row.steps, row.seconds, row.images_seen]
        writer.writerow([*facts, *(scores.get(key) for key in keys)])
    return buffer.getvalue()


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
    """The lines of the table; rich knows the width of wide characters."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for i, head in enumerate(_HEADS):
        table.add_column(head, justify="left" if i < _TEXT_COLUMNS else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(file=io.StringIO(), width=100_000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _run(row: Row) -> list[str]:
    scores = row.scores or {}
    fid = format_number(scores.get("fid"))
    if "fid_baseline" in scores:
        fid += f" ({format_number(scores['fid_baseline'])})"
    middle = [format_number(scores.get(key)) for key in COMPARED[1:-1]]
    modes = format_modes(scores.get("modes"), scores.get("modes_total"))
    facts = [str(row.path), row.recipe, row.data, str(row.seed), f"{row.steps:,}"]
    return [*facts, fid, *middle, modes, format_duration(row.seconds)]


def _mean(group: Group) -> list[str]:
    rows, means = group.rows, group.means
    scored = sum(row.scores is not None for row in rows)
    name = f"  mean of {len(rows)}" + (f" ({scored} scored)" if scored < len(rows) else "")
    fid = format_mean(group, "fid").partition(" ± ")[0]
    if "fid_baseline" in means and "fid" in means:
        fid += f" ({format_number(means['fid_baseline'].mean)})"
    seconds = means["seconds"].mean if "seconds" in means else None
    middle = [format_mean(group, key).partition(" ± ")[0] for key in COMPARED[1:]]
    return [name, "", "", "", "", fid, *middle, format_duration(seconds)]


def _deviation(group: Group) -> list[str]:
    deviations = [format_mean(group, key).partition(" ± ")[2] for key in COMPARED]
    return ["  standard deviation", "", "", "", "", *(f"± {d}" if d else "" for d in deviations), ""]


def _visible(text: str) -> str:
    """`text` with a question mark for each character that could break the table or the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)

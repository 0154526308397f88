"""A comparison as lines for a terminal."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from ganvas.report.meanings import COMPARED
from ganvas.report.numbers import duration_words, number_words, spread_words
from ganvas.report.verdict import modes_words

if TYPE_CHECKING:
    from ganvas.report.compare import Comparison, Group, Row

_HEADS = ("run", "recipe", "data", "seed", "steps", "FID (floor)", "KID", "precision", "recall", "density",
          "coverage", "modes", "time")  # fmt: skip
_WORDS = 3  # the first columns are words, laid to the left


def lines(comparison: Comparison) -> list[str]:
    """An aligned table, a line for each run and each mean, and what is to be said of it."""
    table = [list(_HEADS)]
    for group in comparison.groups:
        table += [_run(row) for row in group.rows]
        if len(group.rows) > 1:
            table += [_mean(group), _deviation(group)]
    table = [["".join(map(_visible, cell)) for cell in row] for row in table]
    widths = [max(_width(row[i]) for row in table) for i in range(len(_HEADS))]
    found = ["  ".join(_padded(cell, widths[i], i < _WORDS) for i, cell in enumerate(row)) for row in table]
    found = [line.rstrip() for line in found]
    if comparison.protocol:
        found.append(f"scores: {''.join(map(_visible, comparison.protocol))}")
    if any(len(group.rows) > 1 for group in comparison.groups):
        found.append("mean and standard deviation are over the seeds of runs that are otherwise the same")
    found += [f"no scores yet: {''.join(map(_visible, row.command))}" for row in comparison.unscored]
    return found


def _run(row: Row) -> list[str]:
    scores = row.scores or {}
    fid = number_words(scores.get("fid"))
    if "fid_floor" in scores:
        fid += f" ({number_words(scores['fid_floor'])})"
    middle = [number_words(scores.get(key)) for key in COMPARED[1:-1]]
    modes = modes_words(scores.get("modes"), scores.get("modes_total"))
    words = [str(row.path), row.recipe, row.data, str(row.seed), f"{row.steps:,}"]
    return [*words, fid, *middle, modes, duration_words(row.seconds)]


def _mean(group: Group) -> list[str]:
    rows, means = group.rows, group.means
    scored = sum(row.scores is not None for row in rows)
    name = f"  mean of {len(rows)}" + (f" ({scored} scored)" if scored < len(rows) else "")
    fid = _split(group, "fid")[0]
    if "fid_floor" in means and "fid" in means:
        fid += f" ({number_words(means['fid_floor'].mean)})"
    seconds = means["seconds"].mean if "seconds" in means else None
    middle = [_split(group, key)[0] for key in COMPARED[1:]]
    return [name, "", "", "", "", fid, *middle, duration_words(seconds)]


def _deviation(group: Group) -> list[str]:
    deviations = [_split(group, key)[1] for key in COMPARED]
    return ["  standard deviation", "", "", "", "", *(f"± {d}" if d else "" for d in deviations), ""]


def _split(group: Group, key: str) -> tuple[str, str]:
    mean, _, deviation = mean_words(group, key).partition(" ± ")
    return mean, deviation


def mean_words(group: Group, key: str) -> str:
    """Mean and standard deviation of a score, or a dash."""
    spread = group.means.get(key)
    if spread is None:
        return "–"
    if key == "modes":
        total = group.means.get("modes_total")
        return modes_words(round(spread.mean, 2), None if total is None else total.mean)
    return spread_words(spread.mean, spread.deviation)


def _visible(sign: str) -> str:
    """A sign as it is, or a question mark: names may hold what would break the table or the terminal."""
    return sign if sign.isprintable() else "?"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int, left: bool) -> str:
    space = " " * (width - _width(text))
    return text + space if left else space + text

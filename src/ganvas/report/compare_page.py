"""The page of a comparison: the table, the curves over each other, the last grids beside each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ganvas.files import write_bytes
from ganvas.report import frames
from ganvas.report.chart import Chart, Line, draw
from ganvas.report.compare import Comparison, Group, Row
from ganvas.report.compare_lines import mean_words
from ganvas.report.markup import Child, Markup, document, empty, png_uri, section, tag
from ganvas.report.meanings import COMPARED, FLOOR, METRICS
from ganvas.report.numbers import duration_words, number_words
from ganvas.report.verdict import value_words

_METRICS = {metric.key: metric for metric in METRICS}


def comparison_page(comparison: Comparison, out: Path) -> Path:
    """Write the page, one HTML file that needs nothing beside itself, and return its path.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    path = Path(out).expanduser()
    rows = comparison.rows
    names = short_names([row.path for row in rows])
    labels = dict(zip((row.path for row in rows), names, strict=True))
    write_bytes(
        path,
        document(
            f"{len(rows)} ganvas runs compared",
            tag(
                "header",
                tag("p", "ganvas, runs side by side", class_="kicker"),
                tag("h1", f"{len(rows)} runs" if len(rows) != 1 else "1 run"),
            ),
            section("Scores", _scores(comparison, labels), name="scores"),
            _means(comparison, labels),
            section("FID while training", _curves(rows, names), name="curves"),
            section("The last grids", _grids(rows, names), name="grids"),
            tag("footer", "Made by ganvas."),
            scripts=("chart.js", "table.js"),
            broad=True,
        ),
    )
    return path


def short_names(paths: Sequence[Path]) -> list[str]:
    """The paths without the folders that all have in common."""
    if len(paths) == 1:
        return [paths[0].resolve().name]
    whole = [str(path.resolve()) for path in paths]
    shared = Path(os.path.commonpath(whole))
    return [str(Path(path).relative_to(shared)) if Path(path) != shared else shared.name for path in whole]


def _scores(comparison: Comparison, labels: dict[Path, str]) -> list[Markup]:
    heads = [_head("Run"), _head("Recipe"), _head("Data"), _head("Seed", "number"), _head("Steps", "number")]
    heads += [_metric_head(key) for key in COMPARED]
    heads += [_head("Images seen", "number"), _head("Time", "number")]
    parts = [_table(heads, [_run(row, labels[row.path]) for row in comparison.rows])]
    if comparison.protocol:
        parts.append(tag("p", f"Measured with {comparison.protocol}.", class_="protocol"))
    floor = next(
        (r.scores["fid_floor"] for r in comparison.rows if r.scores and "fid_floor" in r.scores), None
    )
    if floor is not None:
        line = f"FID floor {number_words(floor)}: {FLOOR}. "
        parts.append(tag("p", f"{line}After ±: the standard error of the measurement.", class_="protocol"))
    parts += [empty(f"{labels[row.path]} has no scores yet.", row.command) for row in comparison.unscored]
    return parts


def _run(row: Row, name: str) -> Markup:
    scores = row.scores or {}
    cells = [
        tag("th", name, scope="row", data_value=name, title=str(row.path)),
        _cell(row.recipe, row.recipe),
        _cell(row.data, row.data),
        _cell(str(row.seed), row.seed, "number"),
        _cell(f"{row.steps:,}", row.steps, "number"),
        *(_cell(value_words(scores, key), scores.get(key), "number") for key in COMPARED),
        _cell(_count(row.images_seen), row.images_seen, "number"),
        _cell(duration_words(row.seconds), row.seconds, "number"),
    ]
    return tag("tr", cells)


def _means(comparison: Comparison, labels: dict[Path, str]) -> Markup | None:
    groups = [group for group in comparison.groups if len(group.rows) > 1]
    if not groups:
        return None
    heads = [_head("Runs"), _head("Recipe"), _head("Data"), _head("Seeds", "number")]
    heads += [*(_metric_head(key) for key in COMPARED), _head("Time", "number")]
    lead = (
        "Runs that differ in their seed alone, taken together: the mean, and after ± the standard deviation "
        "over the seeds. A difference between recipes that is no larger than this may be chance."
    )
    table = _table(heads, [_mean(group, labels) for group in groups])
    return section("Means over seeds", tag("p", lead, class_="lead"), table, name="means")


def _mean(group: Group, labels: dict[Path, str]) -> Markup:
    first = group.rows[0]
    names = ", ".join(labels[row.path] for row in group.rows)
    scored = sum(row.scores is not None for row in group.rows)
    seeds = str(len(group.rows)) + (f", {scored} scored" if scored < len(group.rows) else "")
    seconds = group.means["seconds"].mean if "seconds" in group.means else None
    cells = [
        tag("th", names, scope="row", data_value=names, title=names),
        _cell(first.recipe, first.recipe),
        _cell(first.data, first.data),
        _cell(seeds, len(group.rows), "number"),
        *(
            _cell(mean_words(group, key), group.means[key].mean if key in group.means else None, "number")
            for key in COMPARED
        ),
        _cell(duration_words(seconds), seconds, "number"),
    ]
    return tag("tr", cells)


def _curves(rows: Sequence[Row], names: Sequence[str]) -> Child:
    scored = [(row, name) for row, name in zip(rows, names, strict=True) if row.by_images.x]
    if not scored:
        return empty("None of these runs was scored while it trained.")
    protocols = list(dict.fromkeys(row.score_protocol for row, _ in scored))
    if len(protocols) > 1:
        return empty(
            "These runs were scored in different ways while they trained, so that their curves cannot be "
            f"laid over each other: {'; '.join(text or 'an unnamed protocol' for text in protocols)}."
        )
    reading = "The lower a line lies, the better; the further left it gets there, the less it took."
    charts = [
        ("FID by time", "seconds", [Line(name, row.by_seconds) for row, name in scored]),
        ("FID by images seen", "images seen", [Line(name, row.by_images) for row, name in scored]),
    ]
    drawn = [
        draw(Chart(title, reading, lines, across=across))
        for title, across, lines in charts
        if any(line.points.x for line in lines)
    ]
    protocol = tag("p", f"Measured with {protocols[0]}.", class_="protocol") if protocols[0] else None
    return [tag("div", drawn, class_="charts"), protocol or Markup()]


def _grids(rows: Sequence[Row], names: Sequence[str]) -> Child:
    share = frames.MOST_BYTES // len(rows)
    figures = []
    for row, name in zip(rows, names, strict=True):
        frame = frames.read(row.grid) if row.grid else None
        if frame is None:
            figures.append(tag("figure", empty("No whole grid here."), tag("figcaption", tag("b", name))))
            continue
        frame = frames.lighter(frame, share)
        caption = [tag("b", name), f", {row.recipe}, seed {row.seed}, step {frame.step:,}"]
        picture = tag("img", src=png_uri(frame.png), alt=f"Generated images of {name}")
        figures.append(tag("figure", picture, tag("figcaption", caption)))
    return tag("div", figures, class_="grids")


def _table(heads: Sequence[Markup], rows: Sequence[Markup]) -> Markup:
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="sortable")
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label="Table, can be scrolled")


def _head(
    title: str, kind: str | None = None, first: str | None = None, meaning: str | None = None
) -> Markup:
    button = tag("button", title, type="button", title=meaning)
    return tag("th", button, scope="col", class_=kind, data_first=first)


def _metric_head(key: str) -> Markup:
    """A first click brings the best to the top."""
    metric = _METRICS[key]
    first = "ascending" if metric.better == "lower" else "descending"
    return _head(metric.title, "number", first, f"{metric.better} is better: {metric.meaning}")


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _cell(words: str, value: str | float | None, kind: str | None = None) -> Markup:
    mean, sign, spread = words.partition(" ± ")
    below = tag("small", f"± {spread}") if sign else None
    return tag("td", mean, below, class_=kind, data_value="" if value is None else value)

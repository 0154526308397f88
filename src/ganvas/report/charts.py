"""Line charts as HTML and SVG: sharp at every width, readable without a script, interactive with one.

The curves are SVG, stretched to the available width, with strokes that keep their thickness. The text is HTML
positioned over it in percent, so that it keeps its size on a phone.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from ganvas.report.numbers import format_number
from ganvas.report.templating import render

COLORS = 6
"""Number of line colors (`assets/page.css`); further lines are dashed."""
_UNITS = 1000  # the SVG's own width and height
_NOISY = 80  # points from which on a moving mean is drawn over them
_OUTLIER_RATIO = 3.0  # the axis is cut if the maximum is this many times above the 98.5th percentile


class Points(NamedTuple):
    """X and y of a line, x in rising order."""

    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Line:
    """A named line of a chart."""

    name: str
    points: Points


@dataclass(frozen=True)
class Chart:
    """The content of a chart.

    Attributes:
        title: what is drawn.
        explanation: a sentence that says how to read it.
        lines: at least one of them with points.
        low: where the y axis begins; the lowest value where None.
        high: where it ends at least; the highest value where None.
        x_label: the name of x.
        rule: a level marked by a dotted line, and its name.
        mark: x and y of a point to be marked, and its name.
        integers: y is a count.
        noisy: draw a moving mean over the values, and let outliers leave the chart.
        steps_per_epoch: if given, x are steps and the readout shows the epoch too.
    """

    title: str
    explanation: str
    lines: Sequence[Line]
    low: float | None = None
    high: float | None = None
    x_label: str = "step"
    rule: tuple[float, str] | None = None
    mark: tuple[float, float, str] | None = None
    integers: bool = False
    noisy: bool = False
    steps_per_epoch: int | None = None


@dataclass(frozen=True)
class ChartView:
    """A chart as the template lays it out: texts, positions in percent, SVG paths with their CSS classes."""

    title: str
    label: str
    x_label: str
    notes: list[str]
    legend: list[tuple[str, str]]
    mark_name: str | None
    mark: tuple[str, str] | None
    rule: float | None
    x_ticks: list[tuple[str, str]]
    y_ticks: list[tuple[str, str]]
    strokes: list[tuple[str, str]]
    data: dict[str, Any]


@dataclass(frozen=True)
class _Axes:
    """The visible part of the plane."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def left(self, x: float) -> float:
        """Position of `x` as a fraction of the width."""
        return (x - self.x0) / (self.x1 - self.x0)

    def top(self, y: float) -> float:
        """Position of `y` as a fraction of the height, from above; within the axes 0 to 1."""
        if self.log:
            y = max(y, self.y0)
            return 1 - math.log(y / self.y0) / math.log(self.y1 / self.y0)
        return 1 - (y - self.y0) / (self.y1 - self.y0)


def draw(chart: Chart) -> Markup:
    """The chart as an HTML figure."""
    return render("chart.html", chart=chart_view(chart))


def draw_all(charts: Sequence[Chart]) -> list[ChartView]:
    """The views of all charts that have points."""
    return [chart_view(chart) for chart in charts if any(line.points.x for line in chart.lines)]


def chart_view(chart: Chart) -> ChartView:
    """Compute axes, ticks, paths and notes of a chart."""
    lines = [Line(line.name, subsample_points(line.points)) for line in chart.lines]
    axes, highest = _axes(chart)
    mark = None
    if chart.mark is not None:
        mark = (_percent(axes.left(chart.mark[0])), _percent(axes.top(chart.mark[1])))
    legend = []
    if len(chart.lines) > 1:
        legend = [(_look(i), line.name) for i, line in enumerate(chart.lines) if line.points.x]
    y_ticks = (
        log_ticks(axes.y0, axes.y1)
        if axes.log
        else linear_ticks(axes.y0, axes.y1, about=6, integers=chart.integers)
    )
    x_ticks = linear_ticks(axes.x0, axes.x1, integers=True)
    return ChartView(
        title=chart.title,
        label=f"{chart.title}: {_describe(lines)}",
        x_label=chart.x_label,
        notes=_notes(chart, axes, highest),
        legend=legend,
        mark_name=chart.mark[2] if chart.mark else None,
        mark=mark,
        rule=round(_UNITS * axes.top(chart.rule[0]), 1) if chart.rule else None,
        x_ticks=[(tick_text(x, x_ticks), _percent(axes.left(x))) for x in x_ticks],
        y_ticks=[(tick_text(y, y_ticks), _percent(axes.top(y))) for y in y_ticks],
        strokes=_strokes(chart, lines, axes),
        data={
            "x": [axes.x0, axes.x1],
            "y": [axes.y0, axes.y1],
            "log": axes.log,
            "across": chart.x_label,
            "perEpoch": chart.steps_per_epoch,
            "lines": [
                {"name": line.name, "x": list(line.points.x), "y": [_rounded(v) for v in line.points.y]}
                for line in lines
            ],
        },
    )


def _axes(chart: Chart) -> tuple[_Axes, float]:
    """The axes, and the highest value of all, which may lie outside the axes of a noisy chart."""
    xs = [line.points.x for line in chart.lines if line.points.x]
    ys = sorted(y for line in chart.lines for y in line.points.y)
    x0, x1 = min(x[0] for x in xs), max(x[-1] for x in xs)
    if x0 == x1:
        x0, x1 = x0 - max(1, 1e-3 * x0), x1 + max(1, 1e-3 * x1)
    highest = ys[-1]
    low = ys[0] if chart.low is None else min(chart.low, ys[0])
    high = highest if chart.high is None else max(chart.high, highest)
    if chart.noisy and chart.high is None:
        usual = ys[int(0.985 * (len(ys) - 1))]
        if usual > low and high - low > _OUTLIER_RATIO * (usual - low):
            high = low + 1.3 * (usual - low)
    log = chart.low is None and not chart.noisy and low > 1e-9 and high / low > 12
    if log:
        return _Axes(x0, x1, low * 0.85, high * 1.15, log=True), highest
    if chart.low is None:
        low -= 0.05 * (high - low)
    size = max(abs(low), abs(high), 1e-6)
    if high - low < 1e-6 * size:  # a constant line is drawn in the middle
        low, high = low - 0.5 * size, high + 0.5 * size
    return _Axes(x0, x1, low, high + 0.04 * (high - low), log=False), highest


def _notes(chart: Chart, axes: _Axes, highest: float) -> list[str]:
    notes = [chart.explanation]
    if axes.log:
        notes.append("The scale is logarithmic.")
    if any(_is_noisy(chart, line) for line in chart.lines):
        notes.append("Pale: every logged step; strong: its moving mean.")
    if highest > axes.y1:
        notes.append(
            f"The axis ends at {format_number(axes.y1)}; the highest value is {format_number(highest)}."
        )
    return notes


def _strokes(chart: Chart, lines: Sequence[Line], axes: _Axes) -> list[tuple[str, str]]:
    strokes = []
    for i, line in enumerate(chart.lines):
        noisy = _is_noisy(chart, line)
        strokes.append(_stroke(lines[i].points, axes, i, "raw" if noisy else ""))
        if noisy:
            mean = moving_mean(line.points, max(3, len(line.points.x) // 60))
            strokes.append(_stroke(subsample_points(mean, 400), axes, i, ""))
    return strokes


def _is_noisy(chart: Chart, line: Line) -> bool:
    return chart.noisy and len(line.points.x) >= _NOISY


def _look(i: int) -> str:
    """The CSS classes of line `i`: its color, and its dashes."""
    dashes = i // COLORS % 3
    return f"c{i % COLORS}" + (f" dash{dashes}" if dashes else "")


def _stroke(points: Points, axes: _Axes, i: int, kind: str) -> tuple[str, str]:
    positions = [
        f"{_UNITS * axes.left(x):.1f} {max(-_UNITS, _UNITS * axes.top(y)):.1f}"
        for x, y in zip(*points, strict=True)
    ]
    if len(positions) == 1:  # a single point: a line of length zero with round ends
        positions *= 2
    return "M" + "L".join(positions), f"stroke {_look(i)} {kind}".strip()


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _describe(lines: Sequence[Line]) -> str:
    """For screen readers: the first and last value of each line."""
    return "; ".join(
        f"{line.name} from {format_number(line.points.y[0])} to {format_number(line.points.y[-1])}"
        for line in lines
        if line.points.y
    )


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def subsample_points(points: Points, limit: int = 1000) -> Points:
    """At most `limit` points: both ends, and the lowest and highest point of each stretch between them.

    Extremes are kept, so that no spike disappears, which it would if every n-th point were kept.
    """
    x, y = points
    count = len(x)
    if count <= limit:
        return points
    stretches = (limit - 2) // 2
    kept = {0, count - 1}
    for i in range(stretches):
        part = range(1 + i * (count - 2) // stretches, 1 + (i + 1) * (count - 2) // stretches)
        kept |= {min(part, key=y.__getitem__), max(part, key=y.__getitem__)}
    chosen = sorted(kept)
    return Points([x[i] for i in chosen], [y[i] for i in chosen])


def moving_mean(points: Points, width: int) -> Points:
    """Each point's mean with `width` neighbors on both sides, fewer at the ends.

    At the beginning the window shrinks on both sides, so that fast early changes are not blurred. At the end
    only its right side shrinks: the mean lags, but stays smooth.
    """
    sums = [0.0]
    for value in points.y:
        sums.append(sums[-1] + value)
    count = len(points.y)
    means = []
    for i in range(count):
        first, last = max(0, i - width), min(i + min(width, i), count - 1)
        means.append((sums[last + 1] - sums[first]) / (last + 1 - first))
    return Points(points.x, means)


def interpolate_at(points: Points, x: float) -> float | None:
    """The line's y at `x`, linear between the neighboring points; None outside the line."""
    xs, ys = points
    if not xs or not xs[0] <= x <= xs[-1]:
        return None
    right = bisect.bisect_left(xs, x)
    if xs[right] == x:
        return ys[right]
    fraction = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + fraction * (ys[right] - ys[right - 1])


def linear_ticks(low: float, high: float, about: int = 5, *, integers: bool = False) -> list[float]:
    """About `about` round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten.

    >>> linear_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    step = _round_step((high - low) / about)
    if integers:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(i * step, min(digits, 20)) + 0.0 for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`, and 2 and 5 times them if that gives at most seven ticks.

    >>> log_ticks(8, 300)
    [10.0, 20.0, 50.0, 100.0, 200.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    coarse = [t for t in fine if math.isclose(math.log10(t), round(math.log10(t)))]
    return fine if len(fine) <= 7 else coarse


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's number, with as many digits as distinguish it from the other ticks."""
    size = max(map(abs, ticks), default=0)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 1e6 and len({f"{tick / 1e6:g}" for tick in ticks}) == len(ticks):
        return f"{value / 1e6:g}M" if value else "0"
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    smallest = min([*gaps, *(abs(t) for t in ticks if t)], default=1)
    digits = max(0, -math.floor(math.log10(smallest) + 1e-9)) if smallest else 0
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if rough <= m * power * 1.1)

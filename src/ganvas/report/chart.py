"""Line charts as HTML and SVG: sharp at every width, readable without a script, read point by point with one.

The curves are SVG stretched to the space there is, with strokes that keep their width; the words are HTML
laid over it in per cent, so that they keep their size on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganvas.report import ticks
from ganvas.report.markup import Markup, data_block, tag
from ganvas.report.numbers import number_words
from ganvas.report.series import Points, moving_mean, thinned

COLOURS = 6
"""Colours there are (`assets/page.css`); beyond them lines are dashed."""
_UNITS = 1000  # the SVG's own width and height
_NOISY = 80  # points from which on a moving mean is drawn over them
_OUTSTANDING = 3.0  # an axis is cut where the highest value lies so many times above nearly all others


@dataclass(frozen=True)
class Line:
    """A named line of a chart."""

    name: str
    points: Points


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Attributes:
        title: what is drawn.
        reading: how to read it, a sentence for someone new to it.
        lines: at least one of them with points.
        low: where the y axis begins; the lowest value where None.
        high: where it ends at least; the highest value where None.
        across: the name of x.
        rule: a level marked by a dotted line, and its name.
        mark: x and y of the point to be marked, and its name.
        whole: y counts something.
        noisy: values jump: a moving mean is drawn over them, and outliers may leave the chart.
        steps_per_epoch: x are steps, and the readout says the epoch too.
    """

    title: str
    reading: str
    lines: Sequence[Line]
    low: float | None = None
    high: float | None = None
    across: str = "step"
    rule: tuple[float, str] | None = None
    mark: tuple[float, float, str] | None = None
    whole: bool = False
    noisy: bool = False
    steps_per_epoch: int | None = None


@dataclass(frozen=True)
class _Frame:
    """The axes: what of the plane is seen."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def left(self, x: float) -> float:
        """Share of the width, 0 to 1."""
        return (x - self.x0) / (self.x1 - self.x0)

    def top(self, y: float) -> float:
        """Share of the height from above, 0 to 1 within the axes."""
        if self.log:
            y = max(y, self.y0)
            return 1 - math.log(y / self.y0) / math.log(self.y1 / self.y0)
        return 1 - (y - self.y0) / (self.y1 - self.y0)


def draw(chart: Chart) -> Markup:
    """The chart as a figure."""
    shown = [Line(line.name, thinned(line.points)) for line in chart.lines]
    frame, highest = _frame(chart)
    notes = [chart.reading]
    if frame.log:
        notes.append("The scale is logarithmic.")
    if any(_is_noisy(chart, line) for line in chart.lines):
        notes.append("Pale: every logged step; strong: its moving mean.")
    if highest > frame.y1:
        notes.append(
            f"The axis ends at {number_words(frame.y1)}; the highest value is {number_words(highest)}."
        )
    strokes: list[Markup] = []
    for i, line in enumerate(chart.lines):
        noisy = _is_noisy(chart, line)
        strokes.append(_stroke(shown[i].points, frame, i, "raw" if noisy else ""))
        if noisy:
            mean = moving_mean(line.points, max(3, len(line.points.x) // 60))
            strokes.append(_stroke(thinned(mean, 400), frame, i, ""))
    readout = {
        "x": [frame.x0, frame.x1],
        "y": [frame.y0, frame.y1],
        "log": frame.log,
        "across": chart.across,
        "perEpoch": chart.steps_per_epoch,
        "lines": [
            {"name": s.name, "x": list(s.points.x), "y": [_short(v) for v in s.points.y]} for s in shown
        ],
    }
    return tag(
        "figure",
        tag("figcaption", tag("b", chart.title), _legend(chart)),
        tag(
            "div",
            _grid(chart, frame),
            tag("div", _svg(chart, frame, strokes), _point(chart, frame), class_="area"),
            class_="plot",
            tabindex=0,
            role="img",
            aria_label=f"{chart.title}: {_in_words(shown)}",
        ),
        tag("p", chart.across, class_="across"),
        tag("p", " ".join(notes), class_="reading"),
        data_block(readout),
        class_="chart",
    )


def _frame(chart: Chart) -> tuple[_Frame, float]:
    """The axes, and the highest value of all, which an axis of a noisy chart may leave out."""
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
        if usual > low and high - low > _OUTSTANDING * (usual - low):
            high = low + 1.3 * (usual - low)
    log = chart.low is None and not chart.noisy and low > 1e-9 and high / low > 12
    if log:
        return _Frame(x0, x1, low * 0.85, high * 1.15, log=True), highest
    if chart.low is None:
        low -= 0.05 * (high - low)
    size = max(abs(low), abs(high), 1e-6)
    if high - low < 1e-6 * size:  # all the same: in the middle
        low, high = low - 0.5 * size, high + 0.5 * size
    return _Frame(x0, x1, low, high + 0.04 * (high - low), log=False), highest


def _is_noisy(chart: Chart, line: Line) -> bool:
    return chart.noisy and len(line.points.x) >= _NOISY


def _look(i: int) -> str:
    dashes = i // COLOURS % 3
    return f"c{i % COLOURS}" + (f" dash{dashes}" if dashes else "")


def _stroke(points: Points, frame: _Frame, i: int, kind: str) -> Markup:
    places = [
        f"{_UNITS * frame.left(x):.1f} {max(-_UNITS, _UNITS * frame.top(y)):.1f}"
        for x, y in zip(*points, strict=True)
    ]
    if len(places) == 1:  # a point: a line of no length has round ends
        places *= 2
    return tag("path", d="M" + "L".join(places), class_=f"stroke {_look(i)} {kind}".strip())


def _svg(chart: Chart, frame: _Frame, strokes: list[Markup]) -> Markup:
    rule = None
    if chart.rule:
        y = round(_UNITS * frame.top(chart.rule[0]), 1)
        rule = tag("path", d=f"M0 {y}H{_UNITS}", class_="rule")
    view = f"0 0 {_UNITS} {_UNITS}"
    return tag("svg", rule, *strokes, viewBox=view, preserveAspectRatio="none", aria_hidden="true")


def _grid(chart: Chart, frame: _Frame) -> list[Markup]:
    """Ticks of both axes: a hair-line each, and its number."""
    if frame.log:
        ys = ticks.logarithmic(frame.y0, frame.y1)
    else:
        ys = ticks.linear(frame.y0, frame.y1, about=6, whole=chart.whole)
    xs = ticks.linear(frame.x0, frame.x1, whole=True)
    across = [
        tag("span", ticks.word(x, xs), class_="tick x", style=f"left:{100 * frame.left(x):.2f}%") for x in xs
    ]
    up = [
        tag("span", tag("span", ticks.word(y, ys)), class_="tick y", style=f"top:{100 * frame.top(y):.2f}%")
        for y in ys
    ]
    return [*across, *up]


def _point(chart: Chart, frame: _Frame) -> Markup | None:
    if chart.mark is None:
        return None
    left, top = frame.left(chart.mark[0]), frame.top(chart.mark[1])
    return tag("i", class_="mark", style=f"left:{100 * left:.2f}%;top:{100 * top:.2f}%")


def _legend(chart: Chart) -> Markup | None:
    """The lines' names, where there are several, and the mark's: on the plot it would cover lines."""

    def swatch(i: int) -> Markup:
        stroke = tag("path", d="M1 5H23", class_=f"stroke {_look(i)}")
        return tag("svg", stroke, viewBox="0 0 24 10", class_="swatch", aria_hidden="true")

    entries = []
    if len(chart.lines) > 1:
        entries += [tag("li", swatch(i), line.name) for i, line in enumerate(chart.lines) if line.points.x]
    if chart.mark:
        entries.append(tag("li", tag("i", class_="mark"), chart.mark[2]))
    return tag("ul", entries, class_="legend") if entries else None


def _in_words(lines: Sequence[Line]) -> str:
    """For who cannot see the chart: where each line begins and ends."""
    return "; ".join(
        f"{line.name} from {number_words(line.points.y[0])} to {number_words(line.points.y[-1])}"
        for line in lines
        if line.points.y
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")

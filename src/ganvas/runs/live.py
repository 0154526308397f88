"""A run that trains, shown in a notebook: sample grid, curves and a bar under the cell, updated in place.

No server and no script: an output of the cell is replaced about once a second, and the last one stays in the
saved notebook. The same display follows a run that another process trains (`Run.live`).
"""

from __future__ import annotations

import importlib
import io
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ganvas.callbacks.base import LogRecord, ScoreRecord, TrainingContext
from ganvas.callbacks.progress import (
    Display,
    format_record,
    format_speed,
    format_times,
    in_notebook,
    make_display,
    seconds_left,
)
from ganvas.callbacks.sample_grids import sample_grid
from ganvas.errors import RunError, StorageError
from ganvas.evaluation.health import HealthIssue
from ganvas.evaluation.history import History, parse_line
from ganvas.report.charts import Chart, Points, chart_view, subsample_points
from ganvas.report.numbers import format_number
from ganvas.report.run_charts import same_protocol, score_charts, training_charts
from ganvas.report.templating import data_uri, render
from ganvas.runs.control import RunStatus, read_status, write_command
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.training.loop import StepResult
from ganvas.utils.images import ImageArray, encode_png, to_pil
from ganvas.utils.io import open_regular, read_regular
from ganvas.utils.output import print_line

INTERVAL = 1.0  # seconds between two updates, at least
FRACTION = 0.03  # of the time that updates may take, samples and charts together
BYTES_PER_SECOND = 300_000  # Jupyter drops the outputs of a cell that sends more than a megabyte a second
PREVIEW_LEASE = 10.0  # seconds for which another process is asked for previews

_CURVES = ("discriminator_loss", "generator_loss", "real_probability", "fake_probability")
_POINTS = 1000  # kept of each curve when it has grown to four times as many
_WIDTH, _HEIGHT = 330, 200  # of a chart, in CSS pixels
_GRID = 300  # about so wide is the sample grid
_GRID_BYTES = 2**26
_CHUNK = 2**22  # bytes of the log read at a time


class Grid(NamedTuple):
    """A sample grid as a PNG file, and the step that it is of."""

    step: int
    png: bytes


def choose_display(total: int, done: int, *, quiet: bool) -> Display:
    """What shows a run of `total` steps, `done` of them done: a `NotebookView`, or `make_display`."""
    if in_notebook() and not quiet:
        return NotebookView(total, done)
    return make_display(total, done, quiet=quiet)


class NotebookView(Display):
    """The run under the cell; further lines go to stdout.

    Args:
        total: the run's length in steps.
        done: steps done before.

    Attributes:
        total: the run's length; another once it is resumed to another.
        state: a word or two: "training", "paused", "finished", "stopped by Ctrl-C".
        grid: the newest samples.
        times: elapsed and remaining seconds; None to measure them here.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total, self._first, self._step = total, done, done
        self._start = time.perf_counter()
        self._due = 0.0
        self._handle: Any = None
        self._context: TrainingContext | None = None
        self.state = "training"
        self.grid: Grid | None = None
        self.times: tuple[float, float | None] | None = None
        self.open("", 1)

    def open(self, title: str, steps_per_epoch: int) -> None:
        """Begin with no curves, under a title."""
        self._title, self._steps_per_epoch = title, steps_per_epoch
        self._lines: list[dict[str, Any]] = []
        self._scores: list[dict[str, Any]] = []
        self._health: dict[str, str] = {}
        self._speed = self._values = self._score = ""
        self._baseline: float | None = None

    def on_start(self, context: TrainingContext) -> None:
        """Show the run as it is; curves go on where those of an earlier process ended."""
        self._context = context
        self.open(f"{context.recipe.name} on {context.data}", context.steps_per_epoch)
        self.add_lines(History.read(RunDirectory(context.path).metrics).lines)
        if context.state.step > 0:  # else the grid before training comes next
            self.show()

    def on_step(self, result: StepResult) -> None:
        """Generate new samples and show them, if it is time."""
        self._step = result.step
        if time.perf_counter() >= self._due:
            self.show(sample=True)

    def on_log(self, record: LogRecord) -> None:
        """Continue the curves."""
        self._speed, self._values = format_speed(record), format_record(record)
        self._lines.append({"step": record.step, **{key: record.values.get(key) for key in _CURVES}})
        if len(self._lines) > 4 * _POINTS:
            self._lines = _thinned(self._lines)

    def on_grid(self, step: int, grid: ImageArray) -> None:
        """Show the run before training; later grids come with the next update."""
        self.grid = Grid(step, encode_png(to_pil(grid)))
        if step == self._first:
            self.show()

    def on_score(self, record: ScoreRecord) -> None:
        """Continue the curve of the scores."""
        numbers = {key: value for key, value in record.values.items() if value is not None}
        self.add_lines([{"step": record.step, "score": numbers, "protocol": record.protocol}])
        self._baseline = record.baseline.get("fid")

    def on_health(self, step: int, issue: HealthIssue) -> None:
        """Show what is wrong below the curves."""
        self.add_lines([{"step": step, "health": issue.kind, "message": issue.message}])

    def on_stop(self, step: int, reason: str) -> None:
        """The state in which the run was stopped stays."""
        self.state = f"stopped by {reason}" if reason != "request" else "stopped"
        self._step = step
        self.show(sample=True)

    def on_end(self) -> None:
        """The state after the last step stays."""
        self.state, self._step = "finished", self.total

    def on_close(self) -> None:
        """Show the last state."""
        if self._handle is not None:
            self.state = "ended" if self.state == "training" else self.state
            self.show()

    def say(self, line: str) -> None:
        """Print a line on stdout."""
        print_line(line)

    def move(self, step: int) -> None:
        """`step` steps are done."""
        self._step = step

    def add_lines(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Continue the curves with lines of `metrics.jsonl`, as `parse_line` gives them."""
        for line in lines:
            if "score" in line:
                self._scores.append({"epoch": 0, **line})
                if "fid" in line["score"]:
                    self._score = f"FID {format_number(line['score']['fid'])}"
            elif "health" in line:
                self._health[line["health"]] = line["message"]
            elif (record := _log_record(line)) is not None:
                NotebookView.on_log(self, record)

    def show(self, *, sample: bool = False) -> None:
        """Replace what is shown, with new samples where asked for; the next update is due later."""
        begin = time.perf_counter()
        if sample and self._context is not None:
            self.grid = Grid(self._step, encode_png(to_pil(sample_grid(self._context))))
        bundle = {"text/html": self.html(), "text/plain": self.text()}
        if self._handle is None:
            display: Any = importlib.import_module("IPython.display").display
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        seconds = time.perf_counter() - begin
        self._due = begin + max(INTERVAL, seconds / FRACTION, len(bundle["text/html"]) / BYTES_PER_SECOND)

    def text(self) -> str:
        """The state in one line, for notebooks without HTML."""
        parts = [f"step {self._step}/{self.total}", self._times(), self._speed, self._values]
        return "  ".join(part for part in parts if part)

    def html(self) -> str:
        """The state as HTML."""
        charts = [draw_svg(chart) for chart in self._charts()]
        real = "" if self._baseline is None else f" (real data: {format_number(self._baseline)})"
        facts = [self._times(), self._speed.replace("  ", " · "), self._score and self._score + real]
        page = render(
            "live.html",
            title=self._title,
            progress=f"{self.state}, step {self._step:,} of {self.total:,}",
            percent=f"{100 * min(self._step / self.total, 1):.1f}",
            finished=self.state == "finished",
            facts=[fact for fact in facts if fact],
            grid=None if self.grid is None else _grid_values(self.grid),
            charts=charts, width=_WIDTH, height=_HEIGHT,
            health=list(self._health.values()),
        )  # fmt: skip
        return str(page)

    def _charts(self) -> list[Chart]:
        charts = training_charts(History(self._lines), self._steps_per_epoch)
        scored = same_protocol(History(self._scores).scores)[0] if self._scores else []
        if len(scored) > 1:
            charts += score_charts(scored, self._steps_per_epoch)[:1]
        return [chart for chart in charts if any(line.points.x for line in chart.lines)]

    def _times(self) -> str:
        elapsed, left = self.times or (time.perf_counter() - self._start, None)
        if self.times is None:
            left = seconds_left(elapsed, self._first, self._step, self.total)
        if self.state != "training":
            return format_times(elapsed, 0.0).partition(",")[0]
        return format_times(elapsed, left)


def draw_svg(chart: Chart) -> tuple[str, str]:
    """A chart as the address of an SVG image, and its text for those who do not see it."""
    view = chart_view(chart)
    svg = render("chart.svg", chart=view, width=_WIDTH, height=_HEIGHT)
    return data_uri(svg.encode(), "image/svg+xml"), view.label


def _grid_values(grid: Grid) -> dict[str, Any]:
    try:
        with Image.open(io.BytesIO(grid.png), formats=["PNG"]) as image:
            width = image.width
    except (OSError, ValueError, SyntaxError):  # a damaged file of another process
        width = _GRID
    shown = width * max(round(_GRID / width), 1) if width <= 1.5 * _GRID else int(1.5 * _GRID)
    return {"step": f"{grid.step:,}", "width": shown, "uri": data_uri(grid.png)}


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines with a quarter of the points of each curve, its extremes among them."""
    kept: dict[int, dict[str, Any]] = {}
    for key in _CURVES:
        points = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
        curve = subsample_points(Points([x for x, _ in points], [y for _, y in points]), _POINTS)
        for step, value in zip(*curve, strict=True):
            kept.setdefault(int(step), {"step": int(step)})[key] = value
    return [kept[step] for step in sorted(kept)]


def _log_record(line: Mapping[str, Any]) -> LogRecord | None:
    """A line of the log as the event that it was; None if it is no training record, or damaged."""
    numbers = ("epoch", "images_seen", "seconds", "images_per_second", "seconds_per_epoch")
    needed = (*numbers, *_CURVES, "real_accuracy", "fake_accuracy")
    if not all(key in line for key in needed):
        return None
    return LogRecord(
        step=int(line["step"]), epoch=int(line["epoch"]), images_seen=int(line["images_seen"]),
        seconds=line["seconds"], images_per_second=line["images_per_second"],
        seconds_per_epoch=line["seconds_per_epoch"], values=dict(line),
    )  # fmt: skip


class _Log:
    """Reads what has been added to `metrics.jsonl`."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def read(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether the log was begun anew or cut since the last call, and the lines that were added."""
        content = b""
        try:
            with open_regular(self._path, follow_links=False) as stream:
                shorter = stream.seek(0, os.SEEK_END) < self._offset
                self._offset = 0 if shorter else self._offset
                stream.seek(self._offset)
                while part := stream.read(_CHUNK):
                    content += part
        except OSError:
            return False, []
        end = content.rfind(b"\n") + 1
        self._offset += end
        lines = (parse_line(text.decode("utf-8", "replace")) for text in content[:end].split(b"\n"))
        return shorter, [line for line in lines if line is not None]


def watch(directory: RunDirectory, record: RunRecord) -> None:
    """Show the run that another process trains, until that ends or the user interrupts.

    Without a notebook it is shown as `ganvas train` would: a bar in a terminal, or lines.
    """
    status = read_status(directory.path)
    display = choose_display(record.steps, 0 if status is None else status.step, quiet=False)
    view = display if isinstance(display, NotebookView) else None
    title, log = f"{record.recipe.name} on {record.data.name}", _Log(directory.metrics)
    if view is not None:
        view.open(title, record.steps_per_epoch)
    with display:
        try:
            while True:
                status = read_status(directory.path)  # before the log: what is over has written all of it
                alive = status is not None and status.alive
                cut, lines = log.read()
                if view is not None:
                    if cut:
                        view.open(title, record.steps_per_epoch)
                    view.add_lines(lines)
                    _show_status(view, directory, status, lines)
                else:
                    _follow(display, status, lines)
                if not alive:
                    break
                _want_previews(directory)
                time.sleep(INTERVAL)
        except KeyboardInterrupt:
            display.say(f"no longer watching {directory.path}; it trains on")


def _follow(display: Display, status: RunStatus | None, lines: list[dict[str, Any]]) -> None:
    """Pass on the newest of what happened: older records would only scroll by."""
    records = [record for record in map(_log_record, lines) if record is not None]
    for record in records[-1:]:
        display.on_log(record)
    for line in lines:
        if "health" in line:
            display.say(f"health: {line['message']}")
    if status is not None:
        display.move(status.step)


def _show_status(
    view: NotebookView, directory: RunDirectory, status: RunStatus | None, lines: list[dict[str, Any]]
) -> None:
    step, state = _saved_state(directory) if status is None else (status.step, status.state)
    left = None
    if status is not None and status.alive:
        view.total = status.steps
        rate = status.steps_per_second
        left = (status.steps - step) / rate if rate else None
        state = "training" if state == "running" else state
    elif state in ("running", "paused"):
        state = "its process has ended"
    seconds = next((line["seconds"] for line in reversed(lines) if "seconds" in line), None)
    elapsed = seconds if seconds is not None else view.times[0] if view.times else 0.0
    view.state, view.times = state, (elapsed, left)
    view.move(step)
    view.grid = _newest_grid(directory, status) or view.grid
    view.show()


def _saved_state(directory: RunDirectory) -> tuple[int, str]:
    """Of a run that says nothing of itself."""
    if not directory.record_path.exists():
        return 0, "the run is gone"
    steps = [int(p.name) for p in directory.checkpoints.glob("*") if p.name.isdecimal()]
    return max(steps, default=0), "no process trains this run"


def _newest_grid(directory: RunDirectory, status: RunStatus | None) -> Grid | None:
    files = [(int(file.stem), file) for file in directory.sample_files()[-1:]]
    if status is not None and status.alive and status.preview is not None:
        files.append((status.preview, directory.preview))
    for step, file in sorted(files, reverse=True):
        try:
            return Grid(step, read_regular(file, limit=_GRID_BYTES, follow_links=False))
        except OSError:
            continue  # it has just been removed
    return None


def _want_previews(directory: RunDirectory) -> None:
    try:
        write_command(directory.path, preview_until=time.time() + PREVIEW_LEASE)
    except (StorageError, RunError):
        return  # of a full or read-only disk: the saved grids are there

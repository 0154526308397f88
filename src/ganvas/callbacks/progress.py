"""What the user sees while a run trains: a bar in a terminal, plain lines elsewhere.

What a notebook shows, `ganvas.runs.live` draws.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskProgressColumn
from rich.text import Text

from ganvas.callbacks.base import Callback, LogRecord, ScoreRecord
from ganvas.evaluation.health import HealthIssue
from ganvas.training.loop import StepResult
from ganvas.utils.output import one_line, print_line, tolerant


class Display(Callback):
    """Base class, which shows nothing."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def move(self, step: int) -> None:
        """`step` steps are done."""

    def on_step(self, result: StepResult) -> None:
        """Show that a step was done."""
        self.move(result.step)

    def on_message(self, line: str) -> None:
        """Show a line that stays."""
        self.say(line)

    def on_score(self, record: ScoreRecord) -> None:
        """Show a score."""
        self.say(format_score(record))

    def on_health(self, step: int, issue: HealthIssue) -> None:  # noqa: ARG002
        """Show what is wrong."""
        self.say(f"health: {issue.message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def make_display(total: int, done: int, *, quiet: bool) -> Display:
    """A bar in a terminal, plain lines elsewhere, nothing if `quiet`.

    Without a standard error, as in a service, there is nothing either.
    """
    if quiet or sys.stderr is None:
        return Display()
    if sys.stderr.isatty():
        return ProgressBar(total, done)
    return ProgressLines(total, done)


def in_notebook() -> bool:
    """Whether this process is an IPython kernel; IPython is not imported to find out."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


def format_record(record: LogRecord) -> str:
    """Losses, D(x), D(G(z)) and D's accuracies in one short line."""
    v = record.values
    return (
        f"D loss {v['discriminator_loss']:.3f}  G loss {v['generator_loss']:.3f}  "
        f"D(x) {v['real_probability']:.2f}  D(G(z)) {v['fake_probability']:.2f}  "
        f"D accuracy real {v['real_accuracy']:.0%}, fake {v['fake_accuracy']:.0%}"
    )


def format_speed(record: LogRecord) -> str:
    """The epoch and the speed in one short line."""
    speed = f"{record.images_per_second:,.0f} images/s  {record.seconds_per_epoch:.1f} s/epoch"
    return f"epoch {record.epoch}  {speed}"


def format_score(record: ScoreRecord) -> str:
    """A scored step in one short line."""
    v = record.values
    modes = "" if v["modes"] is None else f"  {v['modes']} of {v['modes_total']} classes"
    best = " (best)" if record.is_best else ""
    return (
        f"epoch {record.epoch}: FID {v['fid']:.2f} ± {v['fid_stderr']:.2f}{best}  "
        f"KID {v['kid']:.4f}  precision {v['precision']:.2f}  recall {v['recall']:.2f}  density "
        f"{v['density']:.2f}  coverage {v['coverage']:.2f}{modes}"
    )


def format_times(elapsed: float, left: float | None) -> str:
    """Elapsed and remaining seconds as "0:42 elapsed, 1:10 left"."""
    return f"{_format_seconds(elapsed)} elapsed, {'-:--' if left is None else _format_seconds(left)} left"


def seconds_left(elapsed: float, first: int, step: int, total: int) -> float | None:
    """Seconds left at the mean speed of steps `first` to `step`, done in `elapsed` s; None before a step."""
    return elapsed / (step - first) * (total - step) if step > first else None


def _format_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class ProgressLines(Display):
    """One plain line at most every `seconds`, so that a log file stays readable."""

    def __init__(self, total: int, done: int = 0, seconds: float = 5.0) -> None:
        self._total, self._first, self._interval = total, done, seconds
        self._start = time.perf_counter()
        self._next = 0.0

    def on_log(self, record: LogRecord) -> None:
        """Print the record if the last line is old enough, or training ends."""
        now = time.perf_counter()
        if now < self._next and record.step < self._total:
            return
        self._next = now + self._interval
        elapsed = now - self._start
        times = format_times(elapsed, seconds_left(elapsed, self._first, record.step, self._total))
        self.say(
            f"step {record.step}/{self._total}  {times}  {format_speed(record)}  {format_record(record)}"
        )

    def say(self, line: str) -> None:
        """Print a line on stderr."""
        stderr: Any = tolerant(sys.stderr)
        print_line(line, stderr)
        stderr.flush()


class _TimesColumn(ProgressColumn):
    """Elapsed and remaining time, at the mean speed since this process started to train.

    rich's own estimate forgets steps older than 30 s, so with slow steps the remaining time vanishes.
    """

    max_refresh = None

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first
        self._step, self._at_step = first, 0.0

    def render(self, task: Task) -> Text:
        """The text; between two steps the remaining time counts down."""
        elapsed, step = task.elapsed or 0.0, int(task.completed)
        if step != self._step:
            self._step, self._at_step = step, elapsed
        left = seconds_left(self._at_step, self._first, step, int(task.total or 0))
        if left is not None:
            left = max(left - (elapsed - self._at_step), 0.0)
        return Text(format_times(elapsed, left), no_wrap=True)


class ProgressBar(Display):
    """A progress bar with the elapsed and the remaining time, and the latest log record below it."""

    def __init__(self, total: int, done: int, console: Console | None = None) -> None:
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            _TimesColumn(done),
            expand=True,
        )
        self._task = self._progress.add_task("training", total=total, completed=done)
        self._text = Text("")
        stderr: Any = tolerant(sys.stderr)
        self._live = Live(
            Group(self._progress, self._text),
            console=console or Console(file=stderr),
            refresh_per_second=4,
        )

    def on_log(self, record: LogRecord) -> None:
        """Show the record below the bar."""
        self._text.plain = f"{format_speed(record)}\n{format_record(record)}"

    def move(self, step: int) -> None:
        """Move the bar; it is drawn at the next refresh."""
        self._progress.update(self._task, completed=step)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._live.console.print(one_line(line), markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

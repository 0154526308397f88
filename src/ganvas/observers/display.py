"""What a person sees while a run trains: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ganvas.observers.reading import Reading


class Display(Protocol):
    """Shows readings and single lines."""

    def __call__(self, reading: Reading) -> None:
        """Show a reading."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def display(total: int, done: int, *, quiet: bool) -> Display:
    """A bar where stderr is a terminal, lines where it is not, nothing if `quiet`."""
    if quiet:
        return Silent()
    if sys.stderr.isatty():
        return Bar(total, done)
    return Lines(total)


def in_words(reading: Reading) -> str:
    """Losses, D(x), D(G(z)) and D's accuracies in one short line."""
    v = reading.values
    return (
        f"D loss {v['discriminator_loss']:.3f}  G loss {v['generator_loss']:.3f}  "
        f"D(x) {v['real_probability']:.2f}  D(G(z)) {v['fake_probability']:.2f}  "
        f"D right on real {v['real_accuracy']:.0%}, fake {v['fake_accuracy']:.0%}"
    )


class Silent:
    """Shows nothing."""

    def __call__(self, reading: Reading) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Lines(Silent):
    """One plain line at most every `seconds`, so that a log file stays readable."""

    def __init__(self, total: int, seconds: float = 5.0) -> None:
        self._total, self._pause = total, seconds
        self._next = 0.0
        self._first: tuple[float, int] | None = None

    def __call__(self, reading: Reading) -> None:
        """Print the reading if the last line is old enough, or training ends."""
        now = time.perf_counter()
        self._first = self._first or (now, reading.step)
        if now < self._next and reading.step < self._total:
            return
        self._next = now + self._pause
        began, first = self._first
        pace = (now - began) / max(reading.step - first, 1)
        left = round(pace * (self._total - reading.step))
        ahead = f"{left // 60}:{left % 60:02d} left" if reading.step > first else "-:-- left"
        self.say(
            f"step {reading.step}/{self._total}  epoch {reading.epoch}  {ahead}  "
            f"{reading.images_per_second:,.0f} images/s  {reading.seconds_per_epoch:.1f} s/epoch  "
            f"{in_words(reading)}"
        )

    def say(self, line: str) -> None:
        """Print a line on stderr."""
        print(line, file=sys.stderr, flush=True)


class Bar(Silent):
    """Two lines that renew themselves: a progress bar with the time left, and the latest reading."""

    def __init__(self, total: int, done: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("training", total=total, completed=done)
        self._words = Text("")
        self._live = Live(
            Group(self._progress, self._words), console=Console(stderr=True), refresh_per_second=4
        )

    def __call__(self, reading: Reading) -> None:
        """Move the bar and renew the words."""
        words = (
            f"epoch {reading.epoch}  {reading.images_per_second:,.0f} images/s  "
            f"{reading.seconds_per_epoch:.1f} s/epoch"
        )
        self._progress.update(self._task, completed=reading.step, description=words)
        self._words.plain = in_words(reading)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._live.console.print(line, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

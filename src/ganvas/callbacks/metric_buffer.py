"""Reads the terms back from the device, late and in one go, and hands them to whoever shows them.

A term that is not finite stops the run here, with the step and the term named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganvas.errors import TrainingError
from ganvas.training.loop import StepResult


@dataclass(frozen=True)
class LogRecord:
    """A logged step. `seconds` of training since the run began; `values` are the step's terms."""

    step: int
    epoch: int
    images_seen: int
    seconds: float
    images_per_second: float
    seconds_per_epoch: float
    values: dict[str, float] = field(default_factory=dict)


@dataclass
class MetricBuffer:
    """Callback: buffers every step's terms and reads them every `every` steps.

    Args:
        every: steps between two readings.
        last: the last step, which is read too.
        check: further steps at which the terms are checked but not handed out (before a save, say).
        steps_per_epoch: steps an epoch.
        sinks: called with each reading.
        seconds: what the run had taken before this process.
        images_seen: what it had seen.
        step: the step it starts from.
    """

    every: int
    last: int
    check: Callable[[int], bool]
    steps_per_epoch: int
    sinks: Sequence[Callable[[LogRecord], None]]
    seconds: float = 0.0
    images_seen: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        self._pending: list[tuple[int, Tensor]] = []
        self._names: list[str] = []
        self._started = self._previous = time.perf_counter()
        self._before = self.seconds

    def __call__(self, progress: StepResult) -> None:
        """Buffer; read when it is time."""
        self._names = list(progress.metrics)
        self._pending.append((progress.step, torch.stack(list(progress.metrics.values()))))
        if progress.step % self.every == 0 or progress.step == self.last:
            self._hand_out(progress, self._read())
        elif self.check(progress.step):
            self._read()

    def _read(self) -> dict[str, float]:
        """Values of the latest step, after all steps since the last reading were checked."""
        table = torch.stack([terms for _, terms in self._pending]).cpu()
        finite = torch.isfinite(table)
        if not finite.all():
            row, column = (~finite).nonzero()[0].tolist()
            raise not_finite(self._names[column], float(table[row, column]), self._pending[row][0])
        self._pending.clear()
        return dict(zip(self._names, table[-1].tolist(), strict=True))

    def _hand_out(self, progress: StepResult, values: dict[str, float]) -> None:
        now = time.perf_counter()
        seen, elapsed = progress.images_seen - self.images_seen, now - self._previous
        self._previous, self.images_seen = now, progress.images_seen
        self.seconds = self._before + now - self._started
        steps = max(progress.step - self.step, 1)
        self.step = progress.step
        reading = LogRecord(
            step=progress.step,
            epoch=progress.step // self.steps_per_epoch,
            images_seen=progress.images_seen,
            seconds=self.seconds,
            images_per_second=seen / max(elapsed, 1e-9),
            seconds_per_epoch=elapsed / steps * self.steps_per_epoch,
            values=values,
        )
        for sink in self.sinks:
            sink(reading)


def not_finite(name: str, value: float, step: int) -> TrainingError:
    """Say which number stopped the run, when, and what helps."""
    return TrainingError(
        f"{name} became {value} at step {step}: training cannot go on from there; the last good "
        f"checkpoint is kept. A lower learning rate may help: train again with "
        f"lower generator_optimizer.learning_rate and discriminator_optimizer.learning_rate"
    )

"""A step's metrics, from the device to `metrics.jsonl`.

`MetricBuffer` reads them back from the device, late and together, and reports `LogRecord`s; `MetricsLog`
writes these, and whatever else is measured, as JSON lines, appended and flushed one by one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganvas.callbacks.base import Callback, LogRecord, ScoreRecord, TrainingContext
from ganvas.errors import TrainingError
from ganvas.evaluation.health import HealthIssue
from ganvas.evaluation.history import parse_line, read_log
from ganvas.training.loop import StepResult
from ganvas.utils.io import append_bytes, storage_errors, write_bytes


class MetricBuffer(Callback):
    """Buffers every step's metrics and reads them at the recipe's `log_interval`, for `on_log`.

    They are checked then, and before a checkpoint: a metric that is not finite stops the run, with its name
    and step.

    Args:
        seconds: of training before this process.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def on_start(self, context: TrainingContext) -> None:
        """Start the clock."""
        recipe, state = context.recipe, context.state
        self._context = context
        self._is_logged = context.schedule(context.to_steps(recipe.log_interval))
        self._is_saved = context.schedule(context.to_steps(recipe.checkpoint_interval))
        self._pending: list[tuple[int, Tensor]] = []
        self._names: list[str] = []
        self._started = self._previous = time.perf_counter()
        self._step, self._images_seen = state.step, state.images_seen

    def on_step(self, result: StepResult) -> None:
        """Buffer; read when it is time.

        Raises:
            TrainingError: a metric is not finite.
        """
        self._names = list(result.metrics)
        self._pending.append((result.step, torch.stack(list(result.metrics.values()))))
        if self._is_logged(result.step):
            self._report(result, self._read())
        elif self._is_saved(result.step):
            self._read()

    def _read(self) -> dict[str, float]:
        """Metrics of the latest step, after those of all steps since the last call were checked."""
        table = torch.stack([metrics for _, metrics in self._pending]).cpu()
        finite = torch.isfinite(table)
        if not finite.all():
            row, column = (~finite).nonzero()[0].tolist()
            raise not_finite(self._names[column], float(table[row, column]), self._pending[row][0])
        self._pending.clear()
        return dict(zip(self._names, table[-1].tolist(), strict=True))

    def _report(self, result: StepResult, values: dict[str, float]) -> None:
        now, context = time.perf_counter(), self._context
        elapsed = now - self._previous
        images, steps = result.images_seen - self._images_seen, max(result.step - self._step, 1)
        self._previous, self._images_seen, self._step = now, result.images_seen, result.step
        context.callbacks.on_log(
            LogRecord(
                step=result.step,
                epoch=context.epoch_of(result.step),
                images_seen=result.images_seen,
                seconds=self._seconds + now - self._started,
                images_per_second=images / max(elapsed, 1e-9),
                seconds_per_epoch=elapsed / steps * context.steps_per_epoch,
                values=values,
            )
        )


class MetricsLog(Callback):
    """Writes `metrics.jsonl` at `path`: records, scores, messages of health checks, stops."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_start(self, context: TrainingContext) -> None:
        """Remember the epoch's length."""
        self._epoch_of = context.epoch_of

    def on_log(self, record: LogRecord) -> None:
        """Append a record."""
        self._write(
            {
                "step": record.step,
                "epoch": record.epoch,
                "images_seen": record.images_seen,
                "seconds": round(record.seconds, 3),
                "images_per_second": round(record.images_per_second, 1),
                "seconds_per_epoch": round(record.seconds_per_epoch, 3),
                **record.values,
            }
        )

    def on_score(self, record: ScoreRecord) -> None:
        """Append a score."""
        self._write(
            {
                "step": record.step,
                "epoch": record.epoch,
                "score": dict(record.values),
                "protocol": record.protocol,
            }
        )

    def on_health(self, step: int, issue: HealthIssue) -> None:
        """Append a health check's message."""
        self.on_metrics(step, {"health": issue.kind, "message": issue.message})

    def on_metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Append what else was measured."""
        self._write({"step": step, "epoch": self._epoch_of(step), **values})

    def on_stop(self, step: int, reason: str) -> None:
        """Append why the run was stopped."""
        self.on_metrics(step, {"stopped": reason})

    def _write(self, values: dict[str, Any]) -> None:
        line = json.dumps(values, allow_nan=False) + "\n"
        with storage_errors(str(self._path)):
            append_bytes(self._path, line.encode())


def truncate_after(path: Path, step: int) -> dict[str, Any] | None:
    """Drop the lines after `step` (a resumed run writes them again); return the last record kept.

    Raises:
        RunError: there is no readable regular file at `path`, but something else.
    """
    kept: list[str] = []
    last: dict[str, Any] | None = None
    for text in read_log(path):
        line = parse_line(text)
        if line is None or line["step"] > step:
            continue
        kept.append(text)
        if "seconds" in line:
            last = line
    if kept or path.exists():
        write_bytes(path, "".join(line + "\n" for line in kept).encode())
    return last


def not_finite(name: str, value: float, step: int) -> TrainingError:
    """The error of a number that stops the run: which, when, and what may help."""
    return TrainingError(
        f"{name} became {value} at step {step}: training cannot continue from there; the last good "
        f"checkpoint is kept. A lower learning rate may help: train again with "
        f"lower generator_optimizer.learning_rate and discriminator_optimizer.learning_rate"
    )

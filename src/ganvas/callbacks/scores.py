"""Scores while training, whether one is the best so far, and the health checks that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ganvas.callbacks.base import Callback, LogRecord, ScoreRecord, TrainingContext
from ganvas.errors import GanvasError, HealthStop
from ganvas.evaluation.health import HealthMonitor
from ganvas.evaluation.history import best_scored_step, scored_steps
from ganvas.evaluation.reference import Reference
from ganvas.evaluation.score import compute_score, real_data_baseline
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream
from ganvas.training.sampling import generate, sample_inputs

Line = Mapping[str, Any]


class Scores(Callback):
    """Scores the generator's images, of the same z each time, every `interval` steps, for `on_score`.

    Args:
        interval: steps from one score to the next.
        count: images a score.
        load_reference: the real images; called when first needed.
        lines: of `metrics.jsonl`, from earlier processes.
        saved: steps that have a checkpoint: only those, and later ones, can be the best.
    """

    def __init__(
        self,
        interval: int,
        count: int,
        load_reference: Callable[[], Reference],
        lines: Iterable[Line] = (),
        saved: Collection[int] = (),
    ) -> None:
        self._interval, self._count, self._load_reference = interval, count, load_reference
        self._lines = [line for line in lines if "score" in line]
        self._saved = set(saved)
        self._reference: Reference | None = None
        self._baseline: Mapping[str, Any] = {}

    @property
    def best_step(self) -> int | None:
        """The step with the best score so far."""
        best = best_scored_step(s for s in scored_steps(self._lines) if s.step in self._saved)
        return None if best is None else best.step

    def on_start(self, context: TrainingContext) -> None:
        """Set the schedule."""
        self._context = context
        self._is_due = context.schedule(self._interval)

    def on_step(self, result: StepResult) -> None:
        """Score if it is due."""
        if self._is_due(result.step) and self._prepare():
            self._score(result)

    def _score(self, result: StepResult) -> None:
        context, real, count = self._context, self._reference, self._count
        assert real is not None
        recipe, frequencies = context.recipe, context.class_frequencies
        inputs = sample_inputs(recipe, count, context.seed, Stream.SCORE, frequencies=frequencies).z
        images = generate(result.state.ema_generator(), inputs, recipe.pixel_range)
        values = compute_score(real.extractor(images), real).flat()
        step, epoch, protocol = result.step, context.epoch_of(result.step), real.protocol(count).text
        self._lines.append({"step": step, "epoch": epoch, "score": values, "protocol": protocol})
        self._saved.add(step)  # the best is saved at once
        is_best = self.best_step == step
        context.callbacks.on_score(ScoreRecord(step, epoch, values, protocol, self._baseline, is_best))

    def _prepare(self) -> bool:
        """Load the real images before the first score; False where they cannot be had, which is said once."""
        if self._reference is None:
            try:
                reference = self._load_reference()
                self._baseline = real_data_baseline(reference, self._count)
            except GanvasError as error:  # training is worth more than its scores
                self._is_due = lambda _: False
                self._context.callbacks.on_message(f"note: no scores: {error}")
                return False
            self._reference = reference
        return True


class HealthChecks(Callback):
    """Looks at what is logged and scored, and reports what is wrong, for `on_health`.

    The last of the callbacks: where it stops a run, all that belongs to the step has been written.

    Args:
        run: the run directory as it is typed.
        stop: whether a failed check stops the run.
        lines: of `metrics.jsonl`, from earlier processes.
    """

    def __init__(self, run: str, *, stop: bool, lines: Iterable[Line] = ()) -> None:
        self._run, self._stop, self._lines = run, stop, list(lines)
        self._monitor: HealthMonitor | None = None
        self._reason: str | None = None

    def on_start(self, context: TrainingContext) -> None:
        """Remember whom to report to."""
        self._callbacks = context.callbacks

    def on_log(self, record: LogRecord) -> None:
        """Take note of a logged step."""
        if self._monitor is None:
            self._lines.append(record.values)
        else:
            self._monitor.read(record.values)

    def on_score(self, record: ScoreRecord) -> None:
        """Look at a score, and all that was logged since the one before."""
        if self._monitor is None:
            self._monitor = HealthMonitor(self._run, record.baseline)
            self._monitor.recall(self._lines)
            self._lines.clear()
        line = {"step": record.step, "epoch": record.epoch}
        issues = self._monitor.look({**line, "score": record.values, "protocol": record.protocol})
        for issue in issues:
            self._callbacks.on_health(record.step, issue)
        if issues and self._stop:
            self._reason = issues[0].message

    def on_step(self, result: StepResult) -> None:  # noqa: ARG002
        """Stop the run if a check failed in this step.

        Raises:
            HealthStop: one did, and was asked to stop the run.
        """
        if self._reason is not None:
            raise HealthStop(self._reason)

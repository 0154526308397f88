"""Scores while training: how good G is, whether it is the best so far, and what the monitor says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganvas.callbacks.metric_buffer import LogRecord
from ganvas.errors import GanvasError
from ganvas.evaluation.health import HealthMonitor
from ganvas.evaluation.history import best_scored_step, scored_steps
from ganvas.evaluation.reference import Reference
from ganvas.evaluation.score import compute_score, real_data_baseline
from ganvas.recipes.schema import Recipe
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream
from ganvas.training.sampling import generate, sample_inputs

Line = dict[str, Any]


@dataclass
class Scores:
    """Callback: whenever `due`, scores `count` images and tells `log`, `say` and `boards`.

    Args:
        recipe: of the run.
        seed: of the images: the same z each time.
        count: images a score.
        due: whether a step is scored.
        epoch_of: whole epochs after a step.
        reference: gives the real images; called when first needed.
        run: the run directory as it is typed.
        health: "warn", "stop" or "off".
        log: writes a line of metrics.jsonl.
        say: shows a line.
        boards: called with (step, values).
        lines: what an earlier process logged.
        saved: steps that have a checkpoint here: only those, and later ones, can be the best.
        frequencies: of the classes, in a conditional run.
        best_step: the step with the best score so far.
        stop: why the health monitor wants the run stopped, if it does and was asked to.
    """

    recipe: Recipe
    seed: int
    count: int
    due: Callable[[int], bool]
    epoch_of: Callable[[int], int]
    reference: Callable[[], Reference]
    run: str
    health: str
    log: Callable[[Mapping[str, Any]], None]
    say: Callable[[str], None]
    boards: Sequence[Callable[[int, Mapping[str, Any]], None]] = ()
    lines: list[Line] = field(default_factory=list)
    saved: Collection[int] = ()
    frequencies: Sequence[float] = ()
    best_step: int | None = None
    stop: str | None = None
    _real: Reference | None = None
    _monitor: HealthMonitor | None = None
    _off: bool = False

    def __post_init__(self) -> None:
        self._note_best()

    def read(self, reading: LogRecord) -> None:
        """Take note of a logged step, for the health monitor."""
        if self._monitor is not None:
            self._monitor.read(reading.values)
        elif self.health != "off":
            self.lines.append(reading.values)

    def __call__(self, progress: StepResult) -> None:
        """Score if it is due."""
        if self._off or not self.due(progress.step):
            return
        real = self._reference()
        if real is None:
            return
        inputs = sample_inputs(
            self.recipe, self.count, self.seed, Stream.SCORE, frequencies=self.frequencies
        ).z
        images = generate(progress.state.ema_generator(), inputs, self.recipe.pixel_range)
        values = compute_score(real.extractor(images), real).flat()
        line: Line = {
            "step": progress.step,
            "epoch": self.epoch_of(progress.step),
            "score": values,
            "protocol": real.protocol(self.count).text,
        }
        self.log(line)
        self.lines.append(line)
        self.saved = {*self.saved, progress.step}
        self._note_best()
        for board in self.boards:
            board(progress.step, values)
        self.say(format_score(line, is_best=self.best_step == progress.step))
        self._watch(line)

    def _note_best(self) -> None:
        top = best_scored_step(s for s in scored_steps(self.lines) if s.step in self.saved)
        self.best_step = None if top is None else top.step

    def _watch(self, line: Line) -> None:
        if self._monitor is None:
            return
        found = self._monitor.look(line)
        for kind, message in found:
            self.log({"step": line["step"], "epoch": line["epoch"], "health": kind, "message": message})
            self.say(f"health: {message}")
        if found and self.health == "stop":
            self.stop = found[0].message

    def _reference(self) -> Reference | None:
        """The real images; None where they cannot be had, which is said once."""
        if self._real is None:
            try:
                real = self.reference()
                real_values = real_data_baseline(real, self.count)
            except GanvasError as error:  # training is worth more than its score
                self._off = True
                self.say(f"note: no scores: {error}")
                return None
            self._real = real
            if self.health != "off":
                self._monitor = HealthMonitor(self.run, real_values)
                self._monitor.recall(self.lines)
                self.lines = [line for line in self.lines if "score" in line]
        return self._real


def format_score(line: Mapping[str, Any], *, is_best: bool) -> str:
    """A scored step in one short line."""
    v = line["score"]
    modes = "" if v["modes"] is None else f"  {v['modes']} of {v['modes_total']} classes"
    return (
        f"epoch {line['epoch']}: FID {v['fid']:.2f} ± {v['fid_stderr']:.2f}{' (best)' if is_best else ''}  "
        f"KID {v['kid']:.4f}  precision {v['precision']:.2f}  recall {v['recall']:.2f}  density "
        f"{v['density']:.2f}  coverage {v['coverage']:.2f}{modes}"
    )

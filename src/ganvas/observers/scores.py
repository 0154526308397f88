"""Scores while training: how good G is now, whether it is the best so far, and what the guard says."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganvas import operations
from ganvas import recipe as recipe_module
from ganvas.errors import GanvasError
from ganvas.networks import ImageShape
from ganvas.observers.reading import Reading
from ganvas.randomness import Stream
from ganvas.recipe import Recipe
from ganvas.sampling import draw_inputs, generate
from ganvas.scores.guard import Guard
from ganvas.scores.history import best, scored
from ganvas.scores.reference import Reference
from ganvas.scores.score import floor, score
from ganvas.training.loop import Progress

Line = dict[str, Any]


SHARE = 0.05  # of the time of training, at most, where the recipe leaves it open

# By which time is reckoned from operations, as timed on two cores: multiply-adds that scoring an image costs
# beside drawing it, a second's multiply-adds in each precision (scores are always of fp32), and what a step
# takes for itself.
LOOKED_AT = 100e6
RATES = {"fp32": 150e9, "bf16": 330e9}
STEP_SECONDS = 8e-3


def steps_between(recipe: Recipe, image_shape: ImageShape, steps_per_epoch: int, precision: str) -> int:
    """Steps from one score to the next: what the recipe says, or whole epochs that make scores cheap.

    Reckoned, not timed: so the same run is scored at the same steps on every machine.
    """
    scores = recipe.scores or recipe_module.Scores()
    if scores.every is not None:
        return recipe_module.steps_in(scores.every, steps_per_epoch)
    try:
        return _reckoned(recipe, image_shape, steps_per_epoch, precision, scores.images)
    except RuntimeError:  # a network of the user's own that cannot be walked through without numbers
        return steps_per_epoch


def _reckoned(
    recipe: Recipe, image_shape: ImageShape, steps_per_epoch: int, precision: str, images: int
) -> int:
    score = images * (operations.sample(recipe, image_shape) + LOOKED_AT) / RATES["fp32"]
    step = operations.step(recipe, image_shape) / RATES[precision] + STEP_SECONDS
    return math.ceil(score / (SHARE * step * steps_per_epoch)) * steps_per_epoch


@dataclass
class Scores:
    """Observer: whenever `due`, scores `count` images and tells `log`, `say` and `boards`.

    Args:
        recipe: of the run.
        seed: of the images: the same z each time.
        count: images a score.
        due: whether a step is scored.
        epoch_of: whole epochs after a step.
        reference: gives the real images; called when first needed.
        run: the run directory as it is typed.
        guard: "warn", "stop" or "off".
        log: writes a line of metrics.jsonl.
        say: shows a line.
        boards: called with (step, values).
        lines: what an earlier process logged.
        saved: steps that have a checkpoint here: only those, and later ones, can be the best.
        shares: how often each class is drawn, where classes are told.
        best_step: the step with the best score so far.
        stop: why the guard wants the run stopped, if it does and was asked to.
    """

    recipe: Recipe
    seed: int
    count: int
    due: Callable[[int], bool]
    epoch_of: Callable[[int], int]
    reference: Callable[[], Reference]
    run: str
    guard: str
    log: Callable[[Mapping[str, Any]], None]
    say: Callable[[str], None]
    boards: Sequence[Callable[[int, Mapping[str, Any]], None]] = ()
    lines: list[Line] = field(default_factory=list)
    saved: Collection[int] = ()
    shares: Sequence[float] = ()
    best_step: int | None = None
    stop: str | None = None
    _real: Reference | None = None
    _guard: Guard | None = None
    _off: bool = False

    def __post_init__(self) -> None:
        self._note_best()

    def read(self, reading: Reading) -> None:
        """Take note of a logged step, for the guard."""
        if self._guard is not None:
            self._guard.read(reading.values)
        elif self.guard != "off":
            self.lines.append(reading.values)

    def __call__(self, progress: Progress) -> None:
        """Score if it is due."""
        if self._off or not self.due(progress.step):
            return
        real = self._reference()
        if real is None:
            return
        inputs = draw_inputs(self.recipe, self.count, self.seed, Stream.SCORE, shares=self.shares).images
        images = generate(progress.state.best_generator(), inputs, self.recipe.pixel_range)
        values = score(real.extractor(images), real).flat()
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
        self.say(in_words(line, is_best=self.best_step == progress.step))
        self._watch(line)

    def _note_best(self) -> None:
        top = best(s for s in scored(self.lines) if s.step in self.saved)
        self.best_step = None if top is None else top.step

    def _watch(self, line: Line) -> None:
        if self._guard is None:
            return
        found = self._guard.look(line)
        for kind, sentence in found:
            self.log({"step": line["step"], "epoch": line["epoch"], "guard": kind, "sentence": sentence})
            self.say(f"guard: {sentence}")
        if found and self.guard == "stop":
            self.stop = found[0].sentence

    def _reference(self) -> Reference | None:
        """The real images; None where they cannot be had, which is said once."""
        if self._real is None:
            try:
                real = self.reference()
                real_values = floor(real, self.count)
            except GanvasError as error:  # training is worth more than its score
                self._off = True
                self.say(f"note: no scores: {error}")
                return None
            self._real = real
            if self.guard != "off":
                self._guard = Guard(self.run, real_values)
                self._guard.recall(self.lines)
                self.lines = [line for line in self.lines if "score" in line]
        return self._real


def in_words(line: Mapping[str, Any], *, is_best: bool) -> str:
    """A scored step in one short line."""
    v = line["score"]
    modes = "" if v["modes"] is None else f"  {v['modes']} of {v['modes_total']} classes"
    return (
        f"epoch {line['epoch']}: FID {v['fid']:.2f} ± {v['fid_spread']:.2f}{' (best)' if is_best else ''}  "
        f"KID {v['kid']:.4f}  precision {v['precision']:.2f}  recall {v['recall']:.2f}  density "
        f"{v['density']:.2f}  coverage {v['coverage']:.2f}{modes}"
    )

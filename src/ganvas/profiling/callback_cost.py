"""What callbacks cost at their defaults: each is timed once, and counted as often as the recipe calls it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ganvas.callbacks.base import CallbackList, TrainingContext
from ganvas.callbacks.metrics_log import MetricBuffer, MetricsLog
from ganvas.callbacks.sample_grids import SampleGrids
from ganvas.data.batches import Batches
from ganvas.errors import DataError
from ganvas.evaluation import Reference
from ganvas.evaluation.score import compute_score
from ganvas.profiling.flops import score_interval
from ganvas.recipes.durations import Duration, to_steps
from ganvas.recipes.schema import Recipe
from ganvas.training.loop import StepResult
from ganvas.training.state import TrainState


def callback_seconds(
    recipe: Recipe,
    state: TrainState,
    batches: Batches,
    reference: Callable[[], Reference],
    checkpoint_seconds: float,
    sampled_per_second: float,
    precision: str,
) -> float:
    """Seconds a step, spread over the recipe's whole length: log, grids, scores and checkpoints.

    Args:
        recipe: what is measured.
        state: at any step.
        batches: of the data set.
        reference: gives the real images; called if the recipe has scores.
        checkpoint_seconds: what one save takes.
        sampled_per_second: images that the generator draws in a second.
        precision: of training.
    """
    epoch = batches.steps_per_epoch
    _, channels, height, width = batches.at(0).shape

    def times(span: Duration) -> float:
        return 1 / to_steps(span, epoch)

    with tempfile.TemporaryDirectory(prefix="ganvas-bench-") as name:
        folder = Path(name)
        log = CallbackList([MetricBuffer(), MetricsLog(folder / "metrics.jsonl")], (), state)
        grids = SampleGrids(lambda step: folder / f"{step}.png")
        context = TrainingContext(
            path=folder,
            recipe=recipe.model_copy(update={"log_interval": "1 step"}),
            data="",
            image_shape=(channels, height, width),
            steps=2**62,
            steps_per_epoch=epoch,
            seed=0,
            state=state,
            callbacks=log,
        )
        for callback in (log, grids):
            callback.on_start(context)
        metrics = {name: torch.zeros(()) for name in "abcdefghi"}
        result = StepResult(state.step + 1, 1, metrics, state)
        seconds = times(recipe.log_interval) * _seconds(lambda: log.on_step(result))
        seconds += times(recipe.grid.interval) * _seconds(grids.write)
    seconds += times(recipe.checkpoint_interval) * checkpoint_seconds
    if recipe.scores is not None:
        drawn = recipe.scores.images / sampled_per_second
        try:
            real = reference()
        except DataError:  # too few images: training goes on without scores
            return seconds
        scored = drawn + _scoring(real, recipe.scores.images)
        seconds += scored / score_interval(recipe, real.images.image_shape, epoch, precision)
    return seconds


def _scoring(reference: Reference, count: int) -> float:
    """Seconds of scoring so many images, the features of the real ones at hand."""
    index = torch.arange(count) % len(reference.images)
    pixels = reference.images.images[index.numpy()]
    return _seconds(lambda: compute_score(reference.extractor(pixels), reference))


def _seconds(call: Callable[[], object]) -> float:
    """Of the second call: the first may have something to prepare."""
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

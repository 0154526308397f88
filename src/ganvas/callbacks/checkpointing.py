"""Saving while training: checkpoints of everything, and the generator alone by epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ganvas.callbacks.base import Callback, ScoreRecord, TrainingContext
from ganvas.callbacks.metrics_log import not_finite
from ganvas.recipes.durations import Duration
from ganvas.training import checkpoint
from ganvas.training.loop import StepResult
from ganvas.training.state import TrainState
from ganvas.utils.io import write_bytes
from ganvas.utils.tensor_files import serialize


class Checkpointer(Callback):
    """Saves a checkpoint at the recipe's interval and when a step has the best score so far, for `on_save`.

    Args:
        folder: of the checkpoints.
        best_step: the step with the best score, which is kept.
    """

    def __init__(self, folder: Path, best_step: int | None = None) -> None:
        self._folder, self._best_step, self._saved = folder, best_step, -1

    def on_start(self, context: TrainingContext) -> None:
        """Set the schedule."""
        recipe = context.recipe
        self._context = context
        self._is_due = context.schedule(context.to_steps(recipe.checkpoint_interval))
        self._keep_interval = context.to_steps(recipe.keep_interval) if recipe.keep_interval else None

    def on_score(self, record: ScoreRecord) -> None:
        """Note the best step."""
        if record.is_best:
            self._best_step = record.step

    def on_step(self, result: StepResult) -> None:
        """Save if it is due."""
        if self._is_due(result.step) or self._best_step == result.step:
            self.save()

    def save(self) -> None:
        """Save now, if this step has not been; parameters that are not finite are never saved.

        Raises:
            TrainingError: a parameter is not finite.
            StorageError: the disk is full; the checkpoints before this one are kept.
        """
        state, recipe = self._context.state, self._context.recipe
        if state.step == self._saved:
            return
        check_finite(state)
        path = checkpoint.save(self._folder, state, recipe)
        self._saved = state.step
        kept = {state.step, self._best_step}
        checkpoint.prune(self._folder, recipe.keep_last, self._keep_interval, kept)
        self._context.callbacks.on_save(state.step, path)


@torch.no_grad()
def check_finite(state: TrainState) -> None:
    """Refuse a state with a parameter or moving statistic that is not finite, by its name.

    Raises:
        TrainingError: there is one.
    """
    for player in ("generator", "discriminator"):
        tensors = getattr(state, player).state_dict()
        # One number per tensor, read together: a norm is finite only if all its entries are.
        norms = torch.stack([t.float().norm() for t in tensors.values()])
        bad = (~torch.isfinite(norms)).nonzero()
        if len(bad):
            name = list(tensors)[int(bad[0])]
            raise not_finite(f"{player} parameter {name}", float(norms[bad[0]]), state.step)


class GeneratorSaver(Callback):
    """Saves the (averaged) generator alone at `interval`; `path_of` gives the file of an epoch."""

    def __init__(self, interval: Duration, path_of: Callable[[int], Path]) -> None:
        self._interval, self._path_of = interval, path_of

    def on_start(self, context: TrainingContext) -> None:
        """Set the schedule."""
        self._epoch_of = context.epoch_of
        self._is_due = context.schedule(context.to_steps(self._interval))

    def on_step(self, result: StepResult) -> None:
        """Save `generators/epoch-<epoch>.safetensors` if it is due."""
        if self._is_due(result.step):
            content = serialize(result.state.ema_generator().state_dict())
            write_bytes(self._path_of(self._epoch_of(result.step)), content)

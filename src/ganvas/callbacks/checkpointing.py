"""Saving while training: checkpoints of everything, and the generator alone by epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from ganvas.callbacks.metric_buffer import not_finite
from ganvas.recipes.schema import Recipe
from ganvas.training import checkpoint
from ganvas.training.loop import StepResult
from ganvas.training.state import TrainState
from ganvas.utils.io import write_bytes


@dataclass
class Checkpointer:
    """Saves a checkpoint whenever `due` and when a step has the best score so far.

    Args:
        folder: of the checkpoints.
        recipe: of the run; `keep_last` of the newest are kept.
        due: whether a step is saved.
        best: the step with the best score, which is kept.
        keep_interval: checkpoints at its multiples are kept for good.
        saved: the step saved last.
    """

    folder: Path
    recipe: Recipe
    due: Callable[[int], bool]
    best: Callable[[], int | None]
    keep_interval: int | None = None
    saved: int = -1

    def __call__(self, progress: StepResult) -> None:
        """Save if it is due."""
        if self.due(progress.step) or self.best() == progress.step:
            self.save(progress.state)

    def save(self, state: TrainState) -> None:
        """Save now, if this step has not been; parameters that are not finite are never saved.

        Raises:
            TrainingError: a weight is not finite.
            StorageError: the disk is full; the checkpoints before this one are kept.
        """
        if state.step == self.saved:
            return
        check_weights(state)
        checkpoint.save(self.folder, state, self.recipe)
        self.saved = state.step
        kept = {state.step, self.best()}
        checkpoint.prune(self.folder, self.recipe.keep_last, self.keep_interval, kept)


@torch.no_grad()
def check_weights(state: TrainState) -> None:
    """Refuse a state with a weight or moving statistic that is not finite, by its name."""
    for player in ("generator", "discriminator"):
        tensors = getattr(state, player).state_dict()
        # One number per tensor, read in one go: a norm is finite only if all its entries are.
        norms = torch.stack([t.float().norm() for t in tensors.values()])
        bad = (~torch.isfinite(norms)).nonzero()
        if len(bad):
            name = list(tensors)[int(bad[0])]
            raise not_finite(f"{player} weight {name}", float(norms[bad[0]]), state.step)


@dataclass(frozen=True)
class GeneratorSaver:
    """Saves the (averaged) generator alone whenever `due`; `path_of` gives the file for a step."""

    path_of: Callable[[int], Path]
    due: Callable[[int], bool]

    def __call__(self, progress: StepResult) -> None:
        """Save `generators/epoch-<epoch>.safetensors` if it is due."""
        if not self.due(progress.step):
            return
        weights = progress.state.ema_generator().state_dict()
        tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
        write_bytes(self.path_of(progress.step), safetensors.torch.save(tensors))

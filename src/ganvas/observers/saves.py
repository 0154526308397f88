"""Saves: checkpoints of everything, and the generator alone by epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import safetensors.torch
import torch

from ganvas.files import write_bytes
from ganvas.observers.reading import not_finite
from ganvas.recipe import Recipe
from ganvas.rundir import RunDirectory
from ganvas.training import checkpoint
from ganvas.training.loop import Progress
from ganvas.training.state import TrainState


@dataclass
class Checkpoints:
    """Observer: saves whenever `due` and when a step is the best so far; keeps the newest few, every
    `keep_every`-th step, and the best.
    """

    directory: RunDirectory
    recipe: Recipe
    due: Callable[[int], bool]
    best: Callable[[], int | None]
    keep_every: int | None = None
    saved: int = -1

    def __call__(self, progress: Progress) -> None:
        """Save if it is due."""
        if self.due(progress.step) or self.best() == progress.step:
            self.save(progress.state)

    def save(self, state: TrainState) -> None:
        """Save now, if this step has not been; weights that are not finite are never saved.

        Raises:
            TrainingError: a weight is not finite.
            StorageError: the disk is full; the checkpoints before this one are kept.
        """
        if state.step == self.saved:
            return
        check_weights(state)
        folder = self.directory.checkpoints
        checkpoint.save(folder, state, self.recipe)
        self.saved = state.step
        kept = {state.step, self.best()}
        checkpoint.prune(folder, self.recipe.checkpoints_newest, self.keep_every, kept)


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
class Generators:
    """Observer: saves the generator alone, its epoch in the name."""

    directory: RunDirectory
    due: Callable[[int], bool]
    epoch_of: Callable[[int], int]

    def __call__(self, progress: Progress) -> None:
        """Save `generators/epoch-<epoch>.safetensors` if it is due."""
        if not self.due(progress.step):
            return
        weights = progress.state.best_generator().state_dict()
        tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
        file = self.directory.generator_file(self.epoch_of(progress.step))
        write_bytes(file, safetensors.torch.save(tensors))

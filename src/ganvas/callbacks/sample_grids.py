"""Sample grids while training: of the same z, or of new z each time; the first is noise, before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganvas.recipes.schema import Recipe
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream, derive_seed
from ganvas.training.sampling import generate, sample_inputs
from ganvas.training.state import TrainState
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil
from ganvas.utils.io import write_bytes


@dataclass(frozen=True)
class SampleGrids:
    """Writes a grid of samples whenever `due`.

    Args:
        path_of: step -> the PNG file.
        recipe: of the run.
        seed: of the run.
        due: whether a step has a grid.
        listeners: called with (step, grid uint8 [C, H, W]).
        frequencies: of the classes, where training is conditional.
    """

    path_of: Callable[[int], Path]
    recipe: Recipe
    seed: int
    due: Callable[[int], bool]
    listeners: Sequence[Callable[[int, ImageArray], None]] = ()
    frequencies: Sequence[float] = ()

    def __call__(self, progress: StepResult) -> None:
        """Write the grid if it is due."""
        if self.due(progress.step):
            self.write(progress.state)

    def write(self, state: TrainState) -> None:
        """Write the grid of the state as it is."""
        spec, recipe = self.recipe.grid, self.recipe
        seed = self.seed
        if spec.latents == "new":
            seed = derive_seed(self.seed, Stream.GRID, state.step)
        count = spec.rows * spec.columns
        classes = self._ordered_classes(count)
        inputs = sample_inputs(
            recipe, count, seed, Stream.GRID, frequencies=self.frequencies, classes=classes
        ).z
        images = generate(state.ema_generator(), inputs, recipe.pixel_range)
        sheet = make_grid(images, spec.columns, inverted=spec.invert)
        write_bytes(self.path_of(state.step), encode_png(to_pil(sheet)))
        for listener in self.listeners:
            listener(state.step, sheet)

    def _ordered_classes(self, count: int) -> Tensor | None:
        """The classes in order, so that with K columns each is a class.

        None, for classes drawn by their frequencies, where there are more classes than images, and for
        clusters, which mean nothing to a reader.
        """
        recipe = self.recipe
        if recipe.conditioned_on_clusters or not 0 < recipe.classes <= count:
            return None
        return torch.arange(count) % recipe.classes

"""Sample grids while training: of the same z, or of new z each time; the first is noise, before training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ganvas.callbacks.base import Callback, TrainingContext
from ganvas.recipes.schema import Recipe
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream, derive_seed
from ganvas.training.sampling import generate, sample_inputs
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil
from ganvas.utils.io import write_bytes


class SampleGrids(Callback):
    """Writes a grid of samples at the recipe's interval, for `on_grid`.

    Args:
        path_of: step -> the PNG file.
    """

    def __init__(self, path_of: Callable[[int], Path]) -> None:
        self._path_of = path_of

    def on_start(self, context: TrainingContext) -> None:
        """Write the grid before training."""
        self._context = context
        self._is_due = context.schedule(context.to_steps(context.recipe.grid.interval))
        if context.state.step == 0:
            self.write()

    def on_step(self, result: StepResult) -> None:
        """Write the grid if it is due."""
        if self._is_due(result.step):
            self.write()

    def write(self) -> None:
        """Write the grid of the state as it is."""
        context = self._context
        grid = sample_grid(context)
        write_bytes(self._path_of(context.state.step), encode_png(to_pil(grid)))
        context.callbacks.on_grid(context.state.step, grid)


def sample_grid(context: TrainingContext) -> ImageArray:
    """The grid of samples that the recipe asks for, of the state as it is: uint8 [C, H, W]."""
    recipe, state, spec = context.recipe, context.state, context.recipe.grid
    seed = context.seed
    if spec.latents == "new":
        seed = derive_seed(seed, Stream.GRID, state.step)
    count = spec.rows * spec.columns
    classes, frequencies = _ordered_classes(recipe, count), context.class_frequencies
    inputs = sample_inputs(recipe, count, seed, Stream.GRID, frequencies=frequencies, classes=classes).z
    images = generate(state.ema_generator(), inputs, recipe.pixel_range)
    return make_grid(images, spec.columns, inverted=spec.invert)


def _ordered_classes(recipe: Recipe, count: int) -> Tensor | None:
    """The classes in order, so that with K columns each is a class.

    None, for classes drawn by their frequencies, where there are more classes than images, and for clusters,
    which mean nothing to a reader.
    """
    if recipe.conditioned_on_clusters or not 0 < recipe.classes <= count:
        return None
    return torch.arange(count) % recipe.classes

"""Sample grids: the same z seen again and again (or new z each time), from the noise before training on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.files import write_bytes
from ganvas.images import Pixels, grid, png_bytes, to_picture
from ganvas.randomness import Stream, derived_seed
from ganvas.recipe import Recipe
from ganvas.rundir import RunDirectory
from ganvas.sampling import draw_inputs, generate
from ganvas.training.loop import Progress
from ganvas.training.state import TrainState


@dataclass(frozen=True)
class Grids:
    """Observer: writes `samples/<step>.png` whenever `due`; `sinks` get (step, the grid's pixels).

    `shares` say how often each class comes in the data, where classes are told.
    """

    directory: RunDirectory
    recipe: Recipe
    seed: int
    due: Callable[[int], bool]
    sinks: Sequence[Callable[[int, Pixels], None]] = ()
    shares: Sequence[float] = ()

    def __call__(self, progress: Progress) -> None:
        """Write the grid if it is due."""
        if self.due(progress.step):
            self.write(progress.state)

    def write(self, state: TrainState) -> None:
        """Write the grid of the state as it is."""
        spec, recipe = self.recipe.grid, self.recipe
        seed = self.seed
        if spec.latents == "new":
            seed = derived_seed(self.seed, Stream.GRID, state.step)
        count = spec.rows * spec.columns
        classes = self._in_turn(count)
        inputs = draw_inputs(recipe, count, seed, Stream.GRID, shares=self.shares, classes=classes).images
        images = generate(state.best_generator(), inputs, recipe.pixel_range)
        sheet = grid(images, spec.columns, inverted=spec.inverted)
        write_bytes(self.directory.sample_file(state.step), png_bytes(to_picture(sheet)))
        for sink in self.sinks:
            sink(state.step, sheet)

    def _in_turn(self, count: int) -> Tensor | None:
        """Classes in turn, so that with as many columns each is one; None where they come by their shares:
        clusters, which mean nothing to who looks, and classes that would not all be shown.
        """
        recipe = self.recipe
        if recipe.told_clusters or not 0 < recipe.classes <= count:
            return None
        return torch.arange(count) % recipe.classes

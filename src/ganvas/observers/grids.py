"""Sample grids: the same z seen again and again (or new z each time), from the noise before training on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

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
    """Observer: writes `samples/<step>.png` whenever `due`; `sinks` get (step, the grid's pixels)."""

    directory: RunDirectory
    recipe: Recipe
    seed: int
    due: Callable[[int], bool]
    sinks: Sequence[Callable[[int, Pixels], None]] = ()

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
        # Classes in turn: where there are as many columns, each column is a class.
        classes = torch.arange(count) % max(recipe.classes, 1)
        inputs = draw_inputs(recipe, count, seed, Stream.GRID, classes=classes).images
        images = generate(state.best_generator(), inputs, recipe.pixel_range)
        sheet = grid(images, spec.columns, inverted=spec.inverted)
        write_bytes(self.directory.sample_file(state.step), png_bytes(to_picture(sheet)))
        for sink in self.sinks:
            sink(state.step, sheet)

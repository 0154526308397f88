"""`Callback`: what a user's code can do while a run trains.

    class PrintLoss(ganvas.callbacks.Callback):
        def on_log(self, record):
            print(record.step, record.values["generator_loss"])

    ganvas.train("mlp", callbacks=[PrintLoss()])

A callback sees the live state and must not change it. Random numbers that it draws change nothing: every
step seeds its own. An exception that it raises ends the run; a checkpoint is saved first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.errors import RecipeError
from ganvas.registry import Registry

if TYPE_CHECKING:
    from ganvas.callbacks.metric_buffer import LogRecord
    from ganvas.recipes.schema import Recipe
    from ganvas.training.loop import StepResult
    from ganvas.training.state import TrainState
    from ganvas.utils.images import ImageArray


@dataclass(frozen=True)
class TrainingContext:
    """What a callback is told when training starts.

    Attributes:
        path: the run directory.
        recipe: what is trained.
        data: the data set's name.
        image_shape: (C, H, W).
        steps: the run's length.
        steps_per_epoch: steps an epoch.
        seed: of the run.
        state: the live state: networks, optimizers, step.
    """

    path: Path
    recipe: Recipe
    data: str
    image_shape: tuple[int, int, int]
    steps: int
    steps_per_epoch: int
    seed: int
    state: TrainState


class Callback:
    """Base class: every method does nothing."""

    def on_start(self, context: TrainingContext) -> None:
        """Before the first step of this process."""

    def on_step(self, result: StepResult) -> None:
        """After each step. `result.metrics` are tensors on the device: reading them waits for it."""

    def on_log(self, record: LogRecord) -> None:
        """After each logged step: `record.values` are the step's metrics as numbers."""

    def on_grid(self, step: int, grid: ImageArray) -> None:
        """After each sample grid, uint8 [C, H, W]."""

    def on_score(self, step: int, scores: Mapping[str, Any]) -> None:
        """After each score while training, by name as in metrics.jsonl."""

    def on_end(self) -> None:
        """After the last step, when everything is saved."""


CALLBACKS: Registry[Callable[[], Callback]] = Registry("callback", RecipeError)
"""Callback classes by name, for `ganvas train --callback NAME`."""


def load_callback(name: str) -> Callback:
    """A new callback of the class registered as `name`.

    Raises:
        RecipeError: no such callback, or what was registered makes none.
    """
    callback = CALLBACKS.find(name)()
    if not isinstance(callback, Callback):
        raise RecipeError(
            f"callback {name}: expected a ganvas.callbacks.Callback, got {type(callback).__name__}"
        )
    return callback

"""A callback: how far the generator's weights have moved, in RUN/distance.csv, a row for each step.

    ganvas train mlp --data mnist-5k --plugin examples/callback.py --callback weight_distance

The distance is counted from where this process started: a resumed run goes on below, from 0.

Source: Nagarajan and Kolter 2019, arXiv 1901.01672, the distance from initialization.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

import ganvas
from ganvas.callbacks import Callback
from ganvas.callbacks.base import TrainingContext
from ganvas.training.loop import StepResult


@ganvas.register.callback("weight_distance")
class WeightDistance(Callback):
    """Appends `step,distance` to the file."""

    def on_start(self, context: TrainingContext) -> None:
        """Remember the weights; they are copied, since training changes them in place."""
        self.path: Path = context.path / "distance.csv"
        self.start = _weights(context.state.generator)

    def on_step(self, result: StepResult) -> None:
        """Add a row. `.item()` waits for the device; on a GPU, do it in `on_log` instead."""
        distance = (_weights(result.state.generator) - self.start).norm().item()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{result.step},{distance}\n")


def _weights(network: nn.Module) -> Tensor:
    """All parameters as one new vector."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()

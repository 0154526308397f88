"""TensorBoard: scalars every logged step, sample grids, the graph of both networks, hyper-parameters.

The extra `ganvas[tensorboard]`; only this file imports it.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from ganvas.callbacks.base import Callback, LogRecord, ScoreRecord, TrainingContext
from ganvas.errors import UserError
from ganvas.networks.layers import inference
from ganvas.recipes.schema import Recipe
from ganvas.training.state import TrainState
from ganvas.utils.images import ImageArray
from ganvas.utils.io import storage_errors

MISSING = "TensorBoard is not installed: pip install 'ganvas[tensorboard]'"


def installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("tensorboard") is not None


class TensorBoard(Callback):
    """Writes event files into the run's folder `tensorboard`."""

    _writer: Any = None

    def on_start(self, context: TrainingContext) -> None:
        """Open the file; before training, write the recipe and the graph.

        Raises:
            UserError: the extra is not installed.
        """
        if not installed():
            raise UserError(MISSING)
        from torch.utils.tensorboard import SummaryWriter

        step, folder = context.state.step, str(context.path / "tensorboard")
        self._folder = folder
        with storage_errors(folder):
            # Events after `purge_step` come from a process that was killed: TensorBoard hides them.
            self._writer = SummaryWriter(folder, purge_step=step + 1 if step else None)
        if step == 0:
            self._describe(context.recipe, context.state)

    def on_log(self, record: LogRecord) -> None:
        """Write the metrics of a step under the name of the player they belong to."""
        self._add_scalars(record.step, {_tag(name): value for name, value in record.values.items()})
        self._add_scalars(record.step, {"speed/images_per_second": record.images_per_second})

    def on_grid(self, step: int, grid: ImageArray) -> None:
        """Write a sample grid, uint8 [C, H, W]."""
        with storage_errors(self._folder):
            self._writer.add_image("samples", grid, step)

    def on_score(self, record: ScoreRecord) -> None:
        """Write a score's values."""
        values = {f"score/{name}": value for name, value in record.values.items() if value is not None}
        self._add_scalars(record.step, values)

    def on_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Write what else was measured."""
        self._add_scalars(step, {_tag(name): value for name, value in values.items()})

    def on_close(self) -> None:
        """Flush what is pending."""
        if self._writer is not None:
            with storage_errors(self._folder):
                self._writer.close()

    def _add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        with storage_errors(self._folder):
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, step)

    def _describe(self, recipe: Recipe, state: TrainState) -> None:
        """Write the recipe's values and the graph from z through both networks."""
        flat = _flatten(recipe.model_dump(mode="json"))
        self._writer.add_text("recipe", "\n".join(f"    {k}: {v}" for k, v in flat.items()), state.step)
        from torch.utils.tensorboard.summary import hparams

        plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in flat.items()}
        for part in hparams(plain, {"generator_loss": None}):
            self._writer._get_file_writer().add_summary(part)
        joined = torch.nn.Sequential(state.generator, state.discriminator)
        device = next(joined.parameters()).device
        z = torch.zeros(2, recipe.generator_input_size, device=device)
        with inference(joined), warnings.catch_warnings():
            # TensorBoard's graph is drawn by PyTorch's tracer, which announces its own retirement.
            warnings.simplefilter("ignore")
            self._writer.add_graph(joined, z)


def _tag(name: str) -> str:
    group = "accuracy" if "accuracy" in name else "loss" if "loss" in name else "probability"
    return f"{group}/{name}"


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat

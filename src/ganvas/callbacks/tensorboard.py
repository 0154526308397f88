"""TensorBoard: scalars every logged step, sample grids, the graph of both networks, hyper-parameters.

The extra `ganvas[tensorboard]`; only this file imports it.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganvas.callbacks.metric_buffer import LogRecord
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


class TensorBoard:
    """Sink for readings and grids; writes event files into `folder`.

    Raises:
        UserError: the extra is not installed.
    """

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        if not installed():
            raise UserError(MISSING)
        from torch.utils.tensorboard import SummaryWriter

        self._folder = str(folder)

        with storage_errors(str(folder)):
            # Events after `purge_step` come from a process that was killed: TensorBoard hides them.
            self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def __call__(self, reading: LogRecord) -> None:
        """Write the terms of a step under the name of the player they belong to."""
        with storage_errors(self._folder):
            for name, value in reading.values.items():
                self._writer.add_scalar(_tag(name), value, reading.step)
            self._writer.add_scalar("speed/images_per_second", reading.images_per_second, reading.step)

    def grid(self, step: int, sheet: ImageArray) -> None:
        """Write a sample grid, uint8 [C, H, W]."""
        with storage_errors(self._folder):
            self._writer.add_image("samples", sheet, step)

    def score(self, step: int, values: Mapping[str, Any]) -> None:
        """Write a score's values."""
        with storage_errors(self._folder):
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(f"score/{name}", value, step)

    def describe(self, recipe: Recipe, state: TrainState) -> None:
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

    def close(self) -> None:
        """Flush what is pending."""
        with storage_errors(self._folder):
            self._writer.close()


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

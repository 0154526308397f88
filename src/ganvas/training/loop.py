"""The training loop: it only yields. It knows no file, no clock and no log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ganvas.data.batches import Batches
from ganvas.networks.conditioning import Batch
from ganvas.training.state import TrainState
from ganvas.training.updates import RNG, StepMetrics, Update
from ganvas.utils import devices, memory
from ganvas.utils.images import to_float


@dataclass(frozen=True)
class StepResult:
    """Where training stands after a step; `metrics` are on the device, `state` is the live one."""

    step: int
    images_seen: int
    metrics: StepMetrics
    state: TrainState


def training_steps(
    state: TrainState,
    update: Update,
    batches: Batches,
    rng: Callable[[int], RNG],
    *,
    pixel_range: tuple[int, int],
    until: int,
    precision: str = "fp32",
) -> Iterator[StepResult]:
    """Update `state` until it has taken `until` steps, yielding after each.

    Args:
        state: changed in place; may have steps behind it.
        update: the recipe's rule.
        batches: real images by step.
        rng: random numbers by step.
        pixel_range: what the images are scaled to.
        until: the step to stop after.
        precision: "fp32" or "bf16"; see `devices.autocast`.
    """
    memory.keep_freed_memory()
    device = next(state.generator.parameters()).device
    state.generator.train()
    state.discriminator.train()
    # Random layers draw from the global generators, which are seeded each step and put back in the end.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while state.step < until:
            real = to_float(batches.at(state.step), pixel_range)
            real = real.contiguous(memory_format=torch.channels_last)
            with devices.autocast(precision, device):
                metrics = update(state, Batch(real, batches.labels(state.step)), rng(state.step))
            if state.ema is not None:
                state.ema.update_parameters(state.generator)
            state.step += 1
            state.images_seen += len(real)
            yield StepResult(state.step, state.images_seen, metrics, state)

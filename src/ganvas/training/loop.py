"""The training loop: it only yields. It knows no file, no clock and no log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ganvas import devices, memory
from ganvas.data.batches import Batches
from ganvas.images import to_float
from ganvas.networks.classes import Batch
from ganvas.training.state import TrainState
from ganvas.training.updates import Random, Terms, Update


@dataclass(frozen=True)
class Progress:
    """Where training stands after a step; `terms` are on the device, `state` is the living one."""

    step: int
    images_seen: int
    terms: Terms
    state: TrainState


Observer = Callable[[Progress], None]


def train(
    state: TrainState,
    update: Update,
    batches: Batches,
    random: Callable[[int], Random],
    *,
    pixel_range: tuple[int, int],
    until: int,
    precision: str = "fp32",
) -> Iterator[Progress]:
    """Update `state` until it has taken `until` steps, yielding after each.

    Args:
        state: changed in place; may have steps behind it.
        update: the recipe's rule.
        batches: real images by step.
        random: random numbers by step.
        pixel_range: what the images are scaled to.
        until: the step to stop after.
        precision: "fp32" or "bf16"; see `devices.rounding`.
    """
    memory.keep_freed()
    device = next(state.generator.parameters()).device
    state.generator.train()
    state.discriminator.train()
    while state.step < until:
        real = to_float(batches.at(state.step), pixel_range)
        real = real.contiguous(memory_format=torch.channels_last)
        with devices.rounding(precision, device):
            terms = update(state, Batch(real, batches.labels(state.step)), random(state.step))
        if state.ema is not None:
            state.ema.update_parameters(state.generator)
        state.step += 1
        state.images_seen += len(real)
        yield Progress(state.step, state.images_seen, terms, state)

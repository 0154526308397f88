"""Where a step's time goes, by timing the calls that the loop makes; the rest is the backward passes.

The networks, optimizers and batches are wrapped for a few extra steps after the ones that are timed whole, so
that measuring does not slow down what is measured.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ganvas.data.batches import Batches
from ganvas.profiling.machine import synchronize
from ganvas.training.state import TrainState

PARTS = ("data", "G forward", "D forward", "backward", "optimizers")


class StepProfile:
    """Seconds by part, summed over steps."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._began = 0.0

    def fractions(self, seconds: float, steps: int) -> dict[str, float]:
        """Seconds a step of each part, of steps that took `seconds` in all."""
        known = {part: self._seconds[part] / steps for part in PARTS if part != "backward"}
        known["backward"] = max(seconds / steps - sum(known.values()), 0.0)
        return {part: known[part] for part in PARTS}

    @contextmanager
    def watching(self, state: TrainState, batches: Batches) -> Iterator[None]:
        """Within, calls are timed."""
        hooks = [
            *self._forward(state.generator, "G forward"),
            *self._forward(state.discriminator, "D forward"),
        ]
        optimizers = (state.generator_optimizer, state.discriminator_optimizer)
        for optimizer in optimizers:
            optimizer.step = self._timed(optimizer.step, "optimizers")  # type: ignore[method-assign]
        batches.at = self._timed(batches.at, "data")  # type: ignore[method-assign]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for optimizer in optimizers:
                del optimizer.step
            del batches.at

    def _forward(self, network: nn.Module, part: str) -> list[Any]:
        def before(*_: object) -> None:
            synchronize(self._device)
            self._began = time.perf_counter()

        def after(*_: object) -> None:
            synchronize(self._device)
            self._seconds[part] += time.perf_counter() - self._began

        return [network.register_forward_pre_hook(before), network.register_forward_hook(after)]

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*words: Any, **named: Any) -> Any:
            synchronize(self._device)
            began = time.perf_counter()
            found = call(*words, **named)
            synchronize(self._device)
            self._seconds[part] += time.perf_counter() - began
            return found

        return timed

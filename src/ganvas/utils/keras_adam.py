"""Adam as Keras writes it, on PyTorch's fused kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


class KerasAdam(torch.optim.Adam):
    """Adam whose epsilon is added to the square root of the uncorrected second moment, as in Keras.

    With c = 1 - beta2^t, PyTorch divides by sqrt(v / c) + eps and Keras by (sqrt(v) + eps) / sqrt(c), which
    is PyTorch's with eps / sqrt(c). At the first step that is 32 times larger, and with Keras's 1e-7
    it is felt by every gradient below 1e-5. Source: Kingma and Ba 2015, arXiv 1412.6980, the line
    before section 2.1; Keras 3's Adam.
    """

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        self._epsilon = float(options["eps"])
        self.steps = 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step with the gradients that the parameters hold."""
        self.steps += 1
        for group in self.param_groups:
            group["eps"] = self._epsilon / math.sqrt(1 - group["betas"][1] ** self.steps)
        return super().step(closure)

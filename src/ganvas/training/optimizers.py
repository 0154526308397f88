"""Optimisers in Keras's sense, on PyTorch's fused kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganvas import recipe


class KerasAdam(torch.optim.Adam):
    """Adam whose epsilon is added to the square root of the uncorrected second moment, as in Keras.

    With c = 1 - beta2^t, PyTorch divides by sqrt(v / c) + eps and Keras by (sqrt(v) + eps) / sqrt(c), which
    is PyTorch's with eps / sqrt(c). At the first step that is 32 times larger, and with Keras's 1e-7
    it is felt by every gradient below 1e-5. Source: Kingma and Ba 2015, arXiv 1412.6980, the line
    before section 2.1; Keras 3's Adam.
    """

    def __init__(self, network: nn.Module, spec: recipe.Adam) -> None:
        betas = (spec.beta1, spec.beta2)
        super().__init__(network.parameters(), spec.learning_rate, betas, eps=spec.epsilon, fused=True)
        self._named = dict(network.named_parameters())
        self._beta2, self._epsilon = spec.beta2, spec.epsilon
        self._learning_rate = spec.learning_rate
        self.steps = 0

    def scale_rate(self, factor: float) -> None:
        """Learn at `factor` times the recipe's rate from here on."""
        for group in self.param_groups:
            group["lr"] = factor * self._learning_rate

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step with the gradients that the parameters hold."""
        self.steps += 1
        for weight in self._named.values():
            # The fused kernel walks through memory: a gradient in another order would meet the wrong weights.
            if weight.grad is not None and weight.grad.stride() != weight.stride():
                weight.grad = torch.empty_like(weight).copy_(weight.grad)
        for group in self.param_groups:
            group["eps"] = self._epsilon / math.sqrt(1 - self._beta2**self.steps)
        return super().step(closure)

    def moments(self) -> dict[str, Tensor]:
        """Both moments of every weight, by name: `<weight>.exp_avg`, `<weight>.exp_avg_sq`."""
        return {
            f"{name}.{moment}": self.state[weight][moment]
            for name, weight in self._named.items()
            for moment in ("exp_avg", "exp_avg_sq")
            if weight in self.state
        }

    def load_moments(self, moments: Mapping[str, Tensor], steps: int) -> None:
        """Take over what `moments` gave after `steps` steps."""
        self.steps = steps
        self.state.clear()
        for name, weight in self._named.items() if steps else ():
            self.state[weight] = {
                "step": torch.tensor(float(steps), device=weight.device),
                "exp_avg": torch.empty_like(weight).copy_(moments[f"{name}.exp_avg"]),
                "exp_avg_sq": torch.empty_like(weight).copy_(moments[f"{name}.exp_avg_sq"]),
            }

"""Optimizers and learning-rate schedules as values that a recipe holds; each builds itself.

The values are checked and printed without torch; `build` imports it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ganvas.registry import Registry
from ganvas.utils.config import FrozenConfig, KindConfig

if TYPE_CHECKING:
    import torch


class Schedule(FrozenConfig):
    """A factor on the learning rate: up from 0 (warmup), constant (hold), then down to `final`.

    `warmup` and `hold` are fractions of the run's length, each counted from its beginning.
    """

    warmup: float = Field(
        0, ge=0, le=1, description="fraction of the run in which the learning rate rises from 0"
    )
    hold: float = Field(
        0, ge=0, le=1, description="fraction of the run until which the learning rate is constant"
    )
    final: float = Field(0, ge=0, le=1, description="the factor at the end of the run")
    shape: Literal["linear", "cosine"] = Field("linear", description="how the learning rate falls")

    def at(self, fraction: float) -> float:
        """The factor after `fraction` of the run.

        >>> [Schedule(warmup=0.1, hold=0.5).at(fraction) for fraction in (0, 0.05, 0.3, 0.75, 1)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if fraction < self.warmup:
            return fraction / self.warmup
        hold = max(self.hold, self.warmup)
        if fraction <= hold:
            return 1.0
        decay = min((fraction - hold) / (1 - hold), 1.0)
        if self.shape == "cosine":
            decay = (1 - math.cos(math.pi * decay)) / 2
        return 1 + decay * (self.final - 1)


class Optimizer(KindConfig):
    """One player's optimizer as values; `kind` names the subclass in JSON, "adam" where there is none."""

    kinds: ClassVar[Registry[type[KindConfig]]] = Registry("optimizer")
    default_kind: ClassVar[str | None] = "adam"

    learning_rate: float = Field(gt=0, description="step size")
    schedule: Schedule | None = Field(None, description="of the learning rate; constant where null")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of these parameters (as any of `torch.optim` takes them)."""
        raise NotImplementedError

    def options_at(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Options that depend on the number of the step, which is 1 for the first; set before each step."""
        return {}


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980).

    `epsilon_mode` says where epsilon is added. "keras": to the square root of the uncorrected second moment
    (the paper's epsilon hat, the line before section 2.1). "pytorch": to that of the corrected one
    (algorithm 1). At the first step they differ by a factor of 1 / sqrt(1 - beta2), which is 32 by default:
    Keras's 1e-7 then changes the step of every gradient below 1e-5.
    """

    kind: Literal["adam"] = "adam"
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(1e-7, gt=0, description="added to the denominator")
    epsilon_mode: Literal["keras", "pytorch"] = Field("keras", description="where epsilon is added")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of these parameters, on PyTorch's fused kernel."""
        import torch

        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(parameters, self.learning_rate, betas, self.epsilon, fused=True)

    def options_at(self, step: int) -> dict[str, float]:
        """PyTorch's epsilon in this step.

        With c = 1 - beta2^step, PyTorch divides by sqrt(v / c) + eps, and Keras by (sqrt(v) + eps) / sqrt(c),
        which is PyTorch's with eps / sqrt(c).
        """
        if self.epsilon_mode == "pytorch":
            return {}
        return {"eps": self.epsilon / math.sqrt(1 - self.beta2**step)}


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of these parameters, on PyTorch's fused kernel."""
        import torch

        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(
            parameters, self.learning_rate, betas, self.epsilon, self.weight_decay, fused=True
        )


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Nesterov's where asked for)."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(0, ge=0, lt=1, description="of the gradients")
    nesterov: bool = Field(False, description="Nesterov momentum")
    weight_decay: float = Field(0, ge=0, description="L2 penalty")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of these parameters, on PyTorch's fused kernel."""
        import torch

        return torch.optim.SGD(
            parameters, self.learning_rate, self.momentum,
            weight_decay=self.weight_decay, nesterov=self.nesterov, fused=True,
        )  # fmt: skip


class RMSprop(Optimizer):
    """RMSprop (Hinton 2012), as the WGAN paper trains with (Arjovsky et al. 2017, arXiv 1701.07875)."""

    kind: Literal["rmsprop"] = "rmsprop"
    alpha: float = Field(0.99, ge=0, lt=1, description="decay of the mean square")
    epsilon: float = Field(1e-8, gt=0, description="added to the denominator")
    momentum: float = Field(0, ge=0, lt=1, description="of the gradients")
    weight_decay: float = Field(0, ge=0, description="L2 penalty")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of these parameters."""
        import torch

        return torch.optim.RMSprop(
            parameters, self.learning_rate, self.alpha, self.epsilon, self.weight_decay, self.momentum
        )

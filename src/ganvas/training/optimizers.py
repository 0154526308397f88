"""The optimizer of one network: steps with given gradients, follows its schedule, is saved by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganvas.errors import RecipeError
from ganvas.recipes.optimizers import Optimizer


class NetworkOptimizer:
    """The optimizer of one network.

    Args:
        network: whose parameters it updates.
        config: the recipe's optimizer.

    Attributes:
        parameters: of the network, in its order.
        steps: taken so far.
    """

    def __init__(self, network: nn.Module, config: Optimizer) -> None:
        self._named = dict(network.named_parameters())
        self.parameters = list(self._named.values())
        self._optimizer = _checked(config.build(self.parameters), config)
        self._config = config
        self.steps = 0

    def set_progress(self, fraction: float) -> None:
        """Follow the learning-rate schedule, if there is one, to this fraction of the run."""
        if self._config.schedule is not None:
            factor = self._config.schedule.at(fraction)
            for group in self._optimizer.param_groups:
                group["lr"] = factor * self._config.learning_rate

    def minimize(self, loss: Tensor) -> None:
        """Take one step down `loss`; no other network's gradients are computed."""
        self.step(gradients(loss, self.parameters))

    def step(self, grads: Sequence[Tensor]) -> None:
        """Take one step with these gradients, one for each of `parameters`."""
        for parameter, grad in zip(self.parameters, grads, strict=True):
            # The fused kernels walk through memory: a gradient in another order would meet other weights.
            same_order = grad.stride() == parameter.stride()
            parameter.grad = grad if same_order else torch.empty_like(parameter).copy_(grad)
        self.steps += 1
        for group in self._optimizer.param_groups:
            group.update(self._config.options_at(self.steps))
        self._optimizer.step()
        self._optimizer.zero_grad()

    def state_tensors(self) -> dict[str, Tensor]:
        """What the optimizer remembers of each parameter, as `<parameter>.exp_avg`."""
        return {
            f"{name}.{key}": value
            for name, parameter in self._named.items()
            for key, value in self._optimizer.state.get(parameter, {}).items()
            if key != "step" and isinstance(value, Tensor)
        }

    def expected(self, steps: int) -> dict[str, Tensor]:
        """Tensors of the names, dtypes and shapes that `state_tensors` gives after `steps` steps."""
        if not steps:
            return {}
        return {f"{name}.{key}": parameter for name, parameter in self._named.items() for key in self._keys()}

    def _keys(self) -> list[str]:
        """What this kind of optimizer remembers of a parameter, read off a step of another of its kind."""
        parameter = nn.Parameter(torch.zeros(1))
        optimizer = self._config.build([parameter])
        parameter.grad = torch.zeros(1)
        optimizer.step()
        state = optimizer.state.get(parameter, {})
        return [key for key, value in state.items() if key != "step" and isinstance(value, Tensor)]

    def load_state_tensors(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Restore what `state_tensors` gave after `steps` steps; see `expected`.

        Raises:
            KeyError: a tensor is missing.
        """
        self.steps = steps
        self._optimizer.state.clear()
        keys = self._keys()
        for name, parameter in self._named.items() if steps else ():
            state: dict[str, Any] = {"step": torch.tensor(float(steps), device=parameter.device)}
            for key in keys:
                state[key] = torch.empty_like(parameter).copy_(tensors[f"{name}.{key}"])
            self._optimizer.state[parameter] = state


def _checked(optimizer: object, config: Optimizer) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    raise RecipeError(
        f"optimizer {config.kind!r}: expected build() to return a torch.optim.Optimizer, got "
        f"{type(optimizer).__name__}"
    )


def gradients(
    loss: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradients of `loss`; zeros for parameters that it does not depend on.

    Raises:
        RecipeError: it depends on nothing that is trained.
    """
    if not loss.requires_grad:
        raise RecipeError(
            "objective or penalty: expected a loss that depends on the discriminator's logits, got a "
            "constant; do not detach logits, nor make new tensors of their values"
        )
    return torch.autograd.grad(
        loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )

"""Penalties: regularization terms of the discriminator's loss, most of them on its gradient at images.

With g(x) the gradient of D's logit with respect to the image x, all means over images:

    r1        weight / 2 * E |g(real)|^2                 Mescheder et al. 2018, arXiv 1801.04406, equation 9
    r2        weight / 2 * E |g(fake)|^2                 the same, equation 10
    wgan_gp   weight * E (|g(between)| - 1)^2            Gulrajani et al. 2017, arXiv 1704.00028, equation 3
    dragan    weight * E (|g(real + noise)| - 1)^2       Kodali et al. 2017, arXiv 1705.07215

`between` lies on the line from a fake to a real image; DRAGAN's noise is that of its authors' code, uniform
in half a standard deviation of the batch's pixels (later versions of the paper have a Gaussian). One with an
`interval` of k steps counts k times when it is due (lazy regularization: Karras et al. 2020, arXiv
1912.04958, section 3.1).

A penalty of one's own is a function, registered by name, that returns a scalar; its weight and interval
come from the recipe:

    @ganvas.register.penalty("logit_drift")
    def logit_drift(discriminator, real, fake, uniform):
        return discriminator(real).square().mean()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganvas.errors import RecipeError
from ganvas.networks.conditioning import Batch, class_logits, concat
from ganvas.recipes.schema import Penalty
from ganvas.registry import Registry
from ganvas.training.objectives import require_scalar
from ganvas.training.optimizers import gradients

Uniform = Callable[..., Tensor]  # the sizes of a tensor -> U(0, 1), float32
Logits = Callable[[Batch], Tensor]  # a batch -> D's logits [N], each of its image's class


@dataclass(frozen=True)
class GradientPenalty:
    """A penalty on |g(x)|^2.

    Attributes:
        points: (real, fake, uniform) -> the images x.
        cost: |g(x)|^2 [N] -> cost [N].
    """

    points: Callable[[Batch, Batch, Uniform], Batch]
    cost: Callable[[Tensor], Tensor]


PenaltyFunction = Callable[[Logits, Batch, Batch, Uniform], Tensor]
"""(discriminator, real, fake, uniform) -> a scalar."""

PENALTIES: Registry[GradientPenalty | PenaltyFunction] = Registry("penalty", RecipeError)


def penalty_gradients(
    penalties: Sequence[Penalty],
    discriminator: nn.Module,
    real: Batch,
    fake: Batch,
    uniform: Uniform,
    *,
    step: int,
    fraction: float,
) -> list[Tensor] | None:
    """Gradients of the penalties that are due, with respect to D's parameters; None where none is due.

    Args:
        penalties: the recipe's.
        discriminator: D.
        real: real images.
        fake: fake images, as many or fewer or more.
        uniform: where random numbers come from.
        step: steps before this one; a penalty is due at each multiple of its `interval`.
        fraction: of the run that is done, in [0, 1], for weights that change.
    """
    due = [penalty for penalty in penalties if step % penalty.interval == 0]
    if not due:
        return None
    real, fake = real.detach(), fake.detach()
    costs = _costs([PENALTIES.find(penalty.kind) for penalty in due], discriminator, real, fake, uniform)
    loss = torch.zeros((), device=real.images.device)
    for penalty, cost in zip(due, costs, strict=True):
        scalar = require_scalar(f"penalty {penalty.kind}", cost)
        loss = loss + penalty.interval * weight_at(penalty, fraction) * scalar
    return list(gradients(loss, list(discriminator.parameters())))


def _costs(
    kinds: Sequence[GradientPenalty | PenaltyFunction],
    discriminator: nn.Module,
    real: Batch,
    fake: Batch,
    uniform: Uniform,
) -> list[Tensor]:
    """The unweighted penalties; those on gradients share one forward and backward pass through D."""
    points = {
        i: kind.points(real, fake, uniform)
        for i, kind in enumerate(kinds)
        if isinstance(kind, GradientPenalty)
    }
    costs: dict[int, Tensor] = {}
    if points:
        x = concat(*points.values())
        x.images.requires_grad_()
        logits = class_logits(discriminator, x)
        (gradient,) = torch.autograd.grad(logits.sum(), x.images, create_graph=True)
        squared = gradient.float().square().sum((1, 2, 3)).split([len(p.images) for p in points.values()])
        costs = {i: kinds[i].cost(part).mean() for i, part in zip(points, squared, strict=True)}  # type: ignore[union-attr]
    for i, kind in enumerate(kinds):
        if not isinstance(kind, GradientPenalty):
            costs[i] = kind(lambda batch: class_logits(discriminator, batch), real, fake, uniform)
    return [costs[i] for i in range(len(kinds))]


def weight_at(penalty: Penalty, fraction: float) -> float:
    """The weight after `fraction` of the run: from `weight` to `final_weight`, by equal ratios."""
    if penalty.final_weight is None:
        return penalty.weight
    return float(penalty.weight ** (1 - fraction) * penalty.final_weight**fraction)


def _between(real: Batch, fake: Batch, uniform: Uniform) -> Batch:
    """Points on the lines from fake to real images, of the real ones' classes."""
    pairs = min(len(real.images), len(fake.images))
    along = uniform(pairs, 1, 1, 1)
    images = fake.images[:pairs] + along * (real.images[:pairs] - fake.images[:pairs])
    return Batch(images, None if real.labels is None else real.labels[:pairs])


def _around(real: Batch, fake: Batch, uniform: Uniform) -> Batch:  # noqa: ARG001
    images = real.images
    return Batch(images + 0.5 * images.std() * uniform(*images.shape), real.labels)


def _zero_centered(squared_norm: Tensor) -> Tensor:
    return squared_norm / 2


def _one_centered(squared_norm: Tensor) -> Tensor:
    # The root's derivative at 0 is infinite: where there is no gradient at all, none is added.
    return (squared_norm.clamp_min(1e-12).sqrt() - 1).square()


PENALTIES.register("r1", GradientPenalty(lambda real, fake, uniform: real, _zero_centered))  # noqa: ARG005
PENALTIES.register("r2", GradientPenalty(lambda real, fake, uniform: fake, _zero_centered))  # noqa: ARG005
PENALTIES.register("wgan_gp", GradientPenalty(_between, _one_centered))
PENALTIES.register("dragan", GradientPenalty(_around, _one_centered))

"""Gradient penalties: what a discriminator pays for its slope at images, beside its objective.

With g(x) the gradient of D's logit at the image x, all means over images:

    r1        weight / 2 * E |g(real)|^2                 Mescheder et al. 2018, arXiv 1801.04406, equation 9
    r2        weight / 2 * E |g(fake)|^2                 the same, equation 10
    gradient  weight * E (|g(between)| - 1)^2            Gulrajani et al. 2017, arXiv 1704.00028, equation 3
    dragan    weight * E (|g(real + noise)| - 1)^2       Kodali et al. 2017, arXiv 1705.07215

`between` lies on the line from a fake to a real image; DRAGAN's noise is that of its authors' code, uniform
in half a standard deviation of the batch's pixels (later versions of the paper have a Gaussian). One that is
taken every k-th step counts k times then (lazy regularisation: Karras et al. 2020, arXiv 1912.04958, section
3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganvas.networks.classes import Batch, joined, judged
from ganvas.recipe import Penalty

Uniform = Callable[..., Tensor]  # the sides of a tensor -> U(0, 1), float32


def gradients(
    penalties: Sequence[Penalty],
    d: nn.Module,
    real: Batch,
    fake: Batch,
    uniform: Uniform,
    *,
    step: int,
    share: float,
) -> list[Tensor] | None:
    """The gradients of all penalties that are due, by D's weights; None where none is.

    Args:
        penalties: the recipe's.
        d: the discriminator.
        real: images that are real.
        fake: images that are not, as many or fewer or more.
        uniform: where random numbers come from.
        step: how many steps were taken: a penalty is due at each multiple of its `every`.
        share: of the run's length that lies behind, in [0, 1]: for weights that change.
    """
    due = [penalty for penalty in penalties if step % penalty.every == 0]
    if not due:
        return None
    places = [_PLACES[penalty.kind](real.detached(), fake.detached(), uniform) for penalty in due]
    x = joined(*places)
    x.images.requires_grad_()
    (slope,) = torch.autograd.grad(judged(d, x).sum(), x.images, create_graph=True)
    squares = slope.float().square().sum((1, 2, 3)).split([len(place.images) for place in places])
    loss = torch.zeros((), device=slope.device)
    for penalty, square in zip(due, squares, strict=True):
        loss = loss + penalty.every * weight_at(penalty, share) * _COSTS[penalty.kind](square).mean()
    weights = list(d.parameters())
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def weight_at(penalty: Penalty, share: float) -> float:
    """The weight after `share` of the run: from `weight` to `final`, by equal ratios."""
    if penalty.final is None:
        return penalty.weight
    return float(penalty.weight ** (1 - share) * penalty.final**share)


def _between(real: Batch, fake: Batch, uniform: Uniform) -> Batch:
    """As images of the real ones' classes."""
    pairs = min(len(real.images), len(fake.images))
    along = uniform(pairs, 1, 1, 1)
    images = fake.images[:pairs] + along * (real.images[:pairs] - fake.images[:pairs])
    return Batch(images, None if real.labels is None else real.labels[:pairs])


def _around(real: Batch, fake: Batch, uniform: Uniform) -> Batch:  # noqa: ARG001
    images = real.images
    return Batch(images + 0.5 * images.std() * uniform(*images.shape), real.labels)


_PLACES: dict[str, Callable[[Batch, Batch, Uniform], Batch]] = {
    "r1": lambda real, fake, uniform: real,  # noqa: ARG005
    "r2": lambda real, fake, uniform: fake,  # noqa: ARG005
    "gradient": _between,
    "dragan": _around,
}


def _to_zero(square: Tensor) -> Tensor:
    return square / 2


def _to_one(square: Tensor) -> Tensor:
    # The root's derivative at 0 is infinite: a slope of nothing at all is left alone.
    return (square.clamp_min(1e-12).sqrt() - 1).square()


_COSTS = {"r1": _to_zero, "r2": _to_zero, "gradient": _to_one, "dragan": _to_one}

"""Objectives: pure functions from logits to losses, sample by sample.

`real` and `fake` are what a discriminator pays for its logit of a real and of a fake image, `generator` what
the generator pays for the logit of its fake. All map logits float32 [N] to losses float32 [N]; a player's
loss is their batch mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import RecipeError, nearest

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """The losses of both players, sample by sample."""

    real: Loss
    fake: Loss
    generator: Loss


def _called_real(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 1: -log sigmoid(logit)."""
    return F.softplus(-logits)


def _called_fake(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 0: -log(1 - sigmoid(logit))."""
    return F.softplus(logits)


OBJECTIVES = {
    # Goodfellow et al. 2014, arXiv 1406.2661, equation 1, with section 3's -log D(G(z)) for the generator
    "non_saturating": Objective(real=_called_real, fake=_called_fake, generator=_called_real),
}


def find(name: str) -> Objective:
    """Return the objective of that name, or refuse it with the nearest.

    Raises:
        RecipeError: no such objective.
    """
    if name not in OBJECTIVES:
        raise RecipeError(f"unknown objective {name!r}; {nearest(name, OBJECTIVES)}")
    return OBJECTIVES[name]

"""Objectives: what both players pay, from logits.

Logits are float32 [N]; losses are float32 scalars, means over the batch. A discriminator's loss comes in two
parts, for what it said of real and of fake images, so that both can be watched; it learns by their sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import RecipeError, nearest

Loss = Callable[[Tensor], Tensor]


class Objective(Protocol):
    """The losses of both players."""

    @property
    def paired(self) -> bool:
        """Whether an image is judged beside one of the other kind: both players then need both logits."""

    def discriminator(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """What D pays for its logits of real and of fake images."""

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """What G pays for D's logits; `real` is looked at where `paired` only."""


@dataclass(frozen=True)
class Separate:
    """Each logit is paid for by itself: three functions, [N] -> [N]."""

    real: Loss
    fake: Loss
    fooled: Loss
    paired: bool = False

    def discriminator(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        return self.real(real).mean(), self.fake(fake).mean()

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002
        """See `Objective`."""
        return self.fooled(fake).mean()


@dataclass(frozen=True)
class Relativistic:
    """Both players pay for how far a real logit lies above the fake one beside it: [N] -> [N].

    Where a batch has fewer real than fake images (the last of an epoch), those left over have no partner
    and are not paid for. Source: Jolicoeur-Martineau 2018, arXiv 1807.00734 (RpGAN).
    """

    above: Loss
    paired: bool = True

    def discriminator(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`; half of it is told as either part."""
        half = self.above(_ahead(real, fake)).mean() / 2
        return half, half

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See `Objective`."""
        return self.above(-_ahead(real, fake)).mean()


def _ahead(real: Tensor, fake: Tensor) -> Tensor:
    pairs = min(len(real), len(fake))
    return real[:pairs] - fake[:pairs]


def _called_real(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 1: -log sigmoid(logit)."""
    return F.softplus(-logits)


def _called_fake(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 0: -log(1 - sigmoid(logit))."""
    return F.softplus(logits)


OBJECTIVES: dict[str, Objective] = {
    # Goodfellow et al. 2014, arXiv 1406.2661, equation 1, with section 3's -log D(G(z)) for the generator
    "non_saturating": Separate(_called_real, _called_fake, _called_real),
    # the same, equation 1 as it stands: G minimises log(1 - D(G(z)))
    "minimax": Separate(_called_real, _called_fake, lambda logits: -_called_fake(logits)),
    # Mao et al. 2017, arXiv 1611.04076, equation 9: a = 0, b = c = 1
    "least_squares": Separate(
        lambda logits: (logits - 1).square() / 2,
        lambda logits: logits.square() / 2,
        lambda logits: (logits - 1).square() / 2,
    ),
    # Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957, equations 16 and 17
    "hinge": Separate(
        lambda logits: F.relu(1 - logits), lambda logits: F.relu(1 + logits), lambda logits: -logits
    ),
    # Arjovsky et al. 2017, arXiv 1701.07875, equations 2 and 3; D is to be kept Lipschitz by a penalty
    "wasserstein": Separate(lambda logits: -logits, lambda logits: logits, lambda logits: -logits),
    # RpGAN, with the logistic function as in Huang et al. 2024 (R3GAN), arXiv 2501.05441, equation 2
    "relativistic": Relativistic(_called_real),
}


def find(name: str) -> Objective:
    """Return the objective of that name, or refuse it with the nearest.

    Raises:
        RecipeError: no such objective.
    """
    if name not in OBJECTIVES:
        raise RecipeError(f"unknown objective {name!r}; {nearest(name, OBJECTIVES)}")
    return OBJECTIVES[name]

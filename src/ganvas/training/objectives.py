"""Objectives: the losses of both players, from D's logits.

Logits are float32 [N]; losses are float32 scalars, means over the batch. The discriminator's loss comes in
two parts, for real and for fake images, so that both can be watched; it minimizes their sum.

An objective of one's own is a function of both logits, registered by name, or a `LogitwiseObjective` where
each logit has a loss of its own:

    @ganvas.register.objective("my_loss")
    def my_loss(real_logits, fake_logits):
        return discriminator_loss, generator_loss
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.registry import Registry

Loss = Callable[[Tensor], Tensor]


class Objective(Protocol):
    """The losses of both players."""

    @property
    def paired(self) -> bool:
        """Whether a loss depends on real and fake logits together.

        Every update rule then passes both to each loss, those of the kind whose turn it is not as constants.
        Otherwise a rule may pass the same logits twice.
        """

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's loss for its logits of real and of fake images, in two parts."""

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """G's loss for D's logits; `real` matters where `paired` only."""


@dataclass(frozen=True)
class LogitwiseObjective:
    """Each logit has a loss of its own: three functions, [N] -> [N].

    Attributes:
        real: D's loss for a real image.
        fake: D's loss for a fake image.
        generator: G's loss for its image.
    """

    real: Loss
    fake: Loss
    generator: Loss
    paired: bool = False

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        return _mean(self.real(real)), _mean(self.fake(fake))

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002
        """See `Objective`."""
        return _mean(self.generator(fake))


@dataclass(frozen=True)
class RelativisticObjective:
    """A loss of how far a real logit lies above the fake one beside it: [N] -> [N].

    Where a batch has fewer real than fake images (the last of an epoch), the remaining ones have no partner
    and no loss. Source: Jolicoeur-Martineau 2018, arXiv 1807.00734 (RpGAN).
    """

    loss: Loss
    paired: bool = True

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`; each part is half of the loss."""
        half = self.loss(_difference(real, fake)).mean() / 2
        return half, half

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """See `Objective`."""
        return self.loss(-_difference(real, fake)).mean()


@dataclass(frozen=True)
class FunctionObjective:
    """An objective given as one function: (real logits [N], fake logits [M]) -> (D's loss, G's loss).

    It is taken for paired, since a function does not say whether it is.
    """

    function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    paired: bool = True

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`; each part is half of the loss."""
        half = self._losses(real, fake)[0] / 2
        return half, half

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """See `Objective`."""
        return self._losses(real, fake)[1]

    def _losses(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        name = getattr(self.function, "__name__", "objective")
        return _two_scalars(name, "(discriminator loss, generator loss)", self.function(real, fake))


@dataclass(frozen=True)
class CheckedObjective:
    """An objective of the user's, whose losses are checked to be scalars."""

    objective: Objective

    @property
    def paired(self) -> bool:
        """See `Objective`."""
        return self.objective.paired

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        losses = self.objective.discriminator_loss(real, fake)
        return _two_scalars(type(self.objective).__name__, "(loss for real, loss for fake images)", losses)

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """See `Objective`."""
        loss = self.objective.generator_loss(real, fake)
        return require_scalar(f"objective {type(self.objective).__name__}", loss)


def _mean(losses: object) -> Tensor:
    if not isinstance(losses, Tensor):
        raise RecipeError(f"objective: expected a tensor of one loss for each logit, got {_describe(losses)}")
    return losses.mean()


def _two_scalars(name: str, expected: str, losses: object) -> tuple[Tensor, Tensor]:
    if isinstance(losses, tuple) and len(losses) == 2 and all(map(_is_scalar, losses)):
        return losses
    raise RecipeError(
        f"objective {name}: expected {expected}, two scalar tensors; got {_describe(losses)}; take means "
        f"over the batch"
    )


def require_scalar(what: str, value: object) -> Tensor:
    """Return `value` if it is a tensor of one number, as a loss must be.

    Raises:
        RecipeError: it is something else; `what` names where it comes from.
    """
    if isinstance(value, Tensor) and _is_scalar(value):
        return value
    raise RecipeError(f"{what}: expected a scalar tensor, got {_describe(value)}; take means over the batch")


def _is_scalar(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() == 0 and value.is_floating_point()


def _describe(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of " + (", ".join(map(_describe, value[:4])) or "nothing")
    if isinstance(value, Tensor):
        return f"a tensor {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def as_objective(value: object) -> Objective:
    """An objective, checked while it is used, or a function as a `FunctionObjective`.

    Raises:
        RecipeError: neither.
    """
    if isinstance(value, LogitwiseObjective | RelativisticObjective | FunctionObjective):
        return value
    if hasattr(value, "discriminator_loss") and hasattr(value, "generator_loss"):
        if not isinstance(getattr(value, "paired", None), bool):
            raise RecipeError(f"objective {type(value).__name__}: expected `paired` to be True or False")
        return CheckedObjective(value)  # type: ignore[arg-type]
    if callable(value):
        return FunctionObjective(value)
    raise RecipeError(f"objective: expected a function of real and fake logits, got {type(value).__name__}")


def _difference(real: Tensor, fake: Tensor) -> Tensor:
    pairs = min(len(real), len(fake))
    return real[:pairs] - fake[:pairs]


def _bce_real(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 1: -log sigmoid(logit)."""
    return F.softplus(-logits)


def _bce_fake(logits: Tensor) -> Tensor:
    """Binary cross-entropy against the label 0: -log(1 - sigmoid(logit))."""
    return F.softplus(logits)


OBJECTIVES: Registry[Objective] = Registry("objective", RecipeError)

# Goodfellow et al. 2014, arXiv 1406.2661, equation 1, with section 3's -log D(G(z)) for the generator
OBJECTIVES.register("non_saturating", LogitwiseObjective(_bce_real, _bce_fake, _bce_real))
# the same, equation 1 as it stands: G minimizes log(1 - D(G(z)))
OBJECTIVES.register("saturating", LogitwiseObjective(_bce_real, _bce_fake, lambda logits: -_bce_fake(logits)))
# Mao et al. 2017, arXiv 1611.04076, equation 9: a = 0, b = c = 1
OBJECTIVES.register(
    "least_squares",
    LogitwiseObjective(
        lambda logits: (logits - 1).square() / 2,
        lambda logits: logits.square() / 2,
        lambda logits: (logits - 1).square() / 2,
    ),
)
# Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957, equations 16 and 17
OBJECTIVES.register(
    "hinge",
    LogitwiseObjective(
        lambda logits: F.relu(1 - logits), lambda logits: F.relu(1 + logits), lambda logits: -logits
    ),
)
# Arjovsky et al. 2017, arXiv 1701.07875, equations 2 and 3; a penalty is to keep D Lipschitz
OBJECTIVES.register(
    "wasserstein", LogitwiseObjective(lambda logits: -logits, lambda logits: logits, lambda logits: -logits)
)
# RpGAN with the logistic function, as in Huang et al. 2024 (R3GAN), arXiv 2501.05441, equation 2
OBJECTIVES.register("relativistic", RelativisticObjective(_bce_real))

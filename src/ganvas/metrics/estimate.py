"""A number and how far it can be trusted."""

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """A score and its standard error, computed by the method that the score's function states."""

    value: float
    stderr: float


def mean_of(samples: Tensor) -> Estimate:
    """The mean of `samples` [N], N >= 2, one number or truth value a sample, and its standard error."""
    values = samples.double()
    error = values.std(correction=1) / len(values) ** 0.5
    return Estimate(values.mean().item(), error.item())

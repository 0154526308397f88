"""What the metrics share: `Estimate`, and the validation of their arguments."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganvas.errors import DataError, UserError


class Estimate(NamedTuple):
    """A score and its standard error, computed by the method that the score's function states."""

    value: float
    stderr: float


def mean_of(samples: Tensor) -> Estimate:
    """The mean of `samples` [N], N >= 2, numbers or booleans, and its standard error."""
    values = samples.double()
    error = values.std(correction=1) / len(values) ** 0.5
    return Estimate(values.mean().item(), error.item())


def check_features(tensor: Tensor, name: str, *, at_least: int = 2) -> Tensor:
    """Return features [N, D] detached from their gradients, half precision as float32.

    Raises:
        DataError: not floating [N, D], fewer than `at_least` samples, or values that are not finite.
    """
    if tensor.ndim != 2 or tensor.shape[1] == 0 or not tensor.is_floating_point():
        raise DataError(
            f"{name}: expected features, float32 [N, D], got {_describe(tensor)}; "
            f"pass one row of numbers for each sample"
        )
    if len(tensor) < at_least:
        raise DataError(f"{name}: expected {at_least} or more samples, got {len(tensor)}; pass more of them")
    # The sum is finite only if every value is, and needs no boolean tensor; values are checked one by one
    # only where the sum is not finite or overflows.
    if not tensor.sum(dtype=torch.float64).isfinite() and not tensor.isfinite().all():
        broken = int((~tensor.isfinite()).any(dim=1).sum())
        raise DataError(
            f"{name}: expected finite features, got {broken} of {len(tensor)} samples with NaN or infinity; "
            f"check their images"
        )
    return tensor.detach() if tensor.element_size() >= 4 else tensor.detach().float()


def check_same_width(a: int, b: int, names: str) -> None:
    """Refuse features of different widths.

    Raises:
        DataError: `a` and `b`, the numbers of features, differ.
    """
    if a != b:
        raise DataError(
            f"{names}: expected features of one network, got {a} and {b} per sample; use the same for both"
        )


def check_int(value: int, name: str, *, at_least: int, at_most: int | None = None) -> None:
    """Refuse a count out of its range.

    Raises:
        UserError: `value` is not within [at_least, at_most].
    """
    if value < at_least or (at_most is not None and value > at_most):
        expected = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        raise UserError(f"{name}: expected {expected}, got {value}; choose another")


def check_labels(tensor: Tensor, name: str, *, width: int | None = None, below: int) -> Tensor:
    """Classes int64 [N] (or [N, width]), each within [0, below).

    Raises:
        DataError: another shape or type, no samples, or a class out of range.
    """
    shape = "[N]" if width is None else f"[N, {width}]"
    fits = tensor.ndim == 1 if width is None else tensor.ndim == 2 and tensor.shape[1] == width
    if not fits or tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise DataError(
            f"{name}: expected classes, int64 {shape}, got {_describe(tensor)}; pass whole numbers"
        )
    if len(tensor) == 0:
        raise DataError(f"{name}: expected 1 or more samples, got none; pass more of them")
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= below:
        raise DataError(
            f"{name}: expected classes from 0 to {below - 1}, got {low} to {high}; "
            f"check the number of classes"
        )
    return tensor.long()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"

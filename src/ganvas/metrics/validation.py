"""What every metric asks of its arguments, so that a wrong one is one clear line and not a wrong number."""

import torch
from torch import Tensor

from ganvas.errors import DataError, UserError


def check_features(tensor: Tensor, name: str, *, at_least: int = 2) -> Tensor:
    """Features [N, D] as they came, without their gradients, halves as float32.

    Raises:
        DataError: not floating [N, D], fewer than `at_least` samples, or values that are not finite.
    """
    if tensor.ndim != 2 or tensor.shape[1] == 0 or not tensor.is_floating_point():
        raise DataError(
            f"{name}: expected features, float32 [N, D], got {_said(tensor)}; "
            f"hand in a row of numbers for each sample"
        )
    if len(tensor) < at_least:
        raise DataError(
            f"{name}: expected {at_least} or more samples, got {len(tensor)}; hand in more of them"
        )
    # The sum is finite only if everything is, and needs no second tensor of truth values; only where it is
    # not, or overflows, is everything looked at.
    if not tensor.sum(dtype=torch.float64).isfinite() and not tensor.isfinite().all():
        broken = int((~tensor.isfinite()).any(dim=1).sum())
        raise DataError(
            f"{name}: expected finite features, got {broken} of {len(tensor)} samples with NaN or infinity; "
            f"look at the images they come from"
        )
    return tensor.detach() if tensor.element_size() >= 4 else tensor.detach().float()


def check_same_width(a: int, b: int, names: str) -> None:
    """Refuse features of two networks.

    Raises:
        DataError: `a` and `b` numbers a sample differ.
    """
    if a != b:
        raise DataError(
            f"{names}: expected features of one network, got {a} and {b} numbers a sample; compute both anew"
        )


def check_int(value: int, name: str, *, at_least: int, at_most: int | None = None) -> None:
    """Refuse a count out of its range.

    Raises:
        UserError: `value` is not within [at_least, at_most].
    """
    if value < at_least or (at_most is not None and value > at_most):
        wanted = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        raise UserError(f"{name}: expected {wanted}, got {value}; choose another")


def check_labels(tensor: Tensor, name: str, *, width: int | None = None, below: int) -> Tensor:
    """Classes int64 [N] (or [N, width]), each within [0, below).

    Raises:
        DataError: another shape or type, no samples, or a class out of range.
    """
    shape = "[N]" if width is None else f"[N, {width}]"
    fits = tensor.ndim == 1 if width is None else tensor.ndim == 2 and tensor.shape[1] == width
    if not fits or tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise DataError(
            f"{name}: expected classes, int64 {shape}, got {_said(tensor)}; hand in whole numbers"
        )
    if len(tensor) == 0:
        raise DataError(f"{name}: expected 1 or more samples, got none; hand in more of them")
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= below:
        raise DataError(
            f"{name}: expected classes from 0 to {below - 1}, got {low} to {high}; "
            f"say how many classes there are"
        )
    return tensor.long()


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"

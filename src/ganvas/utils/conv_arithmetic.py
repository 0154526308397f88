"""Sizes, padding and operations of "same" convolutions, as TensorFlow defines them. Imports no torch."""

from __future__ import annotations


def strided_sides(side: int, strides: list[int]) -> list[int]:
    """Sides of the maps on the way down: each stride divides and rounds up.

    >>> strided_sides(28, [2, 2])
    [28, 14, 7]
    """
    sides = [side]
    for stride in strides:
        sides.append(-(-sides[-1] // stride))
    return sides


def same_padding(large: int, small: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's "same": the odd pixel goes to the end.

    `large` is a convolution's input side and a transposed convolution's output side.
    """
    total = max((small - 1) * stride + kernel - large, 0)
    return total // 2, total - total // 2


def kernel_taps(large: int, small: int, kernel: int, stride: int) -> int:
    """Pairs of a kernel's tap and a pixel of the larger side, in one dimension, without those on padding.

    The same for a "same" convolution from `large` to `small` and for its transpose.

    >>> kernel_taps(7, 7, 5, 1)  # 35 less the 6 on padding
    29
    """
    before, _ = same_padding(large, small, kernel, stride)
    starts = [i * stride - before for i in range(small)]
    return sum(min(start + kernel, large) - max(start, 0) for start in starts)

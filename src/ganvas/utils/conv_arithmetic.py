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


def macs_per_axis(
    large: int, small: int, kernel: int, stride: int, before: int | None = None, dilation: int = 1
) -> int:
    """Count the pairs of a kernel pixel and a pixel of the larger side along one axis, without padding.

    The same for a convolution from `large` to `small` and for its transpose.

    Args:
        large: a convolution's input side, a transposed convolution's output side.
        small: the other side.
        kernel: side of the kernel.
        stride: pixels of the larger side from one position to the next.
        before: pixels of padding before the larger side; those of "same" where None.
        dilation: pixels from one kernel pixel to the next.

    >>> macs_per_axis(7, 7, 5, 1)  # 35 less the 6 on padding
    29
    """
    if before is None:
        before, _ = same_padding(large, small, kernel, stride)
    if dilation == 1:
        starts = [i * stride - before for i in range(small)]
        return sum(max(min(start + kernel, large) - max(start, 0), 0) for start in starts)
    return sum(0 <= i * stride - before + j * dilation < large for i in range(small) for j in range(kernel))

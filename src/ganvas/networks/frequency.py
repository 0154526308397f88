"""Convolutions over small maps of many channels, by the convolution theorem.

A 5x5 kernel over 7x7 pixels costs 841 products a pair of channels, and 121 among frequencies: three for each
complex one (Gauss's way), one for each real. All that is done here is linear in the map and in the kernel and
written as products of matrices:

    y = C (A x * B w),    A [r, H * W], B [r, taps], C [H * W, r],

where * stands for r products of matrices, each over all images and channels. In fp32 it is as exact as the
sum itself; in bf16 it rounds twice as coarsely. A stride s makes s * s channels of each: every s-th pixel is
a map of its own, every s-th tap a kernel. Source: Mathieu, Henaff and LeCun 2014, arXiv 1312.5851.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.networks.products import batched_product, rounded, tracing

WORTH = 0.6  # of the plain convolution's products, at most, counting those of A and C

Offsets = range  # how many pixels on from its pixel each tap of the kernel writes, in one direction
Pair = tuple[int, int]


class Shape(NamedTuple):
    """A convolution between a larger map, all sides a multiple of the stride, and a smaller one."""

    channels: Pair  # of the larger map and of the smaller
    size: Pair  # height and width of the smaller map
    kernel: int
    stride: int
    before: Pair  # padding above and on the left

    def offsets(self, axis: int) -> Offsets:
        """Of the larger map's places, `stride` pixels each, against the smaller map's pixels."""
        first = -self.before[axis] // self.stride
        last = (self.kernel - 1 - self.before[axis]) // self.stride
        return range(first, last + 1)


class Plan(NamedTuple):
    """The three matrices."""

    a: Tensor
    b: Tensor
    c: Tensor


def suits(x: Tensor, shape: Shape) -> bool:
    """Whether this convolution, or its transpose, is better made here."""
    return x.device.type == "cpu" and min(shape.channels) >= 16 and not tracing() and _pays(shape)


@functools.cache
def _pays(shape: Shape) -> bool:
    both, phases = math.prod(shape.channels), shape.stride**2
    plain = both * math.prod(_pairs(shape, axis) for axis in (0, 1))
    offsets = shape.offsets(0), shape.offsets(1)
    period = math.prod(_period(side, taps) for side, taps in zip(shape.size, offsets, strict=True))
    transforms = math.prod(shape.size) * (phases * shape.channels[0] + shape.channels[1])
    return 3 * period // 2 * (phases * both + transforms) <= WORTH * plain


def _pairs(shape: Shape, axis: int) -> int:
    """How many pairs of a tap and a pixel of the smaller map do not fall on padding."""
    large = shape.size[axis] * shape.stride
    starts = [i * shape.stride - shape.before[axis] for i in range(shape.size[axis])]
    return sum(min(start + shape.kernel, large) - max(start, 0) for start in starts)


def convolve(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """A convolution of x [N, C, H, W] by weight [out, C, k, k] -> [N, out, h, w]."""
    x, weight = _as_rounded(x, weight)
    n, (height, width) = len(x), shape.size
    places = _to_phases(x, shape.stride).reshape(n, height * width, -1)
    kernels = _kernels(weight.permute(2, 3, 0, 1), shape)  # [out, taps, phases * C]
    # Seen from the larger map, a tap at offset d writes d places back.
    a, b, c = _plan(shape.size, *(tuple(-d for d in shape.offsets(axis)) for axis in (0, 1)), x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = _together(c, batched_product(_apart(a, places), _apart(b, kernels).transpose(1, 2)))
    return y.view(n, height, width, -1).permute(0, 3, 1, 2)


def convolve_transposed(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """A transposed convolution of x [N, C, h, w] by weight [C, out, k, k] -> [N, out, H, W]."""
    x, weight = _as_rounded(x, weight)
    n, (height, width) = len(x), shape.size
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, -1)
    kernels = _kernels(weight.permute(2, 3, 0, 1), shape)  # [C, taps, phases * out]
    a, b, c = _plan(shape.size, *(tuple(shape.offsets(axis)) for axis in (0, 1)), x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = _together(c, batched_product(_apart(a, pixels), _apart(b, kernels)))
    return _from_phases(y.view(n, height, width, -1), shape.stride)


def _as_rounded(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    if not rounded(x):
        return x, weight
    half = torch.get_autocast_dtype(x.device.type)
    return x.to(half), weight.to(half)


def _to_phases(x: Tensor, stride: int) -> Tensor:
    """[N, C, h * s, w * s] -> [N, h, w, s * s * C]: pixels that lie together become channels."""
    n, channels, height, width = x.shape
    places = x.permute(0, 2, 3, 1).reshape(n, height // stride, stride, width // stride, stride, channels)
    return places.transpose(2, 3).flatten(3)


def _from_phases(y: Tensor, stride: int) -> Tensor:
    """The way back, channels-last."""
    n, height, width, _ = y.shape
    pixels = y.view(n, height, width, stride, stride, -1).transpose(2, 3)
    return pixels.reshape(n, height * stride, width * stride, -1).permute(0, 3, 1, 2)


def _kernels(weight: Tensor, shape: Shape) -> Tensor:
    """[k, k, small, large] -> [small, taps, s * s * large]: taps sorted by place and pixel within."""
    stride, sides = shape.stride, [len(shape.offsets(axis)) for axis in (0, 1)]
    before = [-shape.before[axis] % stride for axis in (0, 1)]
    behind = [sides[axis] * stride - before[axis] - shape.kernel for axis in (0, 1)]
    padded = F.pad(weight, (0, 0, 0, 0, before[1], behind[1], before[0], behind[0]))
    split = padded.view(sides[0], stride, sides[1], stride, *weight.shape[2:])
    return split.permute(4, 0, 2, 1, 3, 5).flatten(3).flatten(1, 2)


def _period(side: int, offsets: Offsets | tuple[int, ...]) -> int:
    """The shortest period at which what leaves the map on one side comes back outside of it on the other."""
    return side + max(0, max(offsets), -min(offsets))


@functools.cache
def _plan(size: Pair, rows: tuple[int, ...], columns: tuple[int, ...], dtype: torch.dtype) -> Plan:
    """Matrices for a map of `size` and taps that write so many pixels on, by frequency.

    Of two opposite frequencies one is enough: the other's numbers are its conjugates.
    """
    periods = _period(size[0], rows), _period(size[1], columns)
    pixels = _grid(range(size[0]), range(size[1]))
    taps = _grid(rows, columns)
    a: list[Tensor] = []
    b: list[Tensor] = []
    c: list[Tensor] = []
    for u in range(periods[0]):
        for v in range(periods[1]):
            opposite = -u % periods[0], -v % periods[1]
            if opposite < (u, v):
                continue
            turns = torch.tensor([u / periods[0], v / periods[1]], dtype=torch.float64) * 2 * math.pi
            x_re, x_im = (pixels @ turns).cos(), -(pixels @ turns).sin()
            w_re, w_im = (taps @ turns).cos(), -(taps @ turns).sin()
            y_re, y_im = x_re / math.prod(periods), x_im / math.prod(periods)
            if opposite == (u, v):  # a real number
                a, b, c = [*a, x_re], [*b, w_re], [*c, y_re]
                continue
            # With p = (x_re + x_im) w_re, q = x_re (w_im - w_re), s = x_im (w_re + w_im), the product of
            # both complex numbers is (p - s) + i (p + q); the opposite frequency adds the same once more.
            a += [x_re + x_im, x_re, x_im]
            b += [w_re, w_im - w_re, w_re + w_im]
            c += [2 * (y_re + y_im), 2 * y_im, -2 * y_re]
    return Plan(torch.stack(a).to(dtype), torch.stack(b).to(dtype), torch.stack(c, 1).to(dtype))


def _grid(rows: Iterable[int], columns: Iterable[int]) -> Tensor:
    """All pairs, row after row: float64 [pairs, 2]."""
    return torch.cartesian_prod(torch.tensor([*rows]), torch.tensor([*columns])).double().view(-1, 2)


def _apart(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrix [r, p] times x [N, p, C] -> [r, N, C]."""
    found: Tensor = _Apart.apply(matrix, x)  # type: ignore[no-untyped-call]
    return found


def _together(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrix [p, r] times x [r, N, C] -> [N, p, C]."""
    found: Tensor = _Together.apply(matrix, x)  # type: ignore[no-untyped-call]
    return found


class _Apart(torch.autograd.Function):
    """Written to where it is read next: by the frequency, without a copy."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        n, _, channels = x.shape
        y = x.new_empty(len(matrix), n, channels)
        torch.bmm(matrix.expand(n, -1, -1), x, out=y.transpose(0, 1))
        return y

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, _together(matrix.t(), signals[0])


class _Together(torch.autograd.Function):
    """The transpose of `_Apart`."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return torch.bmm(matrix.expand(x.shape[1], -1, -1), x.transpose(0, 1))

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, _apart(matrix.t(), signals[0])

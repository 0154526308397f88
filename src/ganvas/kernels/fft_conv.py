"""Convolutions over small maps of many channels, by the convolution theorem.

A 5x5 kernel over 7x7 pixels takes 841 multiplications per pair of channels, and 121 in the frequency domain:
three for two complex numbers (Gauss), one for two real ones. The transforms are linear in the map and in the
kernel, so they are written as matrix multiplications:

    y = C (A x * B w),    A [r, H * W], B [r, kernel pixels], C [H * W, r],

where * stands for r matrix multiplications, each over all images and channels. In float32 the result is as
exact as the plain sum; in bfloat16 it is rounded twice. A stride s splits each channel into s * s channels:
every s-th pixel forms a map, every s-th kernel pixel a kernel. Source: Mathieu, Henaff and LeCun 2014, arXiv
1312.5851.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.kernels.matmul import batched_multiply, is_tracing
from ganvas.utils.conv_arithmetic import macs_per_axis
from ganvas.utils.devices import in_autocast

MAX_COST_RATIO = 0.6
"""Used up to this fraction of the plain convolution's multiplications, those of A and C included."""

Offsets = range
"""Distances, in pixels of the smaller map and in one direction, at which the kernel's pixels write."""

Pair = tuple[int, int]


class Shape(NamedTuple):
    """A convolution between a larger map, all sides a multiple of the stride, and a smaller one."""

    channels: Pair  # of the larger map and of the smaller
    size: Pair  # height and width of the smaller map
    kernel: int
    stride: int
    before: Pair  # pixels of padding at the top and on the left

    def offsets(self, axis: int) -> Offsets:
        """Offsets of the larger map's cells, `stride` pixels wide, relative to the smaller map's pixels."""
        first = -self.before[axis] // self.stride
        last = (self.kernel - 1 - self.before[axis]) // self.stride
        return range(first, last + 1)


class Plan(NamedTuple):
    """The matrices of the module's equation."""

    a: Tensor
    b: Tensor
    c: Tensor


def is_applicable(x: Tensor, shape: Shape) -> bool:
    """Return whether this convolution, or its transpose, is expected to be faster here."""
    return x.device.type == "cpu" and min(shape.channels) >= 16 and not is_tracing() and _is_cheaper(shape)


@functools.cache
def _is_cheaper(shape: Shape) -> bool:
    both, phases = math.prod(shape.channels), shape.stride**2
    plain = both * math.prod(
        macs_per_axis(side * shape.stride, side, shape.kernel, shape.stride) for side in shape.size
    )
    offsets = shape.offsets(0), shape.offsets(1)
    period = math.prod(_period(side, axis) for side, axis in zip(shape.size, offsets, strict=True))
    transforms = math.prod(shape.size) * (phases * shape.channels[0] + shape.channels[1])
    return 3 * period // 2 * (phases * both + transforms) <= MAX_COST_RATIO * plain


def conv2d(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Return the convolution of x [N, C, H, W] with weight [out, C, k, k]: [N, out, h, w]."""
    x, weight = _as_rounded(x, weight)
    n, (height, width) = len(x), shape.size
    cells = _to_phases(x, shape.stride).reshape(n, height * width, -1)
    kernels = _kernels(weight.permute(2, 3, 0, 1), shape)  # [out, cells, phases * C]
    # From the larger map to the smaller, a kernel pixel at offset d writes to offset -d.
    a, b, c = _plan(shape.size, *(tuple(-d for d in shape.offsets(axis)) for axis in (0, 1)), x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = _from_frequencies(
            c, batched_multiply(_to_frequencies(a, cells), _to_frequencies(b, kernels).transpose(1, 2))
        )
    return y.view(n, height, width, -1).permute(0, 3, 1, 2)


def conv_transpose2d(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Return the transposed convolution of x [N, C, h, w] with weight [C, out, k, k]: [N, out, H, W]."""
    x, weight = _as_rounded(x, weight)
    n, (height, width) = len(x), shape.size
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, -1)
    kernels = _kernels(weight.permute(2, 3, 0, 1), shape)  # [C, cells, phases * out]
    a, b, c = _plan(shape.size, *(tuple(shape.offsets(axis)) for axis in (0, 1)), x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = _from_frequencies(c, batched_multiply(_to_frequencies(a, pixels), _to_frequencies(b, kernels)))
    return _from_phases(y.view(n, height, width, -1), shape.stride)


def _as_rounded(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    if not in_autocast(x):
        return x, weight
    half = torch.get_autocast_dtype(x.device.type)
    return x.to(half), weight.to(half)


def _to_phases(x: Tensor, stride: int) -> Tensor:
    """[N, C, h * s, w * s] -> [N, h, w, s * s * C]: the pixels of each s by s cell become channels."""
    n, channels, height, width = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(n, height // stride, stride, width // stride, stride, channels)
    return cells.transpose(2, 3).flatten(3)


def _from_phases(y: Tensor, stride: int) -> Tensor:
    """The inverse of `_to_phases`, in channels-last memory."""
    n, height, width, _ = y.shape
    pixels = y.view(n, height, width, stride, stride, -1).transpose(2, 3)
    return pixels.reshape(n, height * stride, width * stride, -1).permute(0, 3, 1, 2)


def _kernels(weight: Tensor, shape: Shape) -> Tensor:
    """[k, k, small, large] -> [small, cells, s * s * large]: kernel pixels by cell, then by pixel in it."""
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
    """Matrices for a map of `size` and kernel pixels that write at these offsets, by frequency.

    Of two opposite frequencies one is enough: the other's numbers are its conjugates.
    """
    periods = _period(size[0], rows), _period(size[1], columns)
    pixels = _grid(range(size[0]), range(size[1]))
    offsets = _grid(rows, columns)
    a: list[Tensor] = []
    b: list[Tensor] = []
    c: list[Tensor] = []
    for u in range(periods[0]):
        for v in range(periods[1]):
            opposite = -u % periods[0], -v % periods[1]
            if opposite < (u, v):
                continue
            angles = torch.tensor([u / periods[0], v / periods[1]], dtype=torch.float64) * 2 * math.pi
            x_re, x_im = (pixels @ angles).cos(), -(pixels @ angles).sin()
            w_re, w_im = (offsets @ angles).cos(), -(offsets @ angles).sin()
            y_re, y_im = x_re / math.prod(periods), x_im / math.prod(periods)
            if opposite == (u, v):  # a real number
                a, b, c = [*a, x_re], [*b, w_re], [*c, y_re]
                continue
            # With p = (x_re + x_im) w_re, q = x_re (w_im - w_re), s = x_im (w_re + w_im), the complex product
            # is (p - s) + i (p + q); the opposite frequency contributes the same again.
            a += [x_re + x_im, x_re, x_im]
            b += [w_re, w_im - w_re, w_re + w_im]
            c += [2 * (y_re + y_im), 2 * y_im, -2 * y_re]
    return Plan(torch.stack(a).to(dtype), torch.stack(b).to(dtype), torch.stack(c, 1).to(dtype))


def _grid(rows: Iterable[int], columns: Iterable[int]) -> Tensor:
    """Return all (row, column) pairs in row-major order: float64 [pairs, 2]."""
    return torch.cartesian_prod(torch.tensor([*rows]), torch.tensor([*columns])).double().view(-1, 2)


def _to_frequencies(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrix [r, p] times x [N, p, C] -> [r, N, C]."""
    y: Tensor = _ToFrequencies.apply(matrix, x)  # type: ignore[no-untyped-call]
    return y


def _from_frequencies(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrix [p, r] times x [r, N, C] -> [N, p, C]."""
    y: Tensor = _FromFrequencies.apply(matrix, x)  # type: ignore[no-untyped-call]
    return y


class _ToFrequencies(torch.autograd.Function):
    """Writes frequency-major memory, as it is read next, without a copy."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        n, _, channels = x.shape
        y = x.new_empty(len(matrix), n, channels)
        torch.bmm(matrix.expand(n, -1, -1), x, out=y.transpose(0, 1))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, _from_frequencies(matrix.t(), grads[0])


class _FromFrequencies(torch.autograd.Function):
    """The transpose of `_ToFrequencies`."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return torch.bmm(matrix.expand(x.shape[1], -1, -1), x.transpose(0, 1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, _to_frequencies(matrix.t(), grads[0])

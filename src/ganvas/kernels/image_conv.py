"""Convolutions from or to images of up to 4 channels, as one matrix multiplication each.

oneDNN's convolutions are made for many channels on both sides and reach a tenth of their speed with few. Here
the image is unfolded into patches (im2col), or patches are summed to an image (col2im), so that the pixels of
the kernel multiply the channels. Rows are pixels in channels-last order: the larger tensor is never copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.kernels.matmul import is_tracing, linear
from ganvas.utils.devices import to_float32

MAX_CHANNELS = 4
_MAX_PATCH_BYTES = 2**28  # many large images use oneDNN, which needs no patches

Size = tuple[int, int]


def is_applicable(x: Tensor, channels: int, positions: int, kernel: int) -> bool:
    """Return whether a convolution from or to an image is faster here.

    Args:
        x: the input, of which only the batch size and the device count.
        channels: of the image.
        positions: of the kernel on each image, that is pixels of the smaller map.
        kernel: side of the kernel.
    """
    patches = 4 * len(x) * positions * channels * kernel * kernel
    fits = channels <= MAX_CHANNELS and x.device.type == "cpu" and patches <= _MAX_PATCH_BYTES
    return fits and not is_tracing()


def conv_from_image(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Size, size: Size
) -> Tensor:
    """Return the convolution of images, [N, out, *size].

    Args:
        x: images [N, C, H, W].
        weight: [out, C, k, k].
        bias: [out] or None.
        stride: in both directions.
        before: pixels of padding at the top and on the left; the other sides get as many as needed.
        size: height and width of the result.
    """
    out, _, kernel, _ = weight.shape
    patches = _patches(x, kernel, stride, before, size)
    y = linear(patches.flatten(0, 2), weight.flatten(1))
    if bias is not None:
        y = y.add_(bias.to(y.dtype))
    return y.view(len(x), *size, out).permute(0, 3, 1, 2)


def _patches(x: Tensor, kernel: int, stride: int, before: Size, size: Size) -> Tensor:
    """[N, C, H, W] -> [N, *size, C * k * k]: the patch under the kernel at each position."""
    after = [
        (n - 1) * stride + kernel - first - length
        for n, first, length in zip(size, before, x.shape[2:], strict=True)
    ]
    x = F.pad(x, (before[1], after[1], before[0], after[0]))
    patches = x.unfold(2, kernel, stride).unfold(3, kernel, stride)  # [N, C, h, w, k, k]
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(3)


def conv_transpose_to_image(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Size, size: Size
) -> Tensor:
    """Return the transposed convolution of x as images [N, C, *size].

    Args:
        x: [N, in, h, w].
        weight: [in, C, k, k].
        bias: [C] or None.
        stride: in both directions.
        before: pixels cropped at the top and on the left; the other sides are cropped to `size`.
        size: height and width of the image.
    """
    inputs, channels, kernel, _ = weight.shape
    n, _, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, inputs)
    patches = linear(rows, weight.flatten(1).t())  # [N * h * w, C * k * k]
    y: Tensor = _SumPatches.apply(  # type: ignore[no-untyped-call]
        patches.view(n, h, w, channels * kernel * kernel), channels, kernel, stride, before, size
    )
    return y if bias is None else y + bias.view(1, -1, 1, 1)


class _SumPatches(torch.autograd.Function):
    """Patches [N, h, w, C * k * k] -> the image that is their sum: the transpose of `_patches`."""

    @staticmethod
    def forward(
        ctx: Any, patches: Tensor, channels: int, kernel: int, stride: int, before: Size, size: Size
    ) -> Tensor:
        """Return the image [N, C, *size]."""
        n, h, w, _ = patches.shape
        ctx.settings = kernel, stride, before, (h, w)
        full = [(side - 1) * stride + kernel for side in (h, w)]
        columns = to_float32(patches).view(n, h * w, channels * kernel * kernel).transpose(1, 2)
        y = F.fold(columns, (full[0], full[1]), kernel, stride=stride)
        after = [
            max(first + side - length, 0) for first, side, length in zip(before, size, full, strict=True)
        ]
        (top, left), (height, width) = before, size
        y = F.pad(y, (0, after[1], 0, after[0]))[:, :, top : top + height, left : left + width]
        return y.to(patches.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the patches."""
        kernel, stride, before, size = ctx.settings
        patches = _patches(grads[0].contiguous(), kernel, stride, before, size)
        return patches, None, None, None, None, None

"""Convolutions whose one side is an image, of 1 or 3 channels: as one product of matrices each.

oneDNN's convolutions are made for many channels on both sides, and reach a tenth of their rate here. The
kernel's taps take the place of the missing channels: an image is cut into patches, or patches are added up.

All rows are pixels in channels-last order, so that neither side needs a copy of its larger tensor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.networks.products import linear, tracing, whole

CHANNELS = 4  # at most, on the image's side
_BYTES = 2**28  # of patches, at most: many large images go through oneDNN after all

Side = tuple[int, int]


def suits(x: Tensor, channels: int, places: int, kernel: int) -> bool:
    """Whether a convolution is better made here.

    Args:
        x: what goes in.
        channels: of the image.
        places: where the kernel is put down on each image.
        kernel: its side.
    """
    patches = 4 * len(x) * places * channels * kernel * kernel
    fits = channels <= CHANNELS and x.device.type == "cpu" and patches <= _BYTES
    return fits and not tracing()


def from_image(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Side, side: Side
) -> Tensor:
    """A convolution of an image [N, C, H, W] by weight [out, C, k, k] to [N, out, *side].

    Args:
        x: the image.
        weight: the kernel.
        bias: [out] or None.
        stride: of the kernel.
        before: pixels of padding above and on the left; behind it are as many as the kernel needs.
        side: height and width of what comes out.
    """
    out, _, kernel, _ = weight.shape
    patches = _patches(x, kernel, stride, before, side)
    y = linear(patches.flatten(0, 2), weight.flatten(1))
    if bias is not None:
        y = y.add_(bias.to(y.dtype))
    return y.view(len(x), *side, out).permute(0, 3, 1, 2)


def _patches(x: Tensor, kernel: int, stride: int, before: Side, side: Side) -> Tensor:
    """[N, C, H, W] -> [N, *side, C * k * k]: what the kernel sees at each place."""
    behind = [
        (n - 1) * stride + kernel - first - size
        for n, first, size in zip(side, before, x.shape[2:], strict=True)
    ]
    x = F.pad(x, (before[1], behind[1], before[0], behind[0]))
    seen = x.unfold(2, kernel, stride).unfold(3, kernel, stride)  # [N, C, h, w, k, k]
    return seen.permute(0, 2, 3, 1, 4, 5).flatten(3)


def to_image(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Side, size: Side) -> Tensor:
    """A transposed convolution of x [N, in, h, w] by weight [in, C, k, k] to an image [N, C, *size].

    Args:
        x: many channels.
        weight: the kernel.
        bias: [C] or None.
        stride: of the kernel.
        before: pixels cut off above and on the left; behind, what is beyond `size`.
        size: height and width of the image.
    """
    inputs, channels, kernel, _ = weight.shape
    n, _, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, inputs)
    taps = linear(rows, weight.flatten(1).t())  # [N * h * w, C * k * k]
    y: Tensor = _Added.apply(  # type: ignore[no-untyped-call]
        taps.view(n, h, w, channels * kernel * kernel), channels, kernel, stride, before, size
    )
    return y if bias is None else y + bias.view(1, -1, 1, 1)


class _Added(torch.autograd.Function):
    """Patches [N, h, w, C * k * k] added up to an image: the transpose of cutting it into patches."""

    @staticmethod
    def forward(
        ctx: Any, patches: Tensor, channels: int, kernel: int, stride: int, before: Side, size: Side
    ) -> Tensor:
        n, h, w, _ = patches.shape
        ctx.how = kernel, stride, before, (h, w)
        full = [(side - 1) * stride + kernel for side in (h, w)]
        by_tap = whole(patches).view(n, h * w, channels * kernel * kernel).transpose(1, 2)
        y = F.fold(by_tap, (full[0], full[1]), kernel, stride=stride)
        behind = [max(first + wanted - had, 0) for first, wanted, had in zip(before, size, full, strict=True)]
        (top, left), (height, width) = before, size
        y = F.pad(y, (0, behind[1], 0, behind[0]))[:, :, top : top + height, left : left + width]
        return y.to(patches.dtype)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor | None, ...]:
        kernel, stride, before, side = ctx.how
        patches = _patches(signals[0].contiguous(), kernel, stride, before, side)
        return patches, None, None, None, None, None

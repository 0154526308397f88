"""The layers that Keras and PyTorch understand differently, in Keras's sense.

Images are NCHW tensors in channels-last memory: what Keras calls NHWC, so that reshapes and flattens run in
Keras's order without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.networks import frequency, thin
from ganvas.networks.products import Linear, unrounded, whole
from ganvas.networks.spectral import SpectralNorm


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


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding. [N, C, H, W] -> [N, out, ceil(H/s), ceil(W/s)]."""

    gain: float | None = None  # of its first weights, where the rule is `scaled_normal`; 1 where None

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, bias: bool = True, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride, bias=bias, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        side = -(-x.shape[2] // stride), -(-x.shape[3] // stride)
        top, bottom = same_padding(x.shape[2], side[0], kernel, stride)
        left, right = same_padding(x.shape[3], side[1], kernel, stride)
        places = side[0] * side[1]
        if self.groups == 1 and thin.suits(x, self.in_channels, places, kernel):
            return thin.from_image(x, self.weight, self.bias, stride, (top, left), side)
        if self.groups == 1 == stride and thin.suits(x, self.out_channels, places, kernel):
            turned = self.weight.flip(2, 3).transpose(0, 1)  # a convolution is the transpose of its mirror
            before = kernel - 1 - top, kernel - 1 - left
            return thin.to_image(x, turned, self.bias, 1, before, side)
        shape = frequency.Shape((x.shape[1], self.out_channels), side, kernel, stride, (top, left))
        covered = (side[0] * stride, side[1] * stride) == x.shape[2:]
        if self.groups == 1 and covered and frequency.suits(x, shape):
            return _shifted(frequency.convolve(x, self.weight, shape), self.bias)
        if (top, left) != (bottom, right):
            # The convolution itself pads both sides alike: only the odd pixel is padded by a copy.
            x = F.pad(x, (0, right - left, 0, bottom - top))
        return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The exact transpose of a "same" convolution that takes `height` x `width` to the input's size."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, height: int, width: int, bias: bool
    ) -> None:
        super().__init__(channels, out, kernel, stride, bias=bias)
        self.height, self.width = height, width

    def forward(self, x: Tensor, output_size: object = None) -> Tensor:  # noqa: ARG002
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(self.height, x.shape[2], kernel, stride)
        left, right = same_padding(self.width, x.shape[3], kernel, stride)
        if thin.suits(x, self.out_channels, x.shape[2] * x.shape[3], kernel):
            return thin.to_image(x, self.weight, self.bias, stride, (top, left), (self.height, self.width))
        side = x.shape[2], x.shape[3]
        shape = frequency.Shape((self.out_channels, x.shape[1]), side, kernel, stride, (top, left))
        whole = (side[0] * stride, side[1] * stride) == (self.height, self.width)
        if whole and frequency.suits(x, shape):
            return _shifted(frequency.convolve_transposed(x, self.weight, shape), self.bias)
        y = F.conv_transpose2d(x, self.weight, self.bias, self.stride, (top, left))
        # `padding` crops both sides alike; "same" crops the odd pixel at the end.
        if (top, left) != (bottom, right):
            y = y[:, :, : self.height, : self.width]
        return y


def _shifted(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)


class KerasBatchNorm(nn.Module):
    """Batch norm over all but the channel axis, for [N, C] or [N, C, H, W].

    Training normalises with the batch's biased variance and moves the statistics as
    `moving = momentum * moving + (1 - momentum) * batch` (biased too, unlike PyTorch's). Source: Ioffe and
    Szegedy 2015, arXiv 1502.03167; Keras 3's BatchNormalization.
    """

    def __init__(self, channels: int, momentum: float, epsilon: float) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.tracks = True
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.moving_mean: Tensor
        self.moving_variance: Tensor
        self.register_buffer("moving_mean", torch.zeros(channels))
        self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        w, b = self.weight, self.bias
        count = x.numel() // x.shape[1]
        if not self.training:
            mean, variance = self.moving_mean, self.moving_variance
            return F.batch_norm(x, mean, variance, w, b, False, 0.0, self.epsilon)
        if count == 1:  # PyTorch refuses a single value a channel; as in Keras, it is its own mean
            if self.tracks:
                self._move(x.detach().flatten(), torch.zeros_like(self.moving_variance))
            return w.view_as(x) * (x - x) + b.view_as(x)
        if not self.tracks:
            return F.batch_norm(x, None, None, w, b, True, 0.0, self.epsilon)
        mean, variance = torch.zeros_like(self.moving_mean), torch.zeros_like(self.moving_variance)
        y = F.batch_norm(x, mean, variance, w, b, True, 1.0, self.epsilon)
        # PyTorch hands out the unbiased variance: take the correction back.
        self._move(mean, variance * ((count - 1) / count))
        return y

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor) -> None:
        self.moving_mean.lerp_(mean, 1 - self.momentum)
        self.moving_variance.lerp_(variance, 1 - self.momentum)


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Within, a network in training mode leaves its moving statistics alone."""
    norms = [m for m in network.modules() if isinstance(m, KerasBatchNorm | SpectralNorm)]
    for norm in norms:
        norm.tracks = False
    try:
        yield
    finally:
        for norm in norms:
            norm.tracks = True


@contextmanager
def inference(*networks: nn.Module) -> Iterator[None]:
    """Within, networks run in inference mode without gradients; after, each is as it was."""
    modes = [network.training for network in networks]
    try:
        for network in networks:
            network.eval()
        with torch.no_grad():
            yield
    finally:
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)


def mixes_samples(network: nn.Module) -> bool:
    """Whether a sample's output depends on the others of its batch in training (batch norm)."""
    return any(isinstance(m, KerasBatchNorm | nn.modules.batchnorm._BatchNorm) for m in network.modules())


class Dropout(nn.Module):
    """Dropout whose masks come from a seed of its own, so that a training step can be repeated.

    PyTorch's dropout draws a float per activation on one thread; 16 random bits per activation, read out
    of 64-bit integers, take a fraction of that. The rate is thereby rounded to 1/65536.
    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._source: torch.Generator | None = None

    def reseed(self, seed: int, device: torch.device) -> None:
        """Start the sequence of masks anew from `seed`."""
        if self._source is None or self._source.device != device:
            self._source = torch.Generator(device)
        self._source.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        # The full range of 64 bits: without bounds, random_ would leave the sign bit 0.
        words.random_(-(2**63), None, generator=self._source)
        bits = words.view(torch.int16)[: x.numel()]
        mask = torch.empty_like(x)  # in x's memory order
        order = mask.permute(0, 2, 3, 1) if _channels_last(mask) else mask
        threshold = min(round(self.rate * 65536), 65535) - 32768  # within 16 bits
        torch.ge(bits.view(order.shape), threshold, out=order)
        dropped: Tensor = _Masked.apply(x, mask, 1 / (1 - self.rate))  # type: ignore[no-untyped-call]
        return dropped


class _Masked(torch.autograd.Function):
    """Masked and scaled in one pass over memory, forth and back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return torch.addcmul(x.new_zeros(()), x, mask, value=scale)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        masked: Tensor = _Masked.apply(signals[0], mask, ctx.scale)  # type: ignore[no-untyped-call]
        return masked, None, None


def _channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


class ToMap(nn.Module):
    """[N, H * W * C] -> [N, C, H, W], in Keras's order: channels-last memory, no copy."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """[N, C, H, W] -> [N, H * W * C], in Keras's order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Logit(Linear):
    """The last layer of a discriminator: [N, features] -> logits float32 [N], in fp32 at any precision.

    With `classes` it gives one logit for each: [N, classes].
    """

    def __init__(self, features: int, classes: int = 0) -> None:
        super().__init__(features, classes or 1)
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        with unrounded(x):
            logits = super().forward(whole(x))
            return logits if self.classes else logits.squeeze(1)


class Tanh(nn.Tanh):
    """The last layer of a generator: float32 pixels in [-1, 1], at any precision."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(whole(x))


class Sigmoid(nn.Sigmoid):
    """The last layer of a generator: float32 pixels in [0, 1], at any precision."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(whole(x))

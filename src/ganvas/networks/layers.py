"""Layers that Keras and PyTorch define differently, with Keras's definition, spectral norm, and contexts that
run networks.

Images are NCHW tensors in channels-last memory, which is Keras's NHWC: reshaping and flattening give Keras's
order without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from ganvas.kernels import dispatch
from ganvas.networks.init import SelfInitialized
from ganvas.utils.devices import autocast_disabled, to_float32


class Linear(nn.Linear):
    """Dense layer, [M, in] -> [M, out], with the fastest matrix multiplication of this machine."""

    def forward(self, x: Tensor) -> Tensor:
        return dispatch.linear(x, self.weight, self.bias)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding. [N, C, H, W] -> [N, out, ceil(H/s), ceil(W/s)]."""

    gain: float | None = None  # for the initial weights under `kaiming_normal`; None means 1

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, bias: bool = True, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride, bias=bias, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return dispatch.conv2d(x, self.weight, self.bias, self.stride[0], self.groups)


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The exact transpose of the "same" convolution that maps `height` x `width` to the input's size."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, height: int, width: int, bias: bool
    ) -> None:
        super().__init__(channels, out, kernel, stride, bias=bias)
        self.height, self.width = height, width

    def forward(self, x: Tensor, output_size: object = None) -> Tensor:  # noqa: ARG002
        return dispatch.conv_transpose2d(x, self.weight, self.bias, self.stride[0], (self.height, self.width))


class KerasBatchNorm(nn.Module):
    """Batch norm over all but the channel axis, for [N, C] or [N, C, H, W].

    Training normalizes with the batch's biased variance and updates the moving statistics by
    `moving = momentum * moving + (1 - momentum) * batch`, with the biased variance too, unlike PyTorch.
    Source: Ioffe and Szegedy 2015, arXiv 1502.03167; Keras 3's BatchNormalization.
    """

    def __init__(self, channels: int, momentum: float, epsilon: float) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.update_statistics = True
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.moving_mean: Tensor
        self.moving_variance: Tensor
        self.register_buffer("moving_mean", torch.zeros(channels))
        self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalized, by the batch's statistics in training and the moving ones otherwise."""
        w, b = self.weight, self.bias
        count = x.numel() // x.shape[1]
        if not self.training:
            mean, variance = self.moving_mean, self.moving_variance
            return F.batch_norm(x, mean, variance, w, b, False, 0.0, self.epsilon)
        if count == 1:  # PyTorch refuses one value per channel; Keras takes it as its own mean
            if self.update_statistics:
                self._update(x.detach().flatten(), torch.zeros_like(self.moving_variance))
            return w.view_as(x) * (x - x) + b.view_as(x)
        if not self.update_statistics:
            return F.batch_norm(x, None, None, w, b, True, 0.0, self.epsilon)
        mean, variance = torch.zeros_like(self.moving_mean), torch.zeros_like(self.moving_variance)
        y = F.batch_norm(x, mean, variance, w, b, True, 1.0, self.epsilon)
        # PyTorch returns the unbiased variance: undo the correction.
        self._update(mean, variance * ((count - 1) / count))
        return y

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        self.moving_mean.lerp_(mean, 1 - self.momentum)
        self.moving_variance.lerp_(variance, 1 - self.momentum)


class SpectralNorm(nn.Module, SelfInitialized):
    """Weight -> weight / its largest singular value, which bounds the layer's slope.

    In training each forward pass takes one step of the power iteration for `u`, on the weight as a matrix
    [out, in * kernel pixels]. Source: Miyato et al. 2018, arXiv 1802.05957, algorithm 1.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.update_statistics = True
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.ones(rows), dim=0))

    def initialize(self, rng: torch.Generator) -> None:
        """Start the power iteration at a random direction."""
        self.u.copy_(F.normalize(torch.randn(self.u.shape, generator=rng), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with autocast_disabled(weight):  # in bfloat16 the norm would be rounded
            matrix = weight.flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.t() @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                if self.training and self.update_statistics:
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))


def apply_spectral_norm(network: nn.Module) -> None:
    """Add spectral norm to every dense and convolutional layer of `network`, in place."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            norm = SpectralNorm(layer.weight.shape[0]).to(layer.weight.device)
            # unsafe=True skips a check that would run the iteration on weights not initialized yet.
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Within the context, `network` runs as in training but its buffers keep their values.

    ganvas's own norms have a switch for this. All other modules (PyTorch's norms, a user's moving averages)
    work on copies of their buffers, which are dropped at the end. A graph that was built within the context
    holds the copies, so its backward pass is right after the context, too.
    """
    switched: list[KerasBatchNorm | SpectralNorm] = []
    originals: list[tuple[nn.Module, str, Tensor]] = []
    copies: dict[Tensor, Tensor] = {}  # modules that share a buffer share the copy
    for module in network.modules():
        if isinstance(module, KerasBatchNorm | SpectralNorm):
            if module.update_statistics:
                switched.append(module)
            continue
        for name, buffer in module._buffers.items():
            if buffer is not None:
                originals.append((module, name, buffer))
    for norm in switched:
        norm.update_statistics = False
    for module, name, buffer in originals:
        module._buffers[name] = copies.setdefault(buffer, buffer.clone())
    try:
        yield
    finally:
        for norm in switched:
            norm.update_statistics = True
        for module, name, buffer in originals:
            module._buffers[name] = buffer


@contextmanager
def inference(*networks: nn.Module) -> Iterator[None]:
    """Within the context, networks are in eval mode without gradients; then each gets its mode back."""
    modes = [network.training for network in networks]
    try:
        for network in networks:
            network.eval()
        with torch.no_grad():
            yield
    finally:
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)


class Dropout(nn.Module):
    """Dropout with a random generator of its own, so that a training step can be repeated.

    PyTorch's dropout draws one float per activation on one thread. This layer draws 16 random bits per
    activation, out of 64-bit integers, which is several times faster; the rate is rounded to 1/65536.
    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._generator: torch.Generator | None = None

    def reseed(self, seed: int, device: torch.device) -> None:
        """Restart the sequence of masks from `seed`."""
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device)
        self._generator.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with activations set to 0 at random and the others scaled, in training; else x."""
        if not self.training or self.rate == 0:
            return x
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        # The full range of 64 bits: without bounds, random_ would keep the sign bit at 0.
        words.random_(-(2**63), None, generator=self._generator)
        bits = words.view(torch.int16)[: x.numel()]
        mask = torch.empty_like(x)  # in x's memory order
        order = mask.permute(0, 2, 3, 1) if _channels_last(mask) else mask
        threshold = min(round(self.rate * 65536), 65535) - 32768  # within 16 bits
        torch.ge(bits.view(order.shape), threshold, out=order)
        dropped: Tensor = _Masked.apply(x, mask, 1 / (1 - self.rate))  # type: ignore[no-untyped-call]
        return dropped


class _Masked(torch.autograd.Function):
    """x * mask * scale in one pass over memory, forward and backward."""

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


class Reshape(nn.Module):
    """[N, H * W * C] -> [N, C, H, W] in Keras's order: channels-last memory, no copy."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """[N, C, H, W] -> [N, H * W * C] in Keras's order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Logit(Linear):
    """The last layer of a discriminator: [N, features] -> logits float32 [N], computed in float32 always.

    With `classes`, one logit per class: [N, classes].
    """

    def __init__(self, features: int, classes: int = 0) -> None:
        super().__init__(features, classes or 1)
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        with autocast_disabled(x):
            logits = super().forward(to_float32(x))
            return logits if self.classes else logits.squeeze(1)


class Tanh(nn.Tanh):
    """The last layer of a generator: float32 pixels in [-1, 1] at any precision."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(to_float32(x))


class Sigmoid(nn.Sigmoid):
    """The last layer of a generator: float32 pixels in [0, 1] at any precision."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(to_float32(x))

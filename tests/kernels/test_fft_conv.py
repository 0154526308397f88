"""Convolutions in the frequency domain against plain ones, their derivatives, and where they are used."""

import itertools

import pytest
import torch

from ganvas.kernels import fft_conv
from ganvas.networks.layers import SameConv2d, SameConvTranspose2d

KERNELS = [(k, s) for k, s in itertools.product((1, 2, 3, 4, 5, 7), (1, 2, 3)) if k >= s]


def layer_and_input(kind, kernel, stride, size, dtype=torch.float64):
    torch.manual_seed(0)
    large = size[0] * stride, size[1] * stride
    if kind == "down":
        layer, x = SameConv2d(17, 19, kernel, stride), torch.randn(3, 17, *large, dtype=dtype)
    else:
        layer, x = SameConvTranspose2d(17, 19, kernel, stride, *large, True), torch.randn(3, 17, *size)
    target = {"dtype": dtype, "memory_format": torch.channels_last}
    return layer.to(**target), x.to(**target).requires_grad_()


def output_and_gradients(layer, x):
    y = layer(x)
    signal = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, layer.weight, layer.bias], signal)]


def use(monkeypatch, whether):
    monkeypatch.setattr(fft_conv, "is_applicable", lambda *_: whether)


@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (7, 5)])
@pytest.mark.parametrize("kind", ["down", "up"])
def test_a_convolution_in_the_frequency_domain_equals_the_plain_one(monkeypatch, kernel, stride, size, kind):
    layer, x = layer_and_input(kind, kernel, stride, size)
    use(monkeypatch, True)
    ours = output_and_gradients(layer, x)
    use(monkeypatch, False)
    for result, expected in zip(ours, output_and_gradients(layer, x), strict=True):
        assert (result - expected).norm() <= 1e-12 * expected.norm()


@pytest.mark.parametrize("kind", ["down", "up"])
def test_in_fp32_it_is_as_exact_as_the_plain_one(monkeypatch, kind):
    use(monkeypatch, False)
    exact = output_and_gradients(*layer_and_input(kind, 5, 2, (7, 7)))
    single = layer_and_input(kind, 5, 2, (7, 7), torch.float32)
    plain = output_and_gradients(*single)
    use(monkeypatch, True)
    for result, expected, other in zip(output_and_gradients(*single), exact, plain, strict=True):
        error, allowed = ((y.double() - expected).norm() for y in (result, other))
        assert error <= 4 * allowed + 1e-7 * expected.norm()


def test_it_has_second_derivatives(monkeypatch):
    use(monkeypatch, True)
    for kind in ("down", "up"):
        torch.manual_seed(0)
        sides = (4, 4) if kind == "down" else (2, 2)
        layer = SameConv2d(2, 2, 3, 2) if kind == "down" else SameConvTranspose2d(2, 2, 3, 2, 4, 4, True)
        x = torch.randn(2, 2, *sides, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(layer.double(), x)


def test_it_is_used_where_a_large_kernel_meets_a_small_map_of_many_channels():
    def applies(channels, side, kernel, stride, batch=8):
        size = (side, side)
        before = max((side - 1) * stride + kernel - side * stride, 0) // 2
        x = torch.empty(batch, channels[0], side * stride, side * stride)
        return fft_conv.is_applicable(x, fft_conv.Shape(channels, size, kernel, stride, (before, before)))

    assert applies((128, 256), 7, 5, 1)  # the three of tutorial-dcgan
    assert applies((64, 128), 7, 5, 2)
    assert not applies((1, 64), 14, 5, 2)
    assert not applies((64, 128), 7, 4, 2)  # tf1-dcgan: measured slower
    assert not applies((128, 128), 14, 4, 2)  # keras-cnn: measured slower
    assert not applies((64, 64), 64, 3, 1)


def test_in_bf16_it_returns_bf16_near_the_exact_sum(monkeypatch):
    use(monkeypatch, True)
    layer, x = layer_and_input("down", 5, 2, (7, 7), torch.float32)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert (y - exact).norm() < 0.02 * exact.norm()


def test_an_input_may_have_any_strides(monkeypatch):
    use(monkeypatch, True)
    for stride in (1, 2):
        layer, x = layer_and_input("down", 5, stride, (4, 4))
        cropped = torch.zeros(3, 17, 10, 10, dtype=torch.float64)[:, :, : x.shape[2], : x.shape[3]].copy_(x)
        torch.testing.assert_close(layer(cropped), layer(x))

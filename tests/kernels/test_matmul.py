"""Matrix multiplications and image convolutions against PyTorch's, and gradients against numerical ones."""

import pytest
import torch
from torch.nn import functional as F

from ganvas.kernels import image_conv, matmul
from ganvas.networks.layers import SameConv2d, SameConvTranspose2d


@pytest.fixture(params=[True, False], ids=["onednn", "mkl"])
def library(request, monkeypatch):
    """Either library, where the processor has both."""
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(matmul, "_mkl_is_slow", lambda: request.param)


def close(ours, theirs):
    return (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize("rows", [1, 7, 64, 5000])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 3), (25, 64), (100, 33)])
def test_a_matrix_multiplication_and_its_gradients_are_those_of_pytorch(library, rows, inputs, outputs):
    x, w = torch.randn(rows, inputs, requires_grad=True), torch.randn(outputs, inputs, requires_grad=True)
    b, signal = torch.randn(outputs, requires_grad=True), torch.randn(rows, outputs)
    ours, theirs = matmul.linear(x, w, b), F.linear(x, w, b)
    assert close(ours, theirs)
    pairs = zip(*(torch.autograd.grad(y, [x, w, b], signal) for y in (ours, theirs)), strict=True)
    assert all(close(a, b) for a, b in pairs)


def test_a_matrix_multiplication_has_second_derivatives(library):
    x, w = torch.randn(6, 5, requires_grad=True), torch.randn(4, 5, requires_grad=True)

    def penalty(y):
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), w)[0]

    assert close(penalty(matmul.linear(x, w)), penalty(F.linear(x, w)))


def test_a_matrix_multiplication_of_transposed_views_is_right(library):
    a, b = torch.randn(30, 7), torch.randn(30, 9)
    assert close(matmul.matrix_multiply(a.t(), b), a.t() @ b)


def test_a_large_bias_costs_no_more_than_its_own_rounding(monkeypatch):
    monkeypatch.setattr(matmul, "_mkl_is_slow", lambda: True)
    x, w = torch.randn(8, 4000), torch.randn(16, 4000) * 1e-3
    exact = x.double() @ w.double().t() + 1024
    assert (matmul.linear(x, w, torch.full((16,), 1024.0)) - exact).abs().max() <= 1024 * 2**-23


def test_a_large_bias_does_not_round_away_a_product_in_bf16():
    x, w = torch.randn(8, 400), torch.randn(16, 400) * 1e-2
    exact = x @ w.t()
    with torch.autocast("cpu", torch.bfloat16):
        y = matmul.linear(x, w, torch.full((16,), 6272.0))
    assert y.dtype == torch.float32
    assert (y - 6272 - exact).abs().max() < 0.01


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (4, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("size", [(8, 8), (15, 28)])
@pytest.mark.parametrize("kind", ["from", "to", "transposed"])
def test_an_image_convolution_equals_pytorchs(library, monkeypatch, channels, kernel, stride, size, kind):
    torch.manual_seed(0)
    small = [-(-side // stride) for side in size]
    if kind == "from":
        layer, x = SameConv2d(channels, 6, kernel, stride), torch.randn(3, channels, *size)
    elif kind == "to":
        if stride > 1:
            pytest.skip("convolutions to an image have stride 1")
        layer, x = SameConv2d(6, channels, kernel, stride), torch.randn(3, 6, *size)
    else:
        layer = SameConvTranspose2d(6, channels, kernel, stride, *size, bias=True)
        x = torch.randn(3, 6, *small)
    layer = layer.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()

    def output_and_gradients():
        y = layer(x)
        signal = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        return [y, *torch.autograd.grad(y, [x, layer.weight, layer.bias], signal)]

    ours = output_and_gradients()
    monkeypatch.setattr(image_conv, "is_applicable", lambda *_: False)
    assert all(close(a, b) for a, b in zip(ours, output_and_gradients(), strict=True))


def test_an_image_convolution_has_second_derivatives():
    torch.manual_seed(0)
    layer = SameConvTranspose2d(2, 1, 3, 2, 6, 6, bias=False).double()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


def test_patches_that_would_take_too_much_memory_are_left_to_onednn():
    assert image_conv.is_applicable(torch.empty(256, 1, 28, 28), 1, 196, 5)
    assert not image_conv.is_applicable(torch.empty(256, 3, 256, 256, device="meta"), 3, 128 * 128, 5)
    assert not image_conv.is_applicable(torch.zeros(1).expand(512, 3, 256, 256), 3, 128 * 128, 5)


def test_a_gradient_in_another_memory_order_meets_the_right_weights():
    """What an optimizer step does must not depend on how a gradient lies in memory."""
    from ganvas.recipes.optimizers import Adam
    from ganvas.training.optimizers import NetworkOptimizer

    after = []
    grad = torch.randn(8, 1, 4, 4)
    for laid_out in (grad, grad.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(1, 8, 4, bias=False).to(memory_format=torch.channels_last)
        NetworkOptimizer(layer, Adam(learning_rate=0.1)).step([laid_out])
        after.append(layer.weight.detach())
    assert torch.equal(*after)

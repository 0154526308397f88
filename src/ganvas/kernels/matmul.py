"""Matrix multiplication by whichever of PyTorch's libraries is the fastest on this processor.

In float32, PyTorch uses MKL, which runs code for older processors on AMD. On an AMD processor with AVX-512,
oneDNN, which PyTorch ships for convolutions, is twice as fast. Elsewhere, and in bfloat16, PyTorch's choice
is the right one.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.utils.devices import in_autocast, processor_info, to_float32

TALL_RATIO = 64
"""From this ratio of rows to columns on, the weight gradient runs faster as a convolution's in oneDNN."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x [M, in] times weight [out, in] transposed, plus bias [out]: [M, out]."""
    if x.dim() == 2 and _prefers_onednn(x):
        y: Tensor = _OneDNNLinear.apply(x, weight)  # type: ignore[no-untyped-call]
        # Add the bias last: oneDNN would start the sum with it, and a large bias rounds away small terms.
        return y if bias is None else y.add_(bias)
    y = F.linear(x, weight, None if in_autocast(x) else bias)
    # In bfloat16 a sum with a bias of thousands (`tf1-dcgan` starts with such) would round x W away.
    return to_float32(y) + bias if in_autocast(x) and bias is not None else y


def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return a [M, K] times b [K, N], by the same choice of library."""
    return linear(a, b.t())


def batched_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return each a [r, M, K] times its b [r, K, N], by the same choice of library."""
    if not _prefers_onednn(a):
        return torch.bmm(a, b)
    y: Tensor = _OneDNNBatched.apply(a, b)  # type: ignore[no-untyped-call]
    return y


class _OneDNNLinear(torch.autograd.Function):
    """`F.linear` in oneDNN. Its gradients are built from differentiable operations (double backward)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad
        grad_x = linear(grad, weight.t()) if needs_x else None
        return grad_x, _weight_gradient(grad, x) if needs_weight else None


class _OneDNNBatched(torch.autograd.Function):
    """`torch.bmm` in oneDNN, one matrix after the other."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        y = a.new_empty(len(a), a.shape[1], b.shape[2])
        for left, right, out in zip(a, b.transpose(1, 2), y, strict=True):
            out.copy_(torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        a, b = ctx.saved_tensors
        needs_a, needs_b = ctx.needs_input_grad
        grad_a = batched_multiply(grad, b.transpose(1, 2)) if needs_a else None
        return grad_a, batched_multiply(a.transpose(1, 2), grad) if needs_b else None


def _weight_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """Grad [M, out] transposed times x [M, in]: [out, in]."""
    if len(x) < TALL_RATIO * max(x.shape[1], grad.shape[1]):
        return linear(grad.t(), x.t())
    grad_weight: Tensor = torch.ops.aten.convolution_backward(
        _as_image(grad), _as_image(x), x.new_empty(grad.shape[1], x.shape[1], 1, 1), None,
        [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False],
    )[1]  # fmt: skip
    return grad_weight.flatten(1)


def _as_image(rows: Tensor) -> Tensor:
    """[M, K] -> [1, K, 1, M]: the same memory, seen as a channels-last image of M pixels."""
    return rows[None, None].permute(0, 3, 1, 2)


def _prefers_onednn(x: Tensor) -> bool:
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and not in_autocast(x)
    return plain and not is_tracing() and _mkl_is_slow()


def is_tracing() -> bool:
    """Return whether `torch.jit` is tracing (for TensorBoard's graph, which should show plain layers)."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


@functools.cache
def _mkl_is_slow() -> bool:
    """Whether this is an AMD processor with AVX-512 and a PyTorch that has both libraries."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    processor = processor_info()
    return processor.get("vendor_id") == "AuthenticAMD" and "avx512f" in processor.get("flags", "").split()

"""Products of matrices, by whichever of PyTorch's libraries is the fastest on this processor.

In fp32 PyTorch's own choice is MKL, which serves AMD's processors with code for older ones: on one with
AVX-512 oneDNN, which PyTorch brings along for convolutions, is twice as fast at the same sums. Elsewhere, and
in bf16, PyTorch's choice is right.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TALL = 64  # times more rows than columns: there oneDNN's gradient of the weights is a convolution's


class Linear(nn.Linear):
    """A dense layer: [M, in] -> [M, out]."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply and add."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X [M, in] times weight [out, in] transposed, plus bias [out]."""
    if x.dim() == 2 and _prefers_onednn(x):
        product: Tensor = _Product.apply(x, weight)  # type: ignore[no-untyped-call]
        # The bias comes last: oneDNN would begin the sum with it, and a large one swallows what follows.
        return product if bias is None else product.add_(bias)
    y = F.linear(x, weight, None if rounded(x) else bias)
    # A product in bf16 is rounded, a sum with a bias of thousands (`tf1-dcgan` begins so) would be lost.
    return whole(y) + bias if rounded(x) and bias is not None else y


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """A [M, K] times b [K, N], by the same choice."""
    return linear(a, b.t())


def batched_product(a: Tensor, b: Tensor) -> Tensor:
    """Each of a [r, M, K] times its b [r, K, N], by the same choice."""
    if not _prefers_onednn(a):
        return torch.bmm(a, b)
    found: Tensor = _Products.apply(a, b)  # type: ignore[no-untyped-call]
    return found


def whole(x: Tensor) -> Tensor:
    """Float32 where x was rounded to fewer bits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class _Product(torch.autograd.Function):
    """`F.linear` through oneDNN; its gradients are such products too, so that it can be derived again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return found

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (signal,) = signals
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad
        for_x = linear(signal, weight.t()) if needs_x else None
        return for_x, _weights(signal, x) if needs_weight else None


class _Products(torch.autograd.Function):
    """`torch.bmm` through oneDNN, one matrix after the other."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        y = a.new_empty(len(a), a.shape[1], b.shape[2])
        for left, right, out in zip(a, b.transpose(1, 2), y, strict=True):
            out.copy_(torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
        return y

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (signal,) = signals
        a, b = ctx.saved_tensors
        needs_a, needs_b = ctx.needs_input_grad
        for_a = batched_product(signal, b.transpose(1, 2)) if needs_a else None
        return for_a, batched_product(a.transpose(1, 2), signal) if needs_b else None


def _weights(signal: Tensor, x: Tensor) -> Tensor:
    """Signal [M, out] transposed times x [M, in]."""
    if len(x) < TALL * max(x.shape[1], signal.shape[1]):
        return linear(signal.t(), x.t())
    found = torch.ops.aten.convolution_backward(
        _as_image(signal), _as_image(x), x.new_empty(signal.shape[1], x.shape[1], 1, 1), None,
        [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False],
    )[1]  # fmt: skip
    gradient: Tensor = found.flatten(1)
    return gradient


def _as_image(rows: Tensor) -> Tensor:
    """[M, K] -> [1, K, 1, M]: the same memory, as a channels-last image of M pixels."""
    return rows[None, None].permute(0, 3, 1, 2)


def rounded(x: Tensor) -> bool:
    """Whether products of x are made in fewer bits here."""
    kind = x.device.type
    return kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind)


def unrounded(x: Tensor) -> AbstractContextManager[object]:
    """Within, products of x are made in fp32 at any precision."""
    return torch.autocast(x.device.type, enabled=False) if rounded(x) else nullcontext()


def _prefers_onednn(x: Tensor) -> bool:
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and not rounded(x)
    return plain and not tracing() and _mkl_is_slow()


def tracing() -> bool:
    """Whether a graph is being drawn (TensorBoard's): of the layers as they are, then."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


@functools.cache
def _mkl_is_slow() -> bool:
    """Whether this is an AMD processor with AVX-512 and a PyTorch that has both libraries."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a pseudo-file
            text = lines.read(4096)
    except OSError:
        return False
    return "AuthenticAMD" in text and "avx512f" in text

"""Dense layers and convolutions with TensorFlow's "same" padding, by the fastest kernel for their shape.

Convolutions have three kernels: one matrix multiplication for images of 1 to 4 channels (`image_conv`), the
frequency domain for large kernels on small maps of many channels (`fft_conv`), and PyTorch (oneDNN, cuDNN)
for everything else. Each is used where it was measured to be the fastest; all agree up to rounding.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ganvas.kernels import fft_conv, image_conv
from ganvas.kernels.matmul import linear as linear
from ganvas.utils.conv_arithmetic import same_padding

Size = tuple[int, int]


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int = 1) -> Tensor:
    """Return the "same" convolution of x, [N, out, ceil(H / stride), ceil(W / stride)].

    Args:
        x: [N, C, H, W].
        weight: [out, C / groups, k, k].
        bias: [out] or None.
        stride: in both directions.
        groups: see `torch.nn.Conv2d`.
    """
    kernel, outputs, inputs = weight.shape[2], weight.shape[0], x.shape[1]
    size = -(-x.shape[2] // stride), -(-x.shape[3] // stride)
    top, bottom = same_padding(x.shape[2], size[0], kernel, stride)
    left, right = same_padding(x.shape[3], size[1], kernel, stride)
    pixels = size[0] * size[1]
    if groups == 1 and image_conv.is_applicable(x, inputs, pixels, kernel):
        return image_conv.conv_from_image(x, weight, bias, stride, (top, left), size)
    if groups == 1 == stride and image_conv.is_applicable(x, outputs, pixels, kernel):
        # A convolution is the transposed convolution with the flipped kernel.
        flipped = weight.flip(2, 3).transpose(0, 1)
        before = kernel - 1 - top, kernel - 1 - left
        return image_conv.conv_transpose_to_image(x, flipped, bias, 1, before, size)
    shape = fft_conv.Shape((inputs, outputs), size, kernel, stride, (top, left))
    whole = (size[0] * stride, size[1] * stride) == x.shape[2:]
    if groups == 1 and whole and fft_conv.is_applicable(x, shape):
        return _add_bias(fft_conv.conv2d(x, weight, shape), bias)
    if (top, left) != (bottom, right):
        # PyTorch pads both sides alike; pad the odd pixel at the end here, which copies x.
        x = F.pad(x, (0, right - left, 0, bottom - top))
    return F.conv2d(x, weight, bias, stride, (top, left), groups=groups)


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, size: Size) -> Tensor:
    """Return the transpose of the "same" convolution that maps `size` to x's size: [N, out, *size].

    Args:
        x: [N, C, h, w].
        weight: [C, out, k, k].
        bias: [out] or None.
        stride: in both directions.
        size: height and width of the result.
    """
    kernel, outputs, inputs = weight.shape[2], weight.shape[1], x.shape[1]
    small = x.shape[2], x.shape[3]
    top, bottom = same_padding(size[0], small[0], kernel, stride)
    left, right = same_padding(size[1], small[1], kernel, stride)
    if image_conv.is_applicable(x, outputs, small[0] * small[1], kernel):
        return image_conv.conv_transpose_to_image(x, weight, bias, stride, (top, left), size)
    shape = fft_conv.Shape((outputs, inputs), small, kernel, stride, (top, left))
    if (small[0] * stride, small[1] * stride) == size and fft_conv.is_applicable(x, shape):
        return _add_bias(fft_conv.conv_transpose2d(x, weight, shape), bias)
    y = F.conv_transpose2d(x, weight, bias, stride, (top, left))
    # PyTorch crops both sides alike; "same" padding crops the odd pixel at the end.
    if (top, left) != (bottom, right):
        y = y[:, :, : size[0], : size[1]]
    return y


def _add_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)

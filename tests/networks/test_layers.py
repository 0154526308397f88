"""Layers in Keras's sense, against explicit loops, the adjoint identity and hand arithmetic."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.networks.layers import (
    Dropout,
    Flatten,
    KerasBatchNorm,
    Logit,
    SameConv2d,
    SameConvTranspose2d,
    ToMap,
    frozen_statistics,
    inference,
    mixes_samples,
    same_padding,
    strided_sides,
)

SIDES, KERNELS, STRIDES = (28, 30, 15, 33), (3, 4, 5, 7), (1, 2)
EVERY = list(itertools.product(SIDES, KERNELS, STRIDES))


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def same_convolution_by_loops(x, weight, bias, stride):
    """TensorFlow's definition: output pixel o looks at inputs o * stride - before ... + kernel."""
    n, _, height, width = x.shape
    out, _, kernel, _ = weight.shape
    small = [math.ceil(side / stride) for side in (height, width)]
    before = [
        max((s - 1) * stride + kernel - side, 0) // 2 for s, side in zip(small, x.shape[2:], strict=True)
    ]
    y = np.zeros((n, out, *small)) + bias[None, :, None, None]
    for i, j, a, b in itertools.product(range(small[0]), range(small[1]), range(kernel), range(kernel)):
        row, column = i * stride - before[0] + a, j * stride - before[1] + b
        if 0 <= row < height and 0 <= column < width:
            y[:, :, i, j] += x[:, :, row, column] @ weight[:, :, a, b].T
    return y


def random_layer(layer, seed=1):
    layer.double()
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=seed + i))
    return layer


@pytest.mark.parametrize(
    ("large", "small", "kernel", "stride", "padding"),
    [
        (28, 14, 5, 2, (1, 2)),
        (28, 14, 3, 2, (0, 1)),
        (28, 14, 4, 2, (1, 1)),
        (7, 7, 5, 1, (2, 2)),
        (28, 28, 7, 1, (3, 3)),
        (28, 28, 4, 1, (1, 2)),
        (15, 8, 3, 2, (1, 1)),
        (15, 8, 4, 2, (1, 2)),
        (8, 4, 2, 2, (0, 0)),
        (9, 3, 2, 3, (0, 0)),
    ],
)
def test_the_odd_pixel_of_same_padding_goes_to_the_end(large, small, kernel, stride, padding):
    assert same_padding(large, small, kernel, stride) == padding


@pytest.mark.parametrize(
    ("side", "strides", "sides"),
    [(28, [2, 2], [28, 14, 7]), (30, [2, 2], [30, 15, 8]), (33, [1, 2, 3], [33, 33, 17, 6]), (8, [], [8])],
)
def test_each_stride_divides_a_side_and_rounds_up(side, strides, sides):
    assert strided_sides(side, strides) == sides


@pytest.mark.parametrize(("side", "kernel", "stride"), EVERY)
def test_a_same_convolution_equals_explicit_loops(side, kernel, stride):
    layer = random_layer(SameConv2d(2, 3, kernel, stride))
    x = numbers(2, 2, side, side - 3)
    expected = same_convolution_by_loops(
        x.numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy(), stride
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-11)


@pytest.mark.parametrize(("side", "kernel", "stride"), EVERY)
def test_a_transposed_convolution_is_the_exact_adjoint(side, kernel, stride):
    down = random_layer(SameConv2d(2, 3, kernel, stride, bias=False))
    up = SameConvTranspose2d(3, 2, kernel, stride, side, side - 3, bias=False).double()
    up.weight = down.weight  # [3, 2, k, k] is out x in below and in x out above
    x = numbers(2, 2, side, side - 3)
    y = numbers(*down(x).shape, seed=9)
    assert up(y).shape == x.shape
    assert (down(x) * y).sum().item() == pytest.approx((x * up(y)).sum().item(), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product(KERNELS, STRIDES)))
def test_a_transposed_convolutions_bias_reaches_every_pixel(kernel, stride):
    layer = SameConvTranspose2d(3, 2, kernel, stride, 15, 28, bias=True)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([0.5, -2.0]))
    x = torch.ones(1, 3, *[strided_sides(side, [stride])[-1] for side in (15, 28)])
    expected = torch.tensor([0.5, -2.0]).view(1, 2, 1, 1).expand(1, 2, 15, 28)
    assert torch.equal(layer(x), expected)


# Batch norm


def norm_with(momentum=0.99, epsilon=1e-3, channels=3):
    return random_layer(KerasBatchNorm(channels, momentum, epsilon), seed=5)


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 6), (1, 3, 2, 2)])
@pytest.mark.parametrize(("momentum", "epsilon"), [(0.99, 1e-3), (0.8, 1e-3), (0.9, 1e-5)])
def test_batch_norm_in_training_equals_hand_arithmetic(shape, momentum, epsilon):
    norm, x = norm_with(momentum, epsilon), 2 + 3 * numbers(*shape)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    wide = (1, 3) + (1,) * (x.dim() - 2)
    moving_mean, moving_variance = torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype)
    for turn in range(3):
        batch = x + turn
        mean = batch.mean(axes)
        variance = (batch - mean.view(wide)).square().mean(axes)  # biased: divided by the count
        y = (batch - mean.view(wide)) / (variance.view(wide) + epsilon).sqrt()
        torch.testing.assert_close(norm(batch), y * norm.weight.view(wide) + norm.bias.view(wide))
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_variance = momentum * moving_variance + (1 - momentum) * variance
        torch.testing.assert_close(norm.moving_mean, moving_mean)
        torch.testing.assert_close(norm.moving_variance, moving_variance)


def test_batch_norm_in_inference_uses_the_moving_statistics_and_keeps_them():
    norm, x = norm_with(epsilon=1e-3), numbers(8, 3)
    norm.moving_mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    norm.moving_variance.copy_(torch.tensor([4.0, 0.25, 1.0]))
    norm.eval()
    before = [b.clone() for b in norm.buffers()]
    expected = (x - norm.moving_mean) / (norm.moving_variance + 1e-3).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(x), expected)
    assert all(map(torch.equal, before, norm.buffers()))


def test_batch_norm_starts_as_keras_does():
    norm = KerasBatchNorm(4, 0.99, 1e-3)
    tensors = (norm.weight, norm.bias, norm.moving_mean, norm.moving_variance)
    assert [t.tolist() for t in tensors] == [[1] * 4, [0] * 4, [0] * 4, [1] * 4]


@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_batch_norm_takes_a_single_value_as_its_own_mean(shape, tracks):
    norm, x = norm_with(momentum=0.75), numbers(*shape).requires_grad_()
    norm.tracks = tracks
    y = norm(x)
    torch.testing.assert_close(y, norm.bias.view(shape))
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.zeros(shape, dtype=x.dtype))
    moved = x.detach().flatten() * 0.25, torch.full((3,), 0.75, dtype=x.dtype)
    kept = torch.zeros_like(moved[0]), torch.ones_like(moved[1])
    for found, expected in zip(norm.buffers(), moved if tracks else kept, strict=True):
        torch.testing.assert_close(found, expected)


def test_frozen_statistics_change_nothing_but_the_moving():
    network = nn.Sequential(nn.Linear(4, 3), norm_with().float())
    twin = nn.Sequential(nn.Linear(4, 3), norm_with().float())
    twin.load_state_dict(network.state_dict())
    x = numbers(8, 4, dtype=torch.float32)
    with frozen_statistics(network):
        y = network(x)
    assert torch.equal(y, twin(x))
    assert torch.equal(network[1].moving_mean, torch.zeros(3))
    assert torch.equal(network[1].moving_variance, torch.ones(3))
    network(x)  # after, it moves again
    assert torch.equal(network[1].moving_mean, twin[1].moving_mean)


def test_statistics_move_again_after_an_error_within_frozen_statistics():
    norm = KerasBatchNorm(3, 0.5, 1e-3)
    with pytest.raises(RuntimeError), frozen_statistics(norm):
        raise RuntimeError
    norm(numbers(8, 3, dtype=torch.float32))
    assert not torch.equal(norm.moving_mean, torch.zeros(3))


def test_inference_puts_each_network_back_as_it_was_even_after_an_error():
    training, resting = nn.Linear(2, 2).train(), nn.Linear(2, 2).eval()
    with inference(training, resting):
        assert not training.training
        assert not training(torch.ones(1, 2)).requires_grad
    assert training.training
    with pytest.raises(RuntimeError), inference(training, resting):
        raise RuntimeError
    assert (training.training, resting.training) == (True, False)
    assert training(torch.ones(1, 2)).requires_grad


@pytest.mark.parametrize(
    ("layer", "mixes"),
    [
        (KerasBatchNorm(3, 0.9, 1e-3), True),
        (nn.BatchNorm1d(3), True),
        (nn.BatchNorm2d(3), True),
        (nn.GroupNorm(1, 3), False),
        (nn.Linear(3, 3), False),
    ],
)
def test_only_batch_norm_mixes_samples(layer, mixes):
    assert mixes_samples(nn.Sequential(nn.Flatten(), layer)) is mixes


# Dropout


def seeded(rate, seed=3):
    layer = Dropout(rate).train()
    layer.reseed(seed, torch.device("cpu"))
    return layer


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.4, 0.5, 0.9])
def test_dropout_zeroes_its_rate_and_scales_what_is_kept(rate):
    count = 400_000
    y = seeded(rate)(torch.ones(count))
    dropped = (y == 0).sum().item()
    assert abs(dropped - rate * count) < 4 * math.sqrt(count * rate * (1 - rate))
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)))


def test_neighbouring_masks_of_dropout_are_independent():
    kept = (seeded(0.5)(torch.ones(400_000)) != 0).float() - 0.5
    for lag in (1, 2, 3, 4, 8, 64):
        correlation = (kept[:-lag] * kept[lag:]).mean().item() * 4
        assert abs(correlation) < 4 / math.sqrt(len(kept) - lag), lag


def test_dropout_at_a_rate_next_to_1_keeps_next_to_nothing():
    assert (seeded(0.999999)(torch.ones(10_000)) != 0).sum() <= 10


@pytest.mark.parametrize("count", [1, 2, 3, 5, 4099])
def test_the_same_seed_gives_the_same_mask_and_another_seed_another(count):
    x = numbers(count) + 5
    masks = torch.stack([seeded(0.5, seed)(x) != 0 for seed in range(64)])
    again = torch.stack([seeded(0.5, seed)(x) != 0 for seed in range(64)])
    assert torch.equal(masks, again)
    assert len({tuple(mask.tolist()) for mask in masks}) > 1


def test_masks_follow_on_each_other_until_reseeded():
    layer, x = seeded(0.5), torch.ones(1000)
    first, second = layer(x), layer(x)
    layer.reseed(3, torch.device("cpu"))
    assert not torch.equal(first, second)
    assert torch.equal(first, layer(x))


def test_dropout_leaves_the_global_random_numbers_alone():
    layer = seeded(0.5)
    before = torch.get_rng_state()
    layer(torch.ones(1000))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_dropouts_gradient_is_masked_and_scaled_as_its_output(memory):
    x = (numbers(3, 4, 5, 6) + 10).to(memory_format=memory).requires_grad_()
    layer = seeded(0.4)
    y = layer(x)
    weights = numbers(3, 4, 5, 6, seed=8)
    (grad,) = torch.autograd.grad((y * weights).sum(), x)
    assert 0 < (y == 0).sum() < y.numel()
    torch.testing.assert_close(grad, torch.where(y == 0, 0.0, weights / 0.6))


def test_dropout_keeps_channels_last_memory_and_draws_in_its_order():
    x = torch.ones(2, 3, 4, 5)
    as_keras = seeded(0.5)(x.permute(0, 2, 3, 1).contiguous())  # NHWC
    y = seeded(0.5)(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y.permute(0, 2, 3, 1), as_keras)


@pytest.mark.parametrize("layer", [Dropout(0.0).train(), Dropout(0.7).eval()])
def test_dropout_at_rate_0_or_in_inference_passes_all(layer):
    x = numbers(100)
    assert torch.equal(layer(x), x)


# Shapes in Keras's order


def test_to_map_and_flatten_follow_keras_and_undo_each_other():
    x = torch.arange(2 * 3 * 4 * 5.0).view(2, -1)
    y = ToMap(5, 3, 4)(x)
    assert np.array_equal(y.numpy(), x.numpy().reshape(2, 3, 4, 5).transpose(0, 3, 1, 2))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert y.data_ptr() == x.data_ptr()  # no copy
    assert torch.equal(Flatten()(y), x)
    assert torch.equal(Flatten()(y.contiguous()), x)


@pytest.mark.parametrize("count", [1, 5])
def test_a_logit_is_one_number_an_image(count):
    layer, x = Logit(7), numbers(count, 7, dtype=torch.float32)
    torch.testing.assert_close(layer(x), (x * layer.weight[0]).sum(1) + layer.bias)
    assert layer(x).shape == (count,)

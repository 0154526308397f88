"""Layers with Keras's definitions, against explicit loops, the adjoint identity and hand arithmetic."""

import copy
import itertools
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.layers import (
    Dropout,
    Flatten,
    KerasBatchNorm,
    Logit,
    Reshape,
    SameConv2d,
    SameConvTranspose2d,
    frozen_statistics,
    inference,
)
from ganvas.utils.conv_arithmetic import same_padding, strided_sides

SIDES, KERNELS, STRIDES = (28, 30, 15, 33), (3, 4, 5, 7), (1, 2)
CASES = list(itertools.product(SIDES, KERNELS, STRIDES))


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def same_convolution_by_loops(x, weight, bias, stride):
    """TensorFlow's definition: output pixel o sees `kernel` inputs from o * stride - before on."""
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


@pytest.mark.parametrize(("side", "kernel", "stride"), CASES)
def test_a_same_convolution_equals_explicit_loops(side, kernel, stride):
    layer = random_layer(SameConv2d(2, 3, kernel, stride))
    x = numbers(2, 2, side, side - 3)
    expected = same_convolution_by_loops(
        x.numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy(), stride
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-11)


@pytest.mark.parametrize(("side", "kernel", "stride"), CASES)
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
    for step in range(3):
        batch = x + step
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


@pytest.mark.parametrize("update", [True, False])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_batch_norm_takes_a_single_value_as_its_own_mean(shape, update):
    norm, x = norm_with(momentum=0.75), numbers(*shape).requires_grad_()
    norm.update_statistics = update
    y = norm(x)
    torch.testing.assert_close(y, norm.bias.view(shape))
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.zeros(shape, dtype=x.dtype))
    moved = x.detach().flatten() * 0.25, torch.full((3,), 0.75, dtype=x.dtype)
    kept = torch.zeros_like(moved[0]), torch.ones_like(moved[1])
    for statistic, expected in zip(norm.buffers(), moved if update else kept, strict=True):
        torch.testing.assert_close(statistic, expected)


def test_frozen_statistics_change_no_output():
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


class MovingScale(nn.Module):
    """Divides by a moving scale, updated before use: in place, or by a new tensor under the same name."""

    def __init__(self, in_place):
        super().__init__()
        self.in_place = in_place
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("unused", None)

    def forward(self, x):
        if self.training:
            batch = x.detach().abs().mean((0, 2, 3))
            if self.in_place:
                self.scale.lerp_(batch, 0.5)
            else:
                self.scale = 0.5 * self.scale + 0.5 * batch
        return x / self.scale.view(1, 3, 1, 1)


WITH_BUFFERS = {
    "nn.BatchNorm1d": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(75)),
    "nn.BatchNorm2d": lambda: nn.BatchNorm2d(3),
    "nn.BatchNorm2d with a cumulative mean": lambda: nn.BatchNorm2d(3, momentum=None),
    "nn.InstanceNorm2d": lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    "spectral norm of PyTorch": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)),
    "moving average in place": lambda: MovingScale(in_place=True),
    "moving average by assignment": lambda: MovingScale(in_place=False),
    "KerasBatchNorm": lambda: KerasBatchNorm(3, 0.9, 1e-3),
}


def output_and_gradients(network, x, context):
    x = x.clone().requires_grad_()
    with context:
        y = network(x)
    signal = numbers(*y.shape, seed=4, dtype=y.dtype)  # the backward pass runs outside of the context
    return [y, *torch.autograd.grad(y, [x, *network.parameters()], signal)]


@pytest.mark.parametrize("name", WITH_BUFFERS)
@pytest.mark.parametrize("training", [True, False])
def test_frozen_statistics_keep_the_buffers_of_any_module_and_change_no_output_or_gradient(name, training):
    torch.manual_seed(0)
    network = WITH_BUFFERS[name]()
    x = 2 + 3 * numbers(6, 3, 5, 5, dtype=torch.float32)
    network(x)  # statistics that differ from the initial ones
    network.train(training)
    twin = copy.deepcopy(network)
    objects = dict(network.named_buffers())
    before = {key: buffer.clone() for key, buffer in objects.items()}
    frozen = output_and_gradients(network, x, frozen_statistics(network))
    assert network.training is training
    assert dict(network.named_buffers()).keys() == objects.keys()
    for key, buffer in network.named_buffers():
        assert buffer is objects[key]
        assert torch.equal(buffer, before[key])
    for ours, expected in zip(frozen, output_and_gradients(twin, x, nullcontext()), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)
    if training:
        assert any(not torch.equal(buffer, before[key]) for key, buffer in twin.named_buffers())
        network(x)  # without the context they move
        assert all(map(torch.equal, network.buffers(), twin.buffers()))


@pytest.mark.parametrize("name", WITH_BUFFERS)
def test_an_outer_frozen_statistics_holds_after_an_inner_one(name):
    torch.manual_seed(0)
    network, x = WITH_BUFFERS[name](), numbers(6, 3, 5, 5, dtype=torch.float32)
    before = [buffer.clone() for buffer in network.buffers()]
    with frozen_statistics(network):
        with frozen_statistics(network):
            network(x)
        network(x)
    assert all(map(torch.equal, before, network.buffers()))


def test_modules_that_share_a_buffer_share_it_within_frozen_statistics():
    first, second = MovingScale(in_place=True), MovingScale(in_place=True)
    second.scale = first.scale
    network = nn.Sequential(first, second)
    with frozen_statistics(network):
        assert first.scale is second.scale
        network(numbers(6, 3, 5, 5, dtype=torch.float32))
    assert first.scale is second.scale
    assert torch.equal(first.scale, torch.ones(3))


def test_inference_restores_the_mode_of_each_network_even_after_an_error():
    training, evaluating = nn.Linear(2, 2).train(), nn.Linear(2, 2).eval()
    with inference(training, evaluating):
        assert not training.training
        assert not training(torch.ones(1, 2)).requires_grad
    assert training.training
    with pytest.raises(RuntimeError), inference(training, evaluating):
        raise RuntimeError
    assert (training.training, evaluating.training) == (True, False)
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
def test_of_these_only_batch_norm_mixes_samples(layer, mixes):
    shape = (3, 4, 4) if isinstance(layer, nn.BatchNorm2d) else (3, 1, 1)
    flatten = [] if isinstance(layer, nn.BatchNorm2d) else [nn.Flatten()]
    network = nn.Sequential(*flatten, layer, nn.Flatten())
    assert is_batch_dependent(network, torch.zeros(1, *shape)) is mixes


# Dropout


def seeded(rate, seed=3):
    layer = Dropout(rate).train()
    layer.reseed(seed, torch.device("cpu"))
    return layer


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.4, 0.5, 0.9])
def test_dropout_zeroes_a_fraction_of_its_rate_and_scales_the_rest(rate):
    count = 400_000
    y = seeded(rate)(torch.ones(count))
    dropped = (y == 0).sum().item()
    assert abs(dropped - rate * count) < 4 * math.sqrt(count * rate * (1 - rate))
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)))


def test_neighboring_masks_of_dropout_are_independent():
    kept = (seeded(0.5)(torch.ones(400_000)) != 0).float() - 0.5
    for lag in (1, 2, 3, 4, 8, 64):
        correlation = (kept[:-lag] * kept[lag:]).mean().item() * 4
        assert abs(correlation) < 4 / math.sqrt(len(kept) - lag), lag


def test_dropout_at_a_rate_near_1_keeps_almost_nothing():
    assert (seeded(0.999999)(torch.ones(10_000)) != 0).sum() <= 10


@pytest.mark.parametrize("count", [1, 2, 3, 5, 4099])
def test_the_same_seed_gives_the_same_mask_and_another_seed_another(count):
    x = numbers(count) + 5
    masks = torch.stack([seeded(0.5, seed)(x) != 0 for seed in range(64)])
    again = torch.stack([seeded(0.5, seed)(x) != 0 for seed in range(64)])
    assert torch.equal(masks, again)
    assert len({tuple(mask.tolist()) for mask in masks}) > 1


def test_masks_differ_from_pass_to_pass_until_reseeded():
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
def test_dropout_at_rate_0_or_in_eval_mode_is_the_identity(layer):
    x = numbers(100)
    assert torch.equal(layer(x), x)


# Shapes in Keras's order


def test_reshape_and_flatten_follow_keras_and_are_inverses():
    x = torch.arange(2 * 3 * 4 * 5.0).view(2, -1)
    y = Reshape(5, 3, 4)(x)
    assert np.array_equal(y.numpy(), x.numpy().reshape(2, 3, 4, 5).transpose(0, 3, 1, 2))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert y.data_ptr() == x.data_ptr()  # no copy
    assert torch.equal(Flatten()(y), x)
    assert torch.equal(Flatten()(y.contiguous()), x)


@pytest.mark.parametrize("count", [1, 5])
def test_a_logit_is_one_number_per_image(count):
    layer, x = Logit(7), numbers(count, 7, dtype=torch.float32)
    torch.testing.assert_close(layer(x), (x * layer.weight[0]).sum(1) + layer.bias)
    assert layer(x).shape == (count,)

"""KerasAdam against Keras's formula in NumPy."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.recipe import Adam
from ganvas.training.optimizers import KerasAdam

SPECS = [
    Adam(learning_rate=1e-4),
    Adam(learning_rate=2e-4, beta1=0.5),
    Adam(learning_rate=1e-3, beta1=0.5, epsilon=1e-8),
    Adam(learning_rate=0.1, beta1=0, beta2=0.5, epsilon=1e-2),
    Adam(learning_rate=0.1, beta1=0.9, beta2=0, epsilon=1e-7),
]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 3, bias=False))


def gradients(network, step):
    """From too small for Keras's epsilon to large."""
    source = torch.Generator().manual_seed(step)
    return [
        torch.randn(w.shape, generator=source, dtype=w.dtype) * scale
        for w, scale in zip(network.parameters(), (1e-8, 1e-3, 10.0), strict=True)
    ]


def take_step(network, optimizer, step):
    for weight, grad in zip(network.parameters(), gradients(network, step), strict=True):
        weight.grad = grad.clone()
    optimizer.step()


def keras_adam(weights, grads_by_step, spec):
    """Keras 3's Adam.update_step."""
    moments, velocities = [0.0] * len(weights), [0.0] * len(weights)
    for t, grads in enumerate(grads_by_step, start=1):
        alpha = spec.learning_rate * np.sqrt(1 - spec.beta2**t) / (1 - spec.beta1**t)
        for i, grad in enumerate(grads):
            moments[i] = moments[i] + (grad - moments[i]) * (1 - spec.beta1)
            velocities[i] = velocities[i] + (grad**2 - velocities[i]) * (1 - spec.beta2)
            weights[i] = weights[i] - moments[i] * alpha / (np.sqrt(velocities[i]) + spec.epsilon)
    return weights, moments, velocities


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_equal_keras_formula(spec, steps):
    net = network().double()
    start = [w.detach().numpy().copy() for w in net.parameters()]
    optimizer = KerasAdam(net, spec)
    for step in range(steps):
        take_step(net, optimizer, step)
    grads = [[g.numpy() for g in gradients(net, step)] for step in range(steps)]
    weights, moments, velocities = keras_adam(list(start), grads, spec)
    for found, expected, before in zip(net.parameters(), weights, start, strict=True):
        moved = found.detach().numpy() - before
        np.testing.assert_allclose(moved, expected - before, rtol=1e-6, atol=1e-14)
    saved = optimizer.moments()
    for (name, _), m, v in zip(net.named_parameters(), moments, velocities, strict=True):
        np.testing.assert_allclose(saved[f"{name}.exp_avg"], m, rtol=1e-9, atol=1e-30)
        np.testing.assert_allclose(saved[f"{name}.exp_avg_sq"], v, rtol=1e-9, atol=1e-30)


def test_a_tiny_gradient_feels_epsilon_as_in_keras_not_as_in_pytorch():
    spec, grad = Adam(learning_rate=1.0), 1e-6
    found = []
    for make in (
        KerasAdam,
        lambda net, s: torch.optim.Adam(net.parameters(), s.learning_rate, eps=s.epsilon),
    ):
        net = nn.Linear(1, 1, bias=False).double()
        start = net.weight.item()
        optimizer = make(net, spec)
        net.weight.grad = torch.full_like(net.weight, grad)
        optimizer.step()
        found.append(start - net.weight.item())
    root = np.sqrt(1e-3)
    assert found[0] == pytest.approx(root * grad / (root * grad + 1e-7), rel=1e-6)
    assert found[1] == pytest.approx(grad / (grad + 1e-7), rel=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_moments_go_out_and_back_and_training_goes_on_to_the_same_bits(steps, memory):
    net = network().to(memory_format=memory)
    optimizer = KerasAdam(net, SPECS[1])
    for step in range(steps):
        take_step(net, optimizer, step)
    twin = copy.deepcopy(net)
    resumed = KerasAdam(twin, SPECS[1])
    # As a checkpoint holds them: contiguous copies.
    resumed.load_moments({k: v.clone().contiguous() for k, v in optimizer.moments().items()}, optimizer.steps)
    assert resumed.steps == steps
    for step in range(steps, steps + 3):
        take_step(net, optimizer, step)
        take_step(twin, resumed, step)
    assert all(map(torch.equal, net.parameters(), twin.parameters()))
    assert optimizer.moments().keys() == resumed.moments().keys()
    assert all(torch.equal(m, resumed.moments()[k]) for k, m in optimizer.moments().items())


def test_loaded_moments_are_copies():
    net = network()
    optimizer = KerasAdam(net, SPECS[0])
    take_step(net, optimizer, 0)
    given = {k: v.clone() for k, v in optimizer.moments().items()}
    kept = {k: v.clone() for k, v in given.items()}
    optimizer.load_moments(given, 1)
    take_step(net, optimizer, 1)
    assert all(torch.equal(given[k], kept[k]) for k in kept)


def test_moments_are_named_by_weight_and_absent_before_the_first_step():
    net = network()
    optimizer = KerasAdam(net, SPECS[0])
    assert optimizer.moments() == {}
    take_step(net, optimizer, 0)
    weights = ("0.weight", "0.bias", "1.weight")
    assert set(optimizer.moments()) == {f"{w}.{m}" for w in weights for m in ("exp_avg", "exp_avg_sq")}


def test_missing_moments_are_refused():
    net = network()
    optimizer = KerasAdam(net, SPECS[0])
    with pytest.raises(KeyError):
        optimizer.load_moments({}, 3)

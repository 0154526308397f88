"""Adam against Keras's formula in NumPy."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.recipes.optimizers import SGD, Adam, AdamW, RMSprop, Schedule
from ganvas.training.optimizers import NetworkOptimizer

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
    optimizer.step([grad.clone() for grad in gradients(network, step)])


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
    optimizer = NetworkOptimizer(net, spec)
    for step in range(steps):
        take_step(net, optimizer, step)
    grads = [[g.numpy() for g in gradients(net, step)] for step in range(steps)]
    weights, moments, velocities = keras_adam(list(start), grads, spec)
    for parameter, expected, before in zip(net.parameters(), weights, start, strict=True):
        moved = parameter.detach().numpy() - before
        np.testing.assert_allclose(moved, expected - before, rtol=1e-6, atol=1e-14)
    saved = optimizer.state_tensors()
    for (name, _), m, v in zip(net.named_parameters(), moments, velocities, strict=True):
        np.testing.assert_allclose(saved[f"{name}.exp_avg"], m, rtol=1e-9, atol=1e-30)
        np.testing.assert_allclose(saved[f"{name}.exp_avg_sq"], v, rtol=1e-9, atol=1e-30)


def test_a_tiny_gradient_is_changed_by_epsilon_as_in_keras_not_as_in_pytorch():
    grad = 1e-6
    moves = []
    for mode in ("keras", "pytorch"):
        net = nn.Linear(1, 1, bias=False).double()
        start = net.weight.item()
        optimizer = NetworkOptimizer(net, Adam(learning_rate=1.0, epsilon_mode=mode))
        optimizer.step([torch.full_like(net.weight, grad)])
        moves.append(start - net.weight.item())
    root = np.sqrt(1e-3)
    assert moves[0] == pytest.approx(root * grad / (root * grad + 1e-7), rel=1e-6)
    assert moves[1] == pytest.approx(grad / (grad + 1e-7), rel=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_moments_go_out_and_back_and_training_goes_on_to_the_same_bits(steps, memory):
    net = network().to(memory_format=memory)
    optimizer = NetworkOptimizer(net, SPECS[1])
    for step in range(steps):
        take_step(net, optimizer, step)
    twin = copy.deepcopy(net)
    resumed = NetworkOptimizer(twin, SPECS[1])
    # As a checkpoint holds them: contiguous copies.
    resumed.load_state_tensors(
        {k: v.clone().contiguous() for k, v in optimizer.state_tensors().items()}, optimizer.steps
    )
    assert resumed.steps == steps
    for step in range(steps, steps + 3):
        take_step(net, optimizer, step)
        take_step(twin, resumed, step)
    assert all(map(torch.equal, net.parameters(), twin.parameters()))
    assert optimizer.state_tensors().keys() == resumed.state_tensors().keys()
    assert all(torch.equal(m, resumed.state_tensors()[k]) for k, m in optimizer.state_tensors().items())


def test_loaded_moments_are_copies():
    net = network()
    optimizer = NetworkOptimizer(net, SPECS[0])
    take_step(net, optimizer, 0)
    given = {k: v.clone() for k, v in optimizer.state_tensors().items()}
    kept = {k: v.clone() for k, v in given.items()}
    optimizer.load_state_tensors(given, 1)
    take_step(net, optimizer, 1)
    assert all(torch.equal(given[k], kept[k]) for k in kept)


def test_moments_are_named_by_weight_and_absent_before_the_first_step():
    net = network()
    optimizer = NetworkOptimizer(net, SPECS[0])
    assert optimizer.state_tensors() == {}
    take_step(net, optimizer, 0)
    weights = ("0.weight", "0.bias", "1.weight")
    assert set(optimizer.state_tensors()) == {f"{w}.{m}" for w in weights for m in ("exp_avg", "exp_avg_sq")}


def test_missing_moments_are_refused():
    net = network()
    optimizer = NetworkOptimizer(net, SPECS[0])
    with pytest.raises(KeyError):
        optimizer.load_state_tensors({}, 3)


OTHERS = [
    Adam(learning_rate=1e-3, epsilon_mode="pytorch"),
    AdamW(learning_rate=1e-3, weight_decay=0.1),
    SGD(learning_rate=1e-3),
    SGD(learning_rate=1e-3, momentum=0.9, nesterov=True),
    RMSprop(learning_rate=1e-3),
    RMSprop(learning_rate=1e-3, momentum=0.5),
]


@pytest.mark.parametrize("config", OTHERS)
def test_every_optimizer_takes_the_steps_of_pytorchs_own(config):
    ours, theirs = network(), network()
    options = config.model_dump(exclude={"kind", "schedule", "learning_rate", "epsilon_mode"})
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    if "epsilon" in options:
        options["eps"] = options.pop("epsilon")
    classes = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    reference = classes[config.kind](theirs.parameters(), lr=config.learning_rate, **options)
    optimizer = NetworkOptimizer(ours, config)
    for step in range(3):
        take_step(ours, optimizer, step)
        for weight, grad in zip(theirs.parameters(), gradients(theirs, step), strict=True):
            weight.grad = grad
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("config", OTHERS)
def test_every_optimizer_resumes_from_its_tensors_to_the_same_bits(config):
    net = network()
    optimizer = NetworkOptimizer(net, config)
    for step in range(3):
        take_step(net, optimizer, step)
    twin = copy.deepcopy(net)
    resumed = NetworkOptimizer(twin, config)
    resumed.load_state_tensors({k: v.clone() for k, v in optimizer.state_tensors().items()}, optimizer.steps)
    for step in range(3, 6):
        take_step(net, optimizer, step)
        take_step(twin, resumed, step)
    assert all(map(torch.equal, net.parameters(), twin.parameters()))


def test_each_player_follows_a_schedule_of_its_own():
    falling = NetworkOptimizer(network(), SGD(learning_rate=1.0, schedule=Schedule(final=0)))
    constant = NetworkOptimizer(network(), SGD(learning_rate=1.0))
    for optimizer in (falling, constant):
        optimizer.set_progress(0.75)
    assert [o._optimizer.param_groups[0]["lr"] for o in (falling, constant)] == [0.25, 1.0]


def test_a_parameter_that_the_loss_does_not_use_gets_a_zero_gradient():
    net = network()
    optimizer = NetworkOptimizer(net, SGD(learning_rate=1.0))
    before = [p.clone() for p in net.parameters()]
    optimizer.minimize(net[0].weight.sum())
    assert not torch.equal(net[0].weight, before[0])
    assert torch.equal(net[1].weight, before[2])

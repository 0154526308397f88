"""Random numbers are a function of (seed, step): repeatable, apart from each other, of the right law."""

import math

import pytest
import torch
from torch import nn

from ganvas.networks.layers import Dropout
from ganvas.training.rng import StepRNG, Stream, derive_seed, seeded_global_rng

CPU = torch.device("cpu")


def step_random(seed=0, step=0, size=8, distribution="normal"):
    return StepRNG(seed, step, size, distribution, CPU)


def test_every_seed_stream_and_step_has_a_seed_of_its_own():
    seeds = {
        derive_seed(seed, stream, *where)
        for seed in range(20)
        for stream in Stream
        for where in [
            (),
            *((step,) for step in range(20)),
            *((step, i) for step in range(9) for i in range(3)),
        ]
    }
    assert len(seeds) == 20 * len(Stream) * (1 + 20 + 27)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_derived_seeds_never_change():
    # Old checkpoints resume to the same bits only while these stay as they are.
    known = {
        (0, Stream.WEIGHTS, 0): 2278555635313361279,
        (1, Stream.LATENTS, 12): 9139100938808796613,
        (7, Stream.DROPOUT, 3, 1): 2928128423754386717,
        (0, Stream.SAMPLE): 9039760063880772857,
    }
    assert {key: derive_seed(*key) for key in known} == known


def test_a_step_draws_the_same_z_whenever_it_is_called():
    first = step_random(seed=3, step=7)
    a, b = first.latents(5), first.latents(5)
    step_random(seed=3, step=8).latents(100)
    again = step_random(seed=3, step=7)
    assert torch.equal(again.latents(5), a)
    assert torch.equal(again.latents(5), b)
    assert not torch.equal(a, b)


@pytest.mark.parametrize("other", [{"seed": 4}, {"step": 8}])
def test_another_seed_or_step_draws_other_z(other):
    here = {"seed": 3, "step": 7}
    assert not torch.equal(step_random(**here).latents(5), step_random(**here | other).latents(5))


@pytest.mark.parametrize(("distribution", "second", "fourth"), [("normal", 1, 3), ("uniform", 1 / 3, 1 / 5)])
def test_z_has_the_moments_of_its_distribution(distribution, second, fourth):
    z = step_random(size=100, distribution=distribution).latents(2000).double()
    assert z.shape == (2000, 100)
    n = z.numel()
    assert abs(z.mean().item()) < 4 * math.sqrt(second / n)
    assert abs(z.square().mean().item() - second) < 4 * math.sqrt((fourth - second**2) / n)
    assert z.pow(4).mean().item() == pytest.approx(fourth, rel=0.05)
    if distribution == "uniform":
        assert -1 <= z.min() < -0.999
        assert 0.999 < z.max() < 1


def masks(network, rng):
    rng.seed_layers(nn.Identity(), network)
    return [layer(torch.ones(64)) for layer in network]


def test_dropout_masks_repeat_with_the_step_and_differ_between_steps_and_layers():
    network = nn.Sequential(Dropout(0.5), Dropout(0.5)).train()
    a, b = masks(network, step_random(step=1))
    again_a, again_b = masks(network, step_random(step=1))
    later_a, _ = masks(network, step_random(step=2))
    assert torch.equal(a, again_a)
    assert torch.equal(b, again_b)
    assert not torch.equal(a, b)
    assert not torch.equal(a, later_a)


def test_a_steps_own_draws_leave_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    step_random().latents(10)
    step_random().uniform(10)
    assert torch.equal(torch.get_rng_state(), before)


def test_pytorchs_own_dropout_repeats_with_the_step_too():
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)).train()
    torch.manual_seed(1)
    a, b = masks(network, step_random(step=1))
    torch.manual_seed(2)  # must not matter
    again_a, again_b = masks(network, step_random(step=1))
    later_a, _ = masks(network, step_random(step=2))
    assert torch.equal(a, again_a)
    assert torch.equal(b, again_b)
    assert not torch.equal(a, b)
    assert not torch.equal(a, later_a)


def test_seeded_global_random_numbers_are_put_back():
    before = torch.get_rng_state()
    with seeded_global_rng(5):
        first = torch.rand(3)
    with seeded_global_rng(5):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)

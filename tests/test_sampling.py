"""Samples: z by seed, arcs between z, images in chunks."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ganvas import recipes
from ganvas.networks.layers import KerasBatchNorm, Reshape
from ganvas.recipes.schema import Latent
from ganvas.training import sampling
from ganvas.training.rng import Stream
from ganvas.training.sampling import generate, interpolate, sample_inputs, sample_z, slerp

RECIPE = recipes.load_recipe("mlp").with_overrides({"latent.size": 6, "generator.hidden": [7]})


def sample(network, recipe, count, seed):
    return generate(network, sample_inputs(recipe, count, seed).z, recipe.pixel_range)


def generator():
    torch.manual_seed(0)
    return RECIPE.generator.build((1, 8, 8), 6, RECIPE.pixel_range).train()


class Spelled(nn.Module):
    """Writes z's first number into every pixel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.train_features = []

    def forward(self, z):
        self.train_features.append((len(z), self.training, torch.is_grad_enabled()))
        return z[:, :1, None, None].expand(-1, 1, 8, 8) * self.weight


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_first_z_are_the_same_for_every_count(distribution):
    latent = Latent(size=7, distribution=distribution)
    many = sample_z(latent, 50, seed=3)
    assert many.shape == (50, 7)
    for count in (0, 1, 16, 49):
        assert torch.equal(sample_z(latent, count, seed=3), many[:count])


def test_z_differ_by_seed_stream_and_row():
    latent = Latent(size=7)
    rows = [
        sample_z(latent, 4, seed, stream)
        for seed in (0, 1)
        for stream in (Stream.SAMPLE, Stream.GRID, Stream.ACCURACY)
    ]
    assert len(torch.cat(rows).unique(dim=0)) == 24


@pytest.mark.parametrize(("distribution", "second"), [("normal", 1), ("uniform", 1 / 3)])
def test_z_follow_the_latents_distribution(distribution, second):
    z = sample_z(Latent(size=100, distribution=distribution), 500, seed=0).double()
    assert abs(z.mean().item()) < 4 * math.sqrt(second / z.numel())
    assert z.square().mean().item() == pytest.approx(second, rel=0.03)
    assert (z.abs().max().item() <= 1) is (distribution == "uniform")


def test_images_come_in_order_over_many_chunks_in_inference_mode(monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 4)
    network = Spelled().train()
    pixels = list(range(0, 253, 23))
    z = torch.tensor(pixels)[:, None] / 255
    images = generate(network, z, (0, 1))
    assert network.train_features == [(4, False, False), (4, False, False), (3, False, False)]
    assert network.training  # as it was
    assert images[:, 0, 0, 0].tolist() == pixels
    assert (images.shape, images.dtype) == ((11, 1, 8, 8), np.uint8)


def test_batch_norm_makes_no_difference_between_chunks_and_is_not_moved(monkeypatch):
    z = sample_z(RECIPE.latent, 9, seed=0)
    network = generator()
    whole = generate(network, z, RECIPE.pixel_range)
    monkeypatch.setattr(sampling, "CHUNK", 2)
    parts = generate(network, z, RECIPE.pixel_range)
    assert np.abs(whole.astype(int) - parts).max() <= 1  # another batch size may round another way
    norms = [m for m in network.modules() if isinstance(m, KerasBatchNorm)]
    assert norms
    assert all(not norm.moving_mean.any() for norm in norms)


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    network = generator()
    first = sample(network, RECIPE, 5, seed=1)
    torch.manual_seed(99)  # must not matter
    assert np.array_equal(sample(network, RECIPE, 5, seed=1), first)
    assert not np.array_equal(sample(network, RECIPE, 5, seed=2), first)
    assert np.array_equal(first, generate(network, sample_z(RECIPE.latent, 5, 1), RECIPE.pixel_range))


# Arcs


def vectors(count, size=20, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at(fraction):
    return torch.tensor(fraction, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_an_arc_ends_exactly_where_it_should(seed):
    a, b = vectors(2, seed=seed)
    torch.testing.assert_close(slerp(a, b, at(0.0)), a, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slerp(a, b, at(1.0)), b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_lengths_change_linearly_and_angles_evenly_along_an_arc(fraction):
    a, b = vectors(2)
    c = slerp(a, b, at(fraction))
    assert c.norm().item() == pytest.approx(((1 - fraction) * a.norm() + fraction * b.norm()).item())

    def angle(u, v):
        return math.acos((u @ v / u.norm() / v.norm()).item())

    assert angle(a, c) == pytest.approx(fraction * angle(a, b))
    assert angle(c, b) == pytest.approx((1 - fraction) * angle(a, b))


def test_halfway_between_orthogonal_unit_vectors_is_the_diagonal():
    a, b = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(slerp(a, b, at(0.5)), (a + b) / math.sqrt(2))


@pytest.mark.parametrize("factor", [1.0, 3.0, 1 + 1e-9])
def test_between_parallel_vectors_an_arc_is_a_line(factor):
    a = vectors(1)[0]
    torch.testing.assert_close(slerp(a, factor * a, at(0.25)), (0.75 + 0.25 * factor) * a)


def test_nearly_parallel_vectors_join_without_a_jump():
    a = vectors(1)[0]
    for bend in (1e-6, 9e-5, 1.1e-4, 1e-3):
        b = a + bend * vectors(1, seed=1)[0]
        torch.testing.assert_close(slerp(a, b, at(0.3)), 0.7 * a + 0.3 * b, rtol=0, atol=1e-6)


def test_many_arcs_are_the_single_ones():
    a, b = vectors(3), vectors(3, seed=1)
    fractions = torch.linspace(0, 1, 5, dtype=torch.float64)
    all_at_once = slerp(a[:, None], b[:, None], fractions.view(1, 5, 1))
    for i in range(3):
        for j in range(5):
            torch.testing.assert_close(all_at_once[i, j], slerp(a[i], b[i], fractions[j]))


def test_a_walk_leads_row_by_row_from_one_z_to_the_next():
    class Ends(Spelled):
        def forward(self, z):
            self.train_features.append(z)
            return super().forward(z)

    network = Ends()
    images = interpolate(network, RECIPE, rows=2, columns=5, seed=4)
    assert images.shape == (10, 1, 8, 8)
    z, ends = network.train_features[0], sample_z(RECIPE.latent, 4, seed=4)
    torch.testing.assert_close(z[[0, 4, 5, 9]], ends)
    torch.testing.assert_close(z[2], slerp(ends[0], ends[1], torch.tensor(0.5)))


def test_samples_have_the_shape_that_the_generator_makes():
    network = nn.Sequential(nn.Linear(6, 3 * 8 * 9), nn.Sigmoid(), Reshape(3, 8, 9))
    assert sample(network, RECIPE, 2, seed=0).shape == (2, 3, 8, 9)

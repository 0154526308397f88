"""Initial parameters against the closed forms of their distributions, and that all come from the seed."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from ganvas import recipes
from ganvas.networks import Init
from ganvas.networks.init import fans, init_parameters
from ganvas.networks.layers import KerasBatchNorm, Logit
from ganvas.networks.spec import GeneratorSpec
from ganvas.training.state import new_discriminator, new_generator

KERAS = ("tutorial-dcgan", "fashion-dcgan", "keras-cnn", "mlp")
STD = 0.02
TRUNCATED_STD = 0.8796256610342398 * STD  # of a normal truncated at two standard deviations


def layers_of(name):
    recipe = recipes.load_recipe(name)
    networks = new_generator(recipe, (1, 28, 28), 0), new_discriminator(recipe, (1, 28, 28), 0)
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    return [layer for network in networks for layer in network.modules() if isinstance(layer, kinds)]


@pytest.fixture(scope="module", params=KERAS)
def keras_layers(request):
    return layers_of(request.param)


@pytest.fixture(scope="module")
def tf1_layers():
    return layers_of("tf1-dcgan")


def keras_limit(layer):
    """Glorot's limit by Keras's own rule, from the kernel's shape in Keras's order."""
    if isinstance(layer, nn.Linear):
        fan_out, fan_in = layer.weight.shape
    else:  # Keras takes the last two axes of (h, w, in, out), and of (h, w, out, in) when transposed
        area = layer.kernel_size[0] * layer.kernel_size[1]
        pair = layer.in_channels, layer.out_channels
        fan_in, fan_out = (area * c for c in (pair[::-1] if isinstance(layer, nn.ConvTranspose2d) else pair))
    return math.sqrt(6 / (fan_in + fan_out))


def kolmogorov_smirnov(values, distribution):
    """The largest gap between the values' and the given cumulative distribution, times sqrt(n)."""
    values = values.detach().double().flatten().sort().values
    n = len(values)
    expected = distribution(values)
    above = torch.arange(1, n + 1) / n - expected
    below = expected - torch.arange(n) / n
    return max(above.max().item(), below.max().item()) * math.sqrt(n)


CRITICAL = 2.6  # exceeded by chance about once in 400,000


def test_kernels_are_uniform_up_to_keras_glorot_limit(keras_layers):
    for layer in keras_layers:
        limit, w = keras_limit(layer), layer.weight.detach()
        largest, n = w.abs().max().item(), w.numel()
        assert largest <= limit * (1 + 1e-6)
        assert largest > limit * (1 - 20 / n)  # missed by chance once in e^20
        ratio = w.double().square().mean().item() / (limit**2 / 3)
        assert abs(ratio - 1) < 5 * math.sqrt(0.8 / n)  # the variance of u^2 is 0.8 of its mean squared
        assert kolmogorov_smirnov(w, lambda x, limit=limit: (x + limit) / (2 * limit)) < CRITICAL


def test_biases_start_at_zero(keras_layers):
    biases = [layer.bias for layer in keras_layers if layer.bias is not None]
    assert biases
    assert all(not bias.any() for bias in biases)


def test_tf1_kernels_are_normals_truncated_at_two_standard_deviations(tf1_layers):
    low, high = 0.5 * math.erfc(math.sqrt(2)), 1 - 0.5 * math.erfc(math.sqrt(2))
    for layer in tf1_layers:
        w = layer.weight.detach()
        assert w.abs().max() <= 2 * STD
        assert w.double().std().item() == pytest.approx(TRUNCATED_STD, rel=4 / math.sqrt(w.numel()))
        assert abs(w.double().mean().item()) < 5 * TRUNCATED_STD / math.sqrt(w.numel())

        def cumulative(x):
            return (0.5 * torch.erfc(-x / STD / math.sqrt(2)) - low) / (high - low)

        assert kolmogorov_smirnov(w, cumulative) < CRITICAL


def test_tf1_linear_biases_start_at_the_layers_width_and_others_at_zero(tf1_layers):
    linear = [layer for layer in tf1_layers if isinstance(layer, nn.Linear)]
    assert [layer.bias.unique().tolist() for layer in linear] == [[1024], [6272], [1024], [1]]
    others = [layer for layer in tf1_layers if layer not in linear]
    assert len(others) == 4
    assert all(layer.bias is not None and not layer.bias.any() for layer in others)


@pytest.mark.parametrize("rule", [Init(), Init(rule="truncated_normal", linear_bias="width")])
def test_a_logits_kernel_and_batch_norm_follow_the_rule_for_their_kind(rule):
    network = nn.Sequential(KerasBatchNorm(5, 0.9, 1e-3), Logit(5))
    init_parameters(network, rule, torch.Generator().manual_seed(0))
    assert network[0].weight.tolist() == [1] * 5
    assert network[0].bias.tolist() == [0] * 5
    assert network[1].bias.item() == (1 if rule.linear_bias == "width" else 0)


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_the_standard_deviation_can_be_chosen(std):
    layer = nn.Linear(300, 300)
    rule = Init(rule="truncated_normal", std=std)
    init_parameters(layer, rule, torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx(0.88 * std, rel=0.02)
    assert not layer.bias.any()


@pytest.mark.parametrize("rule", [Init(), Init(rule="truncated_normal")])
def test_weights_come_from_the_given_generator_only(rule):
    def initialized(seed):
        layer = nn.Conv2d(3, 4, 5)
        before = torch.get_rng_state()
        init_parameters(layer, rule, torch.Generator().manual_seed(seed))
        assert torch.equal(torch.get_rng_state(), before)
        return layer.weight

    assert torch.equal(initialized(1), initialized(1))
    assert not torch.equal(initialized(1), initialized(2))


@pytest.mark.parametrize(
    ("shape", "expected"), [((7, 5), (5, 7)), ((8, 2, 3, 3), (18, 72)), ((1, 64, 5, 5), (1600, 25))]
)
def test_fans_count_every_pixel_of_the_kernel(shape, expected):
    assert fans(torch.empty(shape)) == expected


class RawParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4, 3))


FOREIGN = {
    "embedding": lambda: nn.Embedding(10, 4),
    "group norm beside an embedding": lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.Embedding(5, 4)),
    "raw parameter": RawParameter,
    "LSTM": lambda: nn.LSTM(5, 6, num_layers=2),
    "PReLU beside a 3D convolution": lambda: nn.Sequential(nn.PReLU(4), nn.Conv3d(1, 2, 3)),
    "bilinear": lambda: nn.Bilinear(3, 4, 5),
    "attention": lambda: nn.MultiheadAttention(8, 2),
}


class InitTestGenerator(GeneratorSpec):
    kind: Literal["init-test"] = "init-test"
    layer: str = "embedding"

    def build(self, image_shape, latent_size, pixel_range):
        return nn.Sequential(nn.Linear(latent_size, 8), FOREIGN[self.layer]())


def foreign_parameters(layer, seed):
    recipe = recipes.load_recipe("mlp").with_overrides({"generator": {"kind": "init-test", "layer": layer}})
    return dict(new_generator(recipe, (1, 8, 8), seed).named_parameters())


@pytest.mark.parametrize("layer", FOREIGN)
def test_every_random_parameter_of_a_foreign_network_comes_from_the_seed(layer):
    torch.manual_seed(1)
    first = foreign_parameters(layer, seed=0)
    torch.manual_seed(2)
    second = foreign_parameters(layer, seed=0)
    assert first.keys() == second.keys()
    assert all(torch.equal(parameter, second[name]) for name, parameter in first.items())
    other = foreign_parameters(layer, seed=1)
    random = [name for name, parameter in first.items() if parameter.unique().numel() > 1]
    assert any(name.startswith("1.") for name in random)  # of the foreign layer, not only of the dense one
    assert not any(torch.equal(first[name], other[name]) for name in random)


@pytest.mark.parametrize("layer", FOREIGN)
def test_building_a_foreign_network_leaves_the_callers_random_numbers_alone(layer):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    foreign_parameters(layer, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_both_players_of_a_seed_start_from_different_random_numbers():
    recipe = recipes.load_recipe("mlp")
    networks = new_generator(recipe, (1, 8, 8), 0), new_discriminator(recipe, (1, 8, 8), 0)
    first, second = (next(network.parameters()).detach().flatten()[:100] for network in networks)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.5

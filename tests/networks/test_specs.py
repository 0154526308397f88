"""Specs: what they refuse, and the shapes of what they build for any image."""

import itertools

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ganvas import recipes
from ganvas.networks import (
    BatchNorm,
    ConvLayer,
    DCGANDiscriminator,
    DCGANGenerator,
    Init,
    MLPDiscriminator,
    MLPGenerator,
    OutputLayer,
)
from ganvas.networks.layers import (
    Dropout,
    Flatten,
    KerasBatchNorm,
    Linear,
    Logit,
    SameConv2d,
    SameConvTranspose2d,
    Sigmoid,
    Tanh,
)

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 30, 30), (3, 64, 48), (1, 8, 8)]


def built(recipe, shape):
    generator = recipe.generator.build(shape, recipe.latent.size, recipe.pixel_range)
    return generator, recipe.discriminator.build(shape)


@pytest.mark.parametrize(("name", "shape"), list(itertools.product(recipes.recipe_names(), SHAPES)))
def test_every_recipe_builds_networks_for_every_image_shape(name, shape):
    recipe = recipes.load_recipe(name)
    generator, discriminator = built(recipe, shape)
    low, high = recipe.pixel_range
    with torch.no_grad():
        images = generator(torch.randn(2, recipe.latent.size, generator=torch.Generator().manual_seed(0)))
        logits = discriminator(images)
    assert images.shape == (2, *shape)
    assert images.dtype == torch.float32
    assert low <= images.min() < images.max() <= high
    assert logits.shape == (2,)


@pytest.mark.parametrize("size", [10, 50, 500])
def test_keras_cnn_takes_other_latent_sizes(size):
    recipe = recipes.load_recipe("keras-cnn").with_overrides({"latent.size": size})
    generator, _ = built(recipe, (1, 28, 28))
    with torch.no_grad():
        assert generator(torch.zeros(3, size)).shape == (3, 1, 28, 28)
    assert generator[0].weight.shape == (6272, size)


@pytest.mark.parametrize(
    ("side", "sides"), [(28, [7, 14, 28]), (30, [8, 15, 30]), (33, [9, 17, 33]), (8, [2, 4, 8])]
)
def test_the_generators_maps_have_the_discriminators_sizes_in_reverse(side, sides):
    generator, discriminator = built(recipes.load_recipe("keras-cnn"), (1, side, side))
    sizes = []
    for network in (generator, discriminator):
        for layer in network:
            if isinstance(layer, SameConv2d | SameConvTranspose2d):
                layer.register_forward_hook(lambda _, x, y: sizes.append((x[0].shape[-1], y.shape[-1])))
    with torch.no_grad():
        discriminator(generator(torch.zeros(1, 100)))
    a, b, c = sides
    assert sizes == [(a, b), (b, c), (c, c), (c, b), (b, a)]


def test_in_an_mlp_generator_the_activation_comes_before_batch_norm():
    kinds = [type(layer) for layer in MLPGenerator(hidden=(4, 3)).build((1, 8, 8), 5, (-1, 1))]
    assert kinds[:6] == [Linear, nn.LeakyReLU, KerasBatchNorm] * 2


def test_in_a_dcgan_generator_batch_norm_comes_before_the_activation():
    spec = DCGANGenerator(base_channels=2, output_layer=OutputLayer(kernel=3), batch_norm=BatchNorm())
    kinds = [type(layer) for layer in spec.build((1, 8, 8), 5, (-1, 1))]
    assert kinds[:3] == [Linear, KerasBatchNorm, nn.LeakyReLU]


@pytest.mark.parametrize(("pixel_range", "last"), [((0, 1), Sigmoid), ((-1, 1), Tanh)])
@pytest.mark.parametrize(
    "spec", [MLPGenerator(hidden=(3,)), DCGANGenerator(base_channels=2, output_layer=OutputLayer(kernel=3))]
)
def test_the_pixel_range_decides_the_generators_last_activation(spec, pixel_range, last):
    kinds = [type(layer) for layer in spec.build((1, 8, 8), 5, pixel_range)]
    assert last in kinds
    assert {Sigmoid, Tanh} & set(kinds) == {last}


@pytest.mark.parametrize("first", [True, False])
def test_a_discriminators_first_layer_has_batch_norm_only_with_batch_norm_first(first):
    layers = (ConvLayer(channels=4, kernel=3, stride=2), ConvLayer(channels=5, kernel=3, stride=2))
    spec = DCGANDiscriminator(
        layers=layers, hidden=(6,), dropout=0.5, batch_norm=BatchNorm(), batch_norm_first=first
    )
    kinds = [type(layer) for layer in spec.build((1, 8, 8))]
    norm = [KerasBatchNorm]
    assert kinds == [
        *[SameConv2d, *(norm * first), nn.LeakyReLU, Dropout],
        *[SameConv2d, *norm, nn.LeakyReLU, Dropout],
        *[Flatten, Linear, *norm, nn.LeakyReLU, Dropout, Logit],
    ]


def test_an_mlp_discriminator_has_dropout_after_each_hidden_layer():
    kinds = [type(layer) for layer in MLPDiscriminator(hidden=(4, 3), dropout=0.2).build((1, 8, 8))]
    assert kinds == [Flatten, *[Linear, nn.LeakyReLU, Dropout] * 2, Logit]


def test_negative_slope_0_is_relu():
    assert any(type(m) is nn.ReLU for m in MLPDiscriminator(negative_slope=0).build((1, 8, 8)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvLayer(channels=0, kernel=3),
        lambda: ConvLayer(channels=8, kernel=2, stride=3),
        lambda: OutputLayer(kernel=1, stride=2),
        lambda: OutputLayer(kernel=3, stride=2, transposed=False),
        lambda: BatchNorm(momentum=1.5),
        lambda: BatchNorm(epsilon=0),
        lambda: Init(rule="he"),
        lambda: Init(std=-1),
        lambda: MLPGenerator(negative_slope=2),
        lambda: MLPGenerator(hidden=(0,)),
        lambda: MLPGenerator(hidden=(True, 4)),
        lambda: MLPDiscriminator(dropout=1),
        lambda: MLPDiscriminator(dropout=float("nan")),
        lambda: MLPDiscriminator(width=3),
    ],
)
def test_a_spec_refuses_what_cannot_be_built(make):
    with pytest.raises(ValidationError):
        make()


def test_a_spec_is_frozen():
    with pytest.raises(ValidationError):
        MLPGenerator().slope = 0.3

"""Costs, counted by hand from the table of recipes."""

import pytest
import torch

from ganvas import recipes
from ganvas.profiling import cost
from ganvas.profiling.cost import Cost
from ganvas.training.state import new_discriminator, new_generator

BY_HAND = {
    "tutorial-dcgan": (
        Cost(
            100 * 12544 + 2 * 12544  # dense without bias, batch norm
            + 25 * 256 * 128 + 2 * 128
            + 25 * 128 * 64 + 2 * 64
            + 25 * 64,
            100 * 12544 + 49 * 25 * 256 * 128 + 49 * 25 * 128 * 64 + 196 * 25 * 64,
        ),
        Cost(
            25 * 64 + 64 + 25 * 64 * 128 + 128 + 49 * 128 + 1,
            196 * 25 * 64 + 49 * 25 * 64 * 128 + 49 * 128,
        ),
    ),
    "keras-cnn": (
        Cost(
            101 * 6272 + 2 * (16 * 128 * 128 + 128) + 49 * 128 + 1,
            100 * 6272 + (49 + 196) * 16 * 128 * 128 + 784 * 49 * 128,
        ),
        Cost(
            9 * 64 + 64 + 9 * 64 * 64 + 64 + 49 * 64 + 1,
            196 * 9 * 64 + 49 * 9 * 64 * 64 + 49 * 64,
        ),
    ),
    "mlp": (
        Cost(
            101 * 256 + 2 * 256 + 257 * 512 + 2 * 512 + 513 * 1024 + 2 * 1024 + 1025 * 784,
            100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784,
        ),
        Cost(785 * 512 + 513 * 256 + 257, 784 * 512 + 512 * 256 + 256),
    ),
    "tf1-dcgan": (
        Cost(
            101 * 1024 + 2 * 1024
            + 1025 * 6272 + 2 * 6272
            + 16 * 128 * 64 + 64 + 2 * 64
            + 16 * 64 + 1,
            100 * 1024 + 1024 * 6272 + 49 * 16 * 128 * 64 + 196 * 16 * 64,
        ),
        Cost(
            16 * 64 + 64
            + 16 * 64 * 128 + 128 + 2 * 128
            + 6273 * 1024 + 2 * 1024
            + 1025,
            196 * 16 * 64 + 49 * 16 * 64 * 128 + 6272 * 1024 + 1024,
        ),
    ),
}  # fmt: skip


def totals(recipe, shape):
    return tuple(map(cost.total_cost, cost.network_layers(recipe, shape)))


@pytest.mark.parametrize("name", BY_HAND)
def test_costs_are_those_counted_by_hand(name):
    assert totals(recipes.load_recipe(name), (1, 28, 28)) == BY_HAND[name]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 30, 17)])
@pytest.mark.parametrize("name", recipes.recipe_names())
def test_the_weights_are_those_of_the_built_networks(name, shape):
    recipe = recipes.load_recipe(name)
    built = new_generator(recipe, shape, 0), new_discriminator(recipe, shape, 0)
    counted = [c.parameters for c in totals(recipe, shape)]
    assert counted == [sum(p.numel() for p in network.parameters()) for network in built]


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_each_layer_tells_the_shape_that_it_puts_out(name):
    recipe = recipes.load_recipe(name)
    generator, discriminator = cost.network_layers(recipe, (3, 32, 24))
    assert generator[-1].output == (3, 32, 24)
    assert discriminator[-1].output == ((recipe.classes,) if recipe.classes else ())
    lines = cost.layer_table(recipe, (3, 32, 24))
    assert len(lines) == 1 + 2 + 2 + len(generator) + len(discriminator)
    assert sum("3 x 32 x 24" in line for line in lines) >= 1


def test_counting_draws_no_random_numbers():
    before = torch.get_rng_state()
    cost.network_layers(recipes.load_recipe("keras-cnn"), (1, 28, 28))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_table_names_every_recipe_with_its_source_data_length_and_cost():
    text = "\n".join(cost.recipe_table())
    for name in recipes.recipe_names():
        recipe = recipes.load_recipe(name)
        assert f"{name}: {recipe.summary}\n    source  {recipe.source}\n" in text
        assert f"{recipe.length}, batches of {recipe.batch_size}" in text
        g, d = totals(recipe, (1, 28, 28))
        assert f"G {g.parameters / 1e6:.2f} M parameters" in text
        assert f"D {d.parameters / 1e6:.2f} M, {d.macs / 1e6:.1f} M" in text

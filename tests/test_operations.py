"""Operations of a step, counted by hand, and taps against a count of every single one."""

import pytest

from ganvas import operations, recipes
from ganvas.networks.layers import same_padding


def every_tap(large, small, kernel, stride):
    before, _ = same_padding(large, small, kernel, stride)
    return sum(
        0 <= position * stride - before + tap < large for position in range(small) for tap in range(kernel)
    )


@pytest.mark.parametrize("kernel", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("large", [7, 14, 15, 28])
def test_taps_on_padding_are_left_out(large, kernel, stride):
    small = -(-large // stride)
    assert operations.taps(large, small, kernel, stride) == every_tap(large, small, kernel, stride)


def test_a_simultaneous_step_is_counted_as_one_pass_through_d():
    g = 100 * 12544 + 29**2 * 256 * 128 + 32**2 * 128 * 64 + 67**2 * 64
    d = 67**2 * 64 + 32**2 * 64 * 128 + 6272
    recipe = recipes.find("tutorial-dcgan")
    assert operations.taps(14, 7, 5, 2) == 32
    assert operations.taps(28, 14, 5, 2) == 67
    assert operations.sample(recipe, (1, 28, 28)) == g
    by_hand = 256 * (3 * g - 100 * 12544 + 6 * d - 67**2 * 64)
    assert operations.step(recipe, (1, 28, 28)) == by_hand


def test_an_alternating_step_counts_both_turns():
    g = 100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784
    d = 784 * 512 + 512 * 256 + 256
    turns = g + 2 * (3 * d - 784 * 512) + 2 * d + 3 * g - 100 * 256
    assert operations.step(recipes.find("mlp"), (1, 28, 28)) == 1024 * turns


def test_a_step_on_the_same_z_draws_its_fakes_once():
    recipe = recipes.find("tf1-dcgan")
    fresh = recipe.changed({"update.reuse_latents": False})
    shape = (1, 28, 28)
    difference = operations.step(fresh, shape) - operations.step(recipe, shape)
    assert difference == 256 * operations.sample(recipe, shape)


def test_batch_norm_in_d_needs_a_pass_for_each_player():
    recipe = recipes.find("tf1-dcgan").changed({"update": {"rule": "simultaneous"}})
    g, d = operations.passes(recipe, (1, 28, 28))
    by_hand = 256 * (g.trained + 2 * d.trained + d.whole)
    assert operations.step(recipe, (1, 28, 28)) == by_hand

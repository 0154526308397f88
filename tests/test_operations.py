"""Operations of a step, counted by hand, and taps against a count of every single one."""

import pytest

from ganvas import recipes
from ganvas.profiling import flops
from ganvas.utils.conv_arithmetic import kernel_taps, same_padding


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
    assert kernel_taps(large, small, kernel, stride) == every_tap(large, small, kernel, stride)


def test_a_simultaneous_step_is_counted_as_one_pass_through_d():
    g = 100 * 12544 + 29**2 * 256 * 128 + 32**2 * 128 * 64 + 67**2 * 64
    d = 67**2 * 64 + 32**2 * 64 * 128 + 6272
    recipe = recipes.load_recipe("tutorial-dcgan")
    assert kernel_taps(14, 7, 5, 2) == 32
    assert kernel_taps(28, 14, 5, 2) == 67
    assert flops.sample_macs(recipe, (1, 28, 28)) == g
    by_hand = 256 * (3 * g - 100 * 12544 + 6 * d - 67**2 * 64)
    assert flops.step_macs(recipe, (1, 28, 28)) == by_hand


def test_an_alternating_step_counts_both_turns():
    g = 100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784
    d = 784 * 512 + 512 * 256 + 256
    turns = g + 2 * (3 * d - 784 * 512) + 2 * d + 3 * g - 100 * 256
    assert flops.step_macs(recipes.load_recipe("mlp"), (1, 28, 28)) == 1024 * turns


def test_a_step_on_the_same_z_draws_its_fakes_once():
    recipe = recipes.load_recipe("tf1-dcgan")
    fresh = recipe.with_overrides({"update.reuse_latents": False})
    shape = (1, 28, 28)
    difference = flops.step_macs(fresh, shape) - flops.step_macs(recipe, shape)
    assert difference == 256 * flops.sample_macs(recipe, shape)


def test_batch_norm_in_d_needs_a_pass_for_each_player():
    recipe = recipes.load_recipe("tf1-dcgan").with_overrides({"update": {"rule": "simultaneous"}})
    g, d = flops.network_passes(recipe, (1, 28, 28))
    by_hand = 256 * (g.trained + 2 * d.trained + d.whole)
    assert flops.step_macs(recipe, (1, 28, 28)) == by_hand

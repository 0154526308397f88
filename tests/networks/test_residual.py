"""Residual networks: shapes at any size, initial weights, blocks by hand arithmetic, resuming."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import ganvas
import tiny
from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.networks import BatchNorm, Block, ResNetDiscriminator, ResNetGenerator
from ganvas.networks.blocks import DepthwisePool, Downsample, Residual, SelfAttention, Upsample
from ganvas.networks.init import init_parameters
from ganvas.networks.layers import SameConv2d
from ganvas.networks.spec import Init
from ganvas.profiling import flops
from ganvas.recipes.schema import Penalty
from ganvas.utils.conv_arithmetic import macs_per_axis

BASIC = Block(kind="basic", count=1)
NECK = Block(kind="bottleneck", count=2, groups=4)


def networks(shape, block=BASIC, **more):
    norm = BatchNorm() if block.kind == "basic" else None
    g = ResNetGenerator(widths=(16, 8), block=block, batch_norm=norm, **more).build(shape, 6, (-1, 1))
    d = ResNetDiscriminator(widths=(8, 16), block=block, **more).build(shape)
    for i, network in enumerate((g, d)):
        init_parameters(network, Init(rule="kaiming_normal"), torch.Generator().manual_seed(i))
    return g, d


@pytest.mark.parametrize("block", [BASIC, NECK])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 12), (1, 9, 15), (3, 64, 64)])
def test_images_and_logits_have_their_shapes_at_any_size(shape, block):
    g, d = networks(shape, block)
    images = g(torch.randn(3, 6))
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert d(images).shape == (3,)


def test_a_basic_block_is_two_convolutions_beside_a_shortcut():
    torch.manual_seed(0)
    _, d = networks((1, 8, 8))
    down = [m for m in d if isinstance(m, Residual)][1]  # the second stage's, which halves
    a, b = (m for m in down.branch if isinstance(m, SameConv2d))
    (short,) = (m for m in down.shortcut if isinstance(m, SameConv2d))
    x = torch.randn(2, 8, 8, 8)
    leaky = lambda y: F.leaky_relu(y, 0.2)  # noqa: E731
    branch = F.conv2d(leaky(F.conv2d(leaky(x), a.weight, a.bias, padding=1)), b.weight, b.bias, padding=1)
    expected = F.avg_pool2d(branch, 2) + F.avg_pool2d(F.conv2d(x, short.weight), 2)
    torch.testing.assert_close(down(x), expected, rtol=1e-4, atol=1e-5)


def test_a_bottleneck_starts_as_the_identity():
    g, _ = networks((1, 8, 8), NECK)
    blocks = [m for m in g if isinstance(m, Residual)]
    assert len(blocks) == 4
    for block, channels in zip(blocks, (16, 16, 8, 8), strict=True):
        x = torch.randn(2, channels, 4, 4)
        assert torch.equal(block(x), x)
        assert block.branch[0].weight.std() > 0.05


def test_downsampling_is_a_mean_of_four_pixels_and_upsampling_keeps_flat_maps():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert Downsample()(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    torch.testing.assert_close(Downsample()(x), F.interpolate(x, (2, 2), mode="bilinear"))
    assert torch.equal(Upsample((9, 7), bilinear=True)(torch.ones(1, 2, 5, 4)), torch.ones(1, 2, 9, 7))
    assert Upsample((4, 4), bilinear=False)(x[..., :2, :2])[0, 0, :2, :2].unique().tolist() == [0.0]


def test_a_depthwise_pool_weights_the_pixels_of_each_channel():
    layer, x = DepthwisePool(3, (2, 2)), torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(layer(x), (x * layer.layer.weight[:, 0]).sum((2, 3)))


def test_attention_follows_the_stage_of_its_side():
    g, d = networks((1, 16, 16), attention=8)
    for network in (g, d):
        kinds = [type(m) for m in network]
        assert kinds.count(SelfAttention) == 1
    assert isinstance(g[g_index(g)], SelfAttention)


def g_index(network):
    return next(i for i, m in enumerate(network) if isinstance(m, SelfAttention))


def test_groups_divide_the_macs_of_a_convolution():
    def counted(groups):
        recipe = recipe_of(Block(kind="bottleneck", groups=groups))
        return flops.sample_macs(recipe, (1, 8, 8))

    def grouped_macs(groups):
        inner = [2 * 16, 2 * 8]
        sides = [4, 8]
        pairs = [macs_per_axis(side, side, 3, 1) ** 2 for side in sides]
        return sum(t * i * i // groups for t, i in zip(pairs, inner, strict=True))

    assert counted(1) - counted(4) == grouped_macs(1) - grouped_macs(4)


def recipe_of(block, **more):
    init = Init(rule="kaiming_normal")
    base = recipes.load_recipe("auto").with_overrides(
        {"classes": 0, "batch_size": 8, "latent.size": 6, "precision": "fp32"}
    )
    return base.model_copy(
        update={
            "generator": ResNetGenerator(widths=(16, 8), block=block, negative_slope=0.2, init=init),
            "discriminator": ResNetDiscriminator(widths=(8, 16), block=block, init=init),
            **more,
        }
    )


@pytest.mark.parametrize("block", [BASIC, NECK])
def test_a_run_with_residual_networks_resumes_to_the_same_bits(tmp_path, block):
    penalties = (Penalty(kind="r1", weight=0.1), Penalty(kind="r2", weight=0.1))
    recipe = recipe_of(block, objective="relativistic", penalties=penalties)
    recipe = recipe.with_overrides(
        {f"{player}_optimizer.schedule": None for player in ("generator", "discriminator")}
    )
    if block is BASIC:  # spectral norm's iteration is a part of the state, too
        recipe = recipe.with_overrides({"discriminator.spectral_norm": True})
    data = tiny.data_file(tmp_path)
    how = {"overrides": {"scores": None}, "device": "cpu", "threads": 1, "quiet": True}
    whole = ganvas.train(recipe, data, tmp_path / "whole", steps=6, **how)
    part = ganvas.train(recipe, data, tmp_path / "part", steps=3, **how)
    part = ganvas.resume(part.path, steps=6, quiet=True)
    for name in ("generator", "discriminator"):
        a, b = (getattr(run, name)(step=6).state_dict() for run in (whole, part))
        assert all(torch.equal(a[key], b[key]) and torch.isfinite(a[key]).all() for key in a)
    assert np.asarray(whole.sample(4)).std() > 0


@pytest.mark.parametrize(
    ("spec", "overrides", "expected"),
    [
        (ResNetGenerator, {"widths": []}, "at least one stage"),
        (
            ResNetGenerator,
            {"widths": [10], "block": {"kind": "bottleneck", "groups": 8}},
            "split into 8 groups",
        ),
        (
            ResNetGenerator,
            {"widths": [8], "block": {"kind": "bottleneck"}, "batch_norm": {}},
            "no batch norm",
        ),
        (
            ResNetDiscriminator,
            {"widths": [8], "block": {"kind": "bottleneck"}, "spectral_norm": True},
            "no spectral norm",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(spec, overrides, expected):
    player = "generator" if spec is ResNetGenerator else "discriminator"
    with pytest.raises(RecipeError, match=expected):
        recipes.load_recipe("auto").with_overrides({"classes": 0, player: {"kind": "resnet", **overrides}})


def test_residual_discriminators_treat_samples_independently():
    _, d = networks((1, 16, 16), NECK)
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(d(images)[:2], d(images[:2]))


def test_bottlenecks_start_at_0_by_default_and_other_init_rules_are_refused():
    spec = ResNetGenerator(widths=(8,), block=NECK)
    network = spec.build((1, 8, 8), 4, (-1, 1))
    init_parameters(network, spec.init, torch.Generator().manual_seed(0))
    block = next(m for m in network if isinstance(m, Residual))
    x = torch.randn(2, 8, 8, 8)
    assert torch.equal(block(x), x)
    with pytest.raises(RecipeError, match="use kaiming_normal"):
        recipes.load_recipe("auto").with_overrides(
            {"generator": {"kind": "resnet", "widths": [8], "block": {"kind": "bottleneck"},
                           "init": {"rule": "glorot_uniform"}}}
        )  # fmt: skip


@pytest.mark.parametrize("count", [1, 4])
def test_initial_weights_of_a_bottleneck_shrink_with_the_depth(count):
    block = Block(kind="bottleneck", count=count)
    network = ResNetGenerator(widths=(64, 64), block=block, negative_slope=0.2).build((1, 8, 8), 4, (-1, 1))
    init_parameters(network, Init(rule="kaiming_normal"), torch.Generator().manual_seed(0))
    first = next(m for m in network if isinstance(m, Residual)).branch[0]
    expected = (2 / (1 + 0.2**2)) ** 0.5 * (2 * count) ** -0.25 / 64**0.5
    assert first.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_channels_change_on_the_smaller_map():
    g, d = networks((1, 16, 16), NECK)
    order = [type(m) for m in g]
    assert order.index(Upsample) > next(i for i, m in enumerate(g) if isinstance(m, SameConv2d))
    kinds = [type(m) for m in d]
    assert kinds[kinds.index(Downsample) + 1] is SameConv2d


def test_attention_at_a_side_that_no_map_has_is_refused_with_the_sides_that_exist():
    with pytest.raises(RecipeError, match="attention 16: no map has this side; there are 28, 14"):
        ResNetDiscriminator(widths=(8, 16), attention=16).build((1, 28, 28))

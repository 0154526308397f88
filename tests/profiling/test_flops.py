"""MACs and parameters: counted by hand, and against PyTorch's own counter of operations."""

from functools import partial
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ganvas import recipes
from ganvas.kernels import dispatch
from ganvas.networks import ResNetDiscriminator, ResNetGenerator
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.conditioning import Batch
from ganvas.profiling import flops
from ganvas.recipes import auto
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_discriminator, new_generator, new_state
from ganvas.training.updates import make_update
from ganvas.utils.conv_arithmetic import macs_per_axis, same_padding

MNIST = (1, 28, 28)
CONV_7_14 = 32**2  # taps of a 5x5 kernel at stride 2, between maps of 7x7 and 14x14, none on padding
CONV_14_28 = 67**2
BY_HAND = {
    "tutorial-dcgan": (
        (
            100 * 12544 + 2 * 12544  # dense without bias, batch norm
            + 25 * 256 * 128 + 2 * 128
            + 25 * 128 * 64 + 2 * 64
            + 25 * 64,
            100 * 12544 + 29**2 * 256 * 128 + CONV_7_14 * 128 * 64 + CONV_14_28 * 64,
        ),
        (
            25 * 64 + 64 + 25 * 64 * 128 + 128 + 49 * 128 + 1,
            CONV_14_28 * 64 + CONV_7_14 * 64 * 128 + 49 * 128,
        ),
    ),
    "keras-cnn": (
        (
            101 * 6272 + 2 * (16 * 128 * 128 + 128) + 49 * 128 + 1,
            100 * 6272 + (26**2 + 54**2) * 128 * 128 + 184**2 * 128,
        ),
        (
            9 * 64 + 64 + 9 * 64 * 64 + 64 + 49 * 64 + 1,
            41**2 * 64 + 20**2 * 64 * 64 + 49 * 64,
        ),
    ),
    "mlp": (
        (
            101 * 256 + 2 * 256 + 257 * 512 + 2 * 512 + 513 * 1024 + 2 * 1024 + 1025 * 784,
            100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784,
        ),
        (785 * 512 + 513 * 256 + 257, 784 * 512 + 512 * 256 + 256),
    ),
    "tf1-dcgan": (
        (
            101 * 1024 + 2 * 1024
            + 1025 * 6272 + 2 * 6272
            + 16 * 128 * 64 + 64 + 2 * 64
            + 16 * 64 + 1,
            100 * 1024 + 1024 * 6272 + 26**2 * 128 * 64 + 54**2 * 64,
        ),
        (
            16 * 64 + 64
            + 16 * 64 * 128 + 128 + 2 * 128
            + 6273 * 1024 + 2 * 1024
            + 1025,
            54**2 * 64 + 26**2 * 64 * 128 + 6272 * 1024 + 1024,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_costs_are_those_counted_by_hand(name):
    costs = flops.network_costs(recipes.load_recipe(name), MNIST)
    assert tuple((c.parameters, c.macs) for c in costs) == BY_HAND[name]


# PyTorch's counter takes padding for work. So the oracle computes a convolution tap by tap, each tap one
# matrix multiplication over the pixels where it meets the image: PyTorch then counts what the result needs.


def tapwise_conv2d(x, weight, bias, stride, groups=1):
    size = [-(-side // stride) for side in x.shape[2:]]
    y = tapwise(x, weight, stride, groups, size, transposed=False)
    return y if bias is None else y + bias.view(-1, 1, 1)


def tapwise_conv_transpose2d(x, weight, bias, stride, size):
    y = tapwise(x, weight, stride, 1, size, transposed=True)
    return y if bias is None else y + bias.view(-1, 1, 1)


def tapwise(x, weight, stride, groups, size, *, transposed):
    outputs = weight.shape[1] if transposed else weight.shape[0]
    y = x.new_zeros(len(x), outputs, *size)
    large, small = (size, x.shape[2:]) if transposed else (x.shape[2:], size)
    for tap in product(range(weight.shape[2]), range(weight.shape[3])):
        far, near = [], []
        for axis in (0, 1):
            before, _ = same_padding(large[axis], small[axis], weight.shape[2], stride)
            meets = [i for i in range(small[axis]) if 0 <= i * stride - before + tap[axis] < large[axis]]
            if meets:
                start = meets[0] * stride - before + tap[axis]
                far.append(slice(start, start + (len(meets) - 1) * stride + 1, stride))
                near.append(slice(meets[0], meets[-1] + 1))
        if len(near) < 2:
            continue
        source, target = (near, far) if transposed else (far, near)
        rows = x[:, :, source[0], source[1]].unflatten(1, (groups, -1)).permute(1, 0, 3, 4, 2)
        kernel = weight[:, :, tap[0], tap[1]]
        kernel = kernel[None] if transposed else kernel.unflatten(0, (groups, -1)).transpose(1, 2)
        product_ = torch.bmm(rows.flatten(1, 3), kernel).unflatten(1, rows.shape[1:4])
        part = product_.permute(1, 0, 4, 2, 3).flatten(1, 2)
        pads = target[1].start, size[1], target[0].start, size[0]
        if stride > 1 and transposed:
            spaced = x.new_zeros(y.shape)
            spaced[:, :, target[0], target[1]] = part
            y = y + spaced
        else:
            y = y + F.pad(part, (pads[0], pads[1] - target[1].stop, pads[2], pads[3] - target[0].stop))
    return y


def counted_by_pytorch(call):
    """MACs by PyTorch's counter, of a call in which networks compute convolutions tap by tap; its result."""
    with pytest.MonkeyPatch.context() as patch, FlopCounterMode(display=False) as counter:
        patch.setattr(dispatch, "conv2d", tapwise_conv2d)
        patch.setattr(dispatch, "conv_transpose2d", tapwise_conv_transpose2d)
        patch.setattr(dispatch, "linear", F.linear)
        result = call()
    macs, rest = divmod(counter.get_total_flops(), 2)
    assert rest == 0
    return macs, result


def residual(**more):
    spec = {"block": {"kind": "bottleneck", "groups": 4}, "attention": 8, **more}
    generator = ResNetGenerator(widths=(16, 8), **spec)
    discriminator = ResNetDiscriminator(widths=(8, 16), **spec)
    base = recipes.load_recipe("auto").with_overrides({"classes": 0})
    return base.model_copy(update={"generator": generator, "discriminator": discriminator})


COUNTED = {
    **{name: (recipes.load_recipe(name), MNIST) for name in recipes.recipe_names()},
    "auto, odd sides": (auto.recipe_for((3, 15, 22), 5000, "1m"), (3, 15, 22)),
    "auto, classes": (auto.recipe_for((3, 32, 32), 5000, "1m", labels=10), (3, 32, 32)),
    "residual, attention": (residual(), (1, 16, 16)),
}


@pytest.mark.parametrize("name", COUNTED)
def test_pytorchs_counter_agrees_with_the_macs_of_an_image(name):
    recipe, shape = COUNTED[name]
    costs = flops.network_costs(recipe, shape)
    z, image = torch.randn(1, recipe.generator_input_size), torch.randn(1, *shape)
    networks = new_generator(recipe, shape, 0).eval(), new_discriminator(recipe, shape, 0).eval()
    for network, example, cost in zip(networks, (z, image), costs, strict=True):
        macs, output = counted_by_pytorch(partial(network, example))
        assert cost.macs == macs
        torch.testing.assert_close(output, network(example), rtol=1e-3, atol=1e-3)


NARROW = {
    "generator.base_channels": 8,
    "generator.layers.0.channels": 8,
    "discriminator.layers.0.channels": 8,
}
STEPS = {
    "auto": {"classes": 0, "generator.base_channels": 8},
    "tutorial-dcgan": NARROW,
    "keras-cnn": NARROW,
    "mlp": {},
    "tf1-dcgan": {"generator.hidden": [16], "discriminator.hidden": [16], "update.reuse_latents": False},
    "tf1-dcgan, the same z": {"generator.hidden": [16], "discriminator.hidden": [16]},
    "tf1-dcgan, simultaneous": {"update": {"rule": "simultaneous"}, "discriminator.hidden": [16]},
}


@pytest.mark.parametrize("name", STEPS)
def test_pytorchs_counter_agrees_with_the_macs_of_a_training_step(name):
    preset = recipes.load_recipe(name.partition(",")[0])
    overrides = {"batch_size": 4, "penalties": [], "precision": "fp32", "augment": None, **STEPS[name]}
    recipe, device = preset.with_overrides(overrides), torch.device("cpu")
    state, update = new_state(recipe, MNIST, 0, device), make_update(recipe)
    real = Batch(torch.rand(recipe.real_batch_size, *MNIST) * 2 - 1, None)
    rng = StepRNG(0, 0, recipe.latent.size, recipe.latent.distribution, device, [])
    fused = recipe.update.rule == "simultaneous" and not is_batch_dependent(state.discriminator, real.images)
    macs, _ = counted_by_pytorch(lambda: update(state, real, rng))
    # Where real and fake images share a pass through D, autograd computes gradients of the real pixels, too.
    _, d = flops.network_costs(recipe, MNIST)
    unneeded = recipe.batch_size * (3 * d.macs - d.training_macs) if fused else 0
    assert flops.step_macs(recipe, MNIST) + unneeded == macs


def every_tap(large, small, kernel, stride, before, dilation=1):
    return sum(
        0 <= position * stride - before + tap * dilation < large
        for position in range(small)
        for tap in range(kernel)
    )


@pytest.mark.parametrize("kernel", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("large", [7, 14, 15, 28])
def test_taps_on_padding_are_left_out(large, kernel, stride):
    small = -(-large // stride)
    before, _ = same_padding(large, small, kernel, stride)
    assert macs_per_axis(large, small, kernel, stride) == every_tap(large, small, kernel, stride, before)
    for before, dilation in product((0, 2, 9), (1, 2)):
        by_hand = every_tap(large, small, kernel, stride, before, dilation)
        assert macs_per_axis(large, small, kernel, stride, before, dilation) == by_hand


@pytest.mark.parametrize(
    ("layer", "example", "macs"),
    [
        (nn.Conv2d(2, 6, 3), (1, 2, 5, 5), 9 * 9 * 12),
        (nn.Conv2d(2, 6, 3, padding=1), (1, 2, 5, 5), 13**2 * 12),
        (nn.Conv2d(2, 6, 3, padding="same"), (1, 2, 5, 5), 13**2 * 12),
        (nn.Conv2d(2, 6, 3, padding=1, padding_mode="reflect"), (1, 2, 5, 5), 25 * 9 * 12),
        (nn.Conv2d(2, 6, 3, padding=2, dilation=2, groups=2), (1, 2, 5, 5), 11**2 * 6),
        (nn.Conv2d(2, 6, (1, 3), stride=(2, 1)), (1, 2, 5, 5), 3 * 3 * 3 * 12),
        (nn.ConvTranspose2d(2, 6, 4, stride=2, padding=1), (1, 2, 7, 7), 26**2 * 12),
        (nn.Conv1d(2, 6, 3, padding=1), (1, 2, 5), 13 * 12),
        (nn.Linear(3, 4), (1, 5, 3), 5 * 12),
        (nn.MultiheadAttention(4, 2), None, 0),  # not counted, but no obstacle
    ],
)
def test_plain_layers_of_a_users_network_are_counted(layer, example, macs):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(query=x, key=x, value=x) if example is None else self.layer(x)

    cost = flops._count(Network(), torch.zeros(example or (1, 3, 4)))
    assert cost.macs == macs
    assert cost.parameters == sum(p.numel() for p in layer.parameters())


def test_spectral_norm_changes_no_count_and_no_layers_name():
    plain = recipes.load_recipe("tutorial-dcgan")
    normed = plain.with_overrides({"discriminator.spectral_norm": True})
    assert flops.network_costs(normed, MNIST) == flops.network_costs(plain, MNIST)


def test_an_alternating_step_counts_both_turns():
    g = 100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784
    d = 784 * 512 + 512 * 256 + 256
    turns = g + 2 * (3 * d - 784 * 512) + 2 * d + 3 * g - 100 * 256
    assert flops.step_macs(recipes.load_recipe("mlp"), MNIST) == 1024 * turns


# As they were when the counter became one: of these follow the steps of a budget and of scores.
INTERVALS = {
    "auto": (1_287_372_800, 4_501_184, 1716, 2496),
    "tutorial-dcgan": (41_732_079_616, 37_488_192, 156, 312),
    "fashion-dcgan": (41_732_079_616, 37_488_192, 156, 312),
    "keras-cnn": (59_226_406_912, 63_812_096, 156, 312),
    "mlp": (9_593_421_824, 1_483_776, 468, 780),
    "tf1-dcgan": (34_164_768_768, 12_249_344, 156, 312),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_what_is_decided_by_macs_for_a_seed_stays_as_it_was(name):
    recipe = recipes.load_recipe(name)
    interval = (
        flops.score_interval(recipe, MNIST, 156, "fp32"),
        flops.score_interval(recipe, MNIST, 156, "bf16"),
    )
    assert (flops.step_macs(recipe, MNIST), flops.sample_macs(recipe, MNIST), *interval) == INTERVALS[name]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 30, 17)])
@pytest.mark.parametrize("name", recipes.recipe_names())
def test_the_parameters_are_those_of_the_built_networks(name, shape):
    recipe = recipes.load_recipe(name)
    built = new_generator(recipe, shape, 0), new_discriminator(recipe, shape, 0)
    counted = [cost.parameters for cost in flops.network_costs(recipe, shape)]
    assert counted == [sum(p.numel() for p in network.parameters()) for network in built]


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_each_layer_has_the_shape_of_its_output(name):
    recipe = recipes.load_recipe(name)
    generator, discriminator = (cost.layers for cost in flops.network_costs(recipe, (3, 32, 24)))
    assert generator[-1].output == (3, 32, 24)
    assert discriminator[-1].output == ((recipe.classes,) if recipe.classes else ())
    lines = flops.layer_table(recipe, (3, 32, 24))
    assert len(lines) == 1 + 2 + 2 + len(generator) + len(discriminator)
    assert sum("3 x 32 x 24" in line for line in lines) >= 1


def test_counting_draws_no_random_numbers():
    before = torch.get_rng_state()
    flops.step_macs(recipes.load_recipe("keras-cnn"), MNIST)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_table_names_every_recipe_with_its_source_data_length_and_cost():
    text = "\n".join(flops.recipe_table())
    for name in recipes.recipe_names():
        recipe = recipes.load_recipe(name)
        assert f"{name}: {recipe.summary}\n    source  {recipe.source}\n" in text
        assert f"{recipe.length}, batches of {recipe.batch_size}" in text
        g, d = flops.network_costs(recipe, MNIST)
        assert f"G {g.parameters / 1e6:.2f} M parameters" in text
        assert f"D {d.parameters / 1e6:.2f} M, {d.macs / 1e6:.1f} M" in text

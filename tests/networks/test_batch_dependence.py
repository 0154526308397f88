"""The probe for networks that mix the samples of a batch: what it detects, and that it leaves no trace."""

import copy
import warnings

import pytest
import torch
from torch import nn

from ganvas import recipes
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.blocks import SelfAttention
from ganvas.networks.layers import Dropout, Flatten, KerasBatchNorm, Logit, SameConv2d, apply_spectral_norm
from ganvas.training.state import new_discriminator

SHAPE = (2, 8, 8)
FEATURES = 4 * 4 * 4


class MinibatchStd(nn.Module):
    """Appends the standard deviation over groups of samples as a channel (Karras et al. 2018, PGGAN)."""

    def __init__(self, group_size=4, epsilon=1e-8):
        super().__init__()
        self.group_size, self.epsilon = group_size, epsilon

    def forward(self, x):
        n, channels, height, width = x.shape
        group = min(n, self.group_size)
        y = x.view(group, -1, channels, height, width)
        std = (y.var(0, unbiased=False) + self.epsilon).sqrt().mean((1, 2, 3), keepdim=True)
        return torch.cat([x, std.repeat(group, 1, height, width)], 1)


class MinibatchDiscrimination(nn.Module):
    """Appends distances to the other samples (Salimans et al. 2016, arXiv 1606.03498, section 3.2)."""

    def __init__(self, inputs, kernels=5, size=3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, kernels, size) * 0.1)

    def forward(self, x):
        m = torch.einsum("ni,ikd->nkd", x, self.weight)
        distance = (m[:, None] - m[None]).abs().sum(3)  # [N, N, kernels]
        return torch.cat([x, (-distance).exp().sum(1) - 1], 1)


class DetachedBatchMean(nn.Module):
    """Subtracts the mean over the batch as a constant."""

    def forward(self, x):
        return x - x.detach().mean(0)


class AttentionOverBatch(nn.Module):
    """[N, F] -> [N, F]: attention of each sample to all samples."""

    def __init__(self, features):
        super().__init__()
        self.attention = nn.MultiheadAttention(features, 2)

    def forward(self, x):
        sequence = x[:, None]  # [N, 1, F]: the batch is the sequence
        return x + self.attention(sequence, sequence, sequence, need_weights=False)[0][:, 0]


class Gated(nn.Module):
    """x + gate * layer(x), where the gate starts at 0."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.gate = layer, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.gate * self.layer(x)


class MovingAverage(nn.Module):
    """Subtracts the moving average of earlier batches, not of this one."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, x):
        y = x - self.mean
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return y


def on_maps(*layers, channels=4):
    """A convolutional discriminator with these layers on its maps [N, 4, 4, 4]."""
    head = nn.Linear(channels * 16, 1)
    return nn.Sequential(nn.Conv2d(2, 4, 4, 2, 1), nn.LeakyReLU(0.2), *layers, nn.Flatten(), head)


def on_features(*layers, features=FEATURES):
    """A convolutional discriminator with these layers on its features [N, 64]."""
    conv = nn.Conv2d(2, 4, 4, 2, 1)
    return nn.Sequential(conv, nn.LeakyReLU(0.2), nn.Flatten(), *layers, nn.Linear(features, 1))


def own_spectral_norm():
    network = nn.Sequential(SameConv2d(2, 4, 4, 2), nn.LeakyReLU(0.2), Flatten(), Logit(FEATURES))
    apply_spectral_norm(network)
    return network


def torch_norm_everywhere(norm):
    network = on_maps()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old functions are deprecated, and in use
        for layer in (network[0], network[-1]):
            norm(layer)
    return network


DEPENDENT = {
    "minibatch standard deviation": lambda: on_maps(MinibatchStd(), channels=5),
    "minibatch standard deviation in pairs": lambda: on_maps(MinibatchStd(2), channels=5),
    "minibatch discrimination": lambda: on_features(MinibatchDiscrimination(FEATURES), features=FEATURES + 5),
    "nn.BatchNorm2d": lambda: on_maps(nn.BatchNorm2d(4)),
    "nn.BatchNorm2d without statistics": lambda: on_maps(nn.BatchNorm2d(4, track_running_stats=False)),
    "nn.BatchNorm1d": lambda: on_features(nn.BatchNorm1d(FEATURES)),
    "KerasBatchNorm": lambda: on_maps(KerasBatchNorm(4, 0.9, 1e-3)),
    "detached batch mean": lambda: on_features(DetachedBatchMean()),
    "attention over the batch": lambda: on_features(AttentionOverBatch(FEATURES)),
    "batch norm behind a zero gate": lambda: on_maps(Gated(nn.BatchNorm2d(4))),
    "detached batch mean behind a zero gate": lambda: on_features(Gated(DetachedBatchMean())),
    "batch norm with dropout": lambda: on_maps(nn.Dropout(0.3), nn.BatchNorm2d(4)),
}

INDEPENDENT = {
    "plain convolutions": lambda: on_maps(),
    "own dropout": lambda: on_maps(Dropout(0.4)),
    "nn.Dropout": lambda: on_maps(nn.Dropout(0.4), nn.Dropout2d(0.2)),
    "GroupNorm": lambda: on_maps(nn.GroupNorm(2, 4)),
    "LayerNorm": lambda: on_features(nn.LayerNorm(FEATURES)),
    "InstanceNorm": lambda: on_maps(nn.InstanceNorm2d(4, affine=True)),
    "own spectral norm": own_spectral_norm,
    "spectral norm of PyTorch": lambda: torch_norm_everywhere(nn.utils.parametrizations.spectral_norm),
    "old spectral norm of PyTorch": lambda: torch_norm_everywhere(nn.utils.spectral_norm),
    "old weight norm of PyTorch": lambda: torch_norm_everywhere(nn.utils.weight_norm),
    "attention within images": lambda: on_maps(Gated(SelfAttention(4))),
    "moving average of earlier batches": lambda: on_features(MovingAverage(FEATURES)),
}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", DEPENDENT)
def test_a_network_that_mixes_samples_is_detected(name):
    assert is_batch_dependent(DEPENDENT[name](), torch.zeros(1, *SHAPE))


@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_network_that_treats_samples_independently_is_not_suspected(name):
    assert not is_batch_dependent(INDEPENDENT[name](), torch.zeros(1, *SHAPE))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", False),
        ("tutorial-dcgan", False),
        ("fashion-dcgan", False),
        ("keras-cnn", False),
        ("mlp", False),
        ("tf1-dcgan", True),  # it has batch norm in D
    ],
)
def test_of_the_presets_only_tf1_dcgan_mixes_samples(name, expected):
    shape = (1, 28, 28)
    discriminator = new_discriminator(recipes.load_recipe(name), shape, 0)
    assert is_batch_dependent(discriminator, torch.zeros(1, *shape)) is expected


def test_every_preset_is_tested_above():
    assert set(recipes.PRESETS) == {"tutorial-dcgan", "fashion-dcgan", "keras-cnn", "mlp", "tf1-dcgan"}


@pytest.mark.parametrize("name", {**DEPENDENT, **INDEPENDENT})
@pytest.mark.parametrize("training", [True, False])
def test_the_probe_changes_neither_the_network_nor_the_global_random_numbers(name, training):
    network = {**DEPENDENT, **INDEPENDENT}[name]().train(training)
    state = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    calls = []
    handle = network.register_forward_hook(lambda *_: calls.append(1))
    before = torch.get_rng_state()
    is_batch_dependent(network, torch.zeros(1, *SHAPE))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not calls  # hooks on the network are not called by the probe,
    network(torch.zeros(2, *SHAPE))
    assert calls  # and they still are by everybody else
    handle.remove()


def test_dropout_draws_the_masks_after_the_probe_that_it_would_have_drawn_without():
    def masks(probe):
        network = on_maps(Dropout(0.5), Dropout(0.5))
        dropouts = [module for module in network if isinstance(module, Dropout)]
        for i, layer in enumerate(dropouts):
            layer.reseed(7 + i, torch.device("cpu"))
        first = [layer(torch.ones(100)) for layer in dropouts]
        if probe:
            assert not is_batch_dependent(network, torch.zeros(1, *SHAPE))
        return first + [layer(torch.ones(100)) for layer in dropouts]

    assert all(map(torch.equal, masks(probe=True), masks(probe=False)))


def test_a_network_after_a_forward_pass_with_old_weight_norm_can_be_probed():
    network = INDEPENDENT["old weight norm of PyTorch"]()
    network(torch.zeros(2, *SHAPE))
    assert not is_batch_dependent(network, torch.zeros(1, *SHAPE))


def test_a_copied_dropout_continues_with_the_same_masks():
    layer = Dropout(0.5)
    layer.reseed(3, torch.device("cpu"))
    layer(torch.ones(10))
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(torch.ones(100)), twin(torch.ones(100)))


def test_a_network_without_parameters_can_be_probed():
    assert not is_batch_dependent(nn.Flatten(), torch.zeros(1, *SHAPE))

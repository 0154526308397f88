"""Spectral norm and self-attention, against linear algebra, PyTorch's own and hand arithmetic."""

import pytest
import torch
from torch import nn

from ganvas import cost, operations, recipes
from ganvas.devices import rounding
from ganvas.networks import (
    ConvolutionalDiscriminator,
    DenseDiscriminator,
    ResidualDiscriminator,
    ResidualGenerator,
)
from ganvas.networks.attention import SelfAttention
from ganvas.networks.initialise import initialise
from ganvas.networks.layers import SameConv2d, frozen_statistics
from ganvas.networks.products import Linear
from ganvas.networks.spec import Weights
from ganvas.networks.spectral import SpectralNorm, normalise, plain_weight


def drawn(network, seed=0):
    initialise(network, Weights(), torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("layer", [Linear(7, 5), SameConv2d(3, 6, 4, 2)])
def test_the_largest_singular_value_of_a_normalised_weight_becomes_one(layer):
    normalise(layer)
    drawn(layer)
    for _ in range(300):
        weight = layer.weight  # each look in training is a step of the iteration
    values = torch.linalg.svdvals(weight.detach().flatten(1))
    assert values[0].item() == pytest.approx(1, abs=1e-4)
    plain = torch.linalg.svdvals(plain_weight(layer).detach().flatten(1))
    torch.testing.assert_close(values, plain / plain[0], rtol=1e-3, atol=1e-4)


def test_it_does_what_pytorchs_own_does():
    torch.manual_seed(0)
    ours, theirs = Linear(7, 5), nn.Linear(7, 5)
    theirs.load_state_dict(ours.state_dict())
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    normalise(ours)
    u = theirs.parametrizations.weight[0]._u
    ours.parametrizations.weight[0].u.copy_(u)
    x = torch.randn(4, 7)
    for _ in range(3):
        ours(x), theirs(x)
    ours.eval(), theirs.eval()
    # Both take one more step of u for the value in hand; PyTorch's only in training.
    for _ in range(200):
        ours.train(), theirs.train()
        ours(x), theirs(x)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)


def test_the_iteration_moves_in_training_alone_and_not_where_statistics_are_frozen():
    layer = Linear(7, 5)
    normalise(layer)
    drawn(layer)
    norm, x = layer.parametrizations.weight[0], torch.randn(3, 7)
    before = norm.u.clone()
    layer.eval()
    layer(x)
    assert torch.equal(norm.u, before)
    layer.train()
    with frozen_statistics(layer):
        layer(x)
    assert torch.equal(norm.u, before)
    layer(x)
    assert not torch.equal(norm.u, before)


@pytest.mark.parametrize(
    "spec",
    [
        ConvolutionalDiscriminator(layers=({"channels": 4, "kernel": 4, "stride": 2},), spectral_norm=True),
        DenseDiscriminator(hidden=(6,), spectral_norm=True),
        ResidualDiscriminator(widths=(4, 8), spectral_norm=True),
    ],
)
def test_every_layer_of_a_discriminator_is_normalised_and_its_weights_keep_their_rule(spec):
    network = drawn(spec.build((1, 8, 8)))
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert layers
    assert all(isinstance(layer.parametrizations.weight[0], SpectralNorm) for layer in layers)
    plain = drawn(spec.model_copy(update={"spectral_norm": False}).build((1, 8, 8)))
    first = next(m for m in plain.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    low, high = plain_weight(layers[0]).aminmax()
    assert 0.5 < (high - low) / (first.weight.max() - first.weight.min()) < 2
    again = drawn(spec.build((1, 8, 8)))
    others = again.state_dict()
    assert all(torch.equal(tensor, others[name]) for name, tensor in network.state_dict().items())
    assert torch.isfinite(network(torch.randn(5, 1, 8, 8))).all()


def test_attention_begins_as_nothing():
    layer, x = SelfAttention(16), torch.randn(2, 16, 5, 4)
    assert torch.equal(layer(x), x)


def test_attention_is_a_mean_of_values_by_likeness_of_query_and_key():
    torch.manual_seed(0)
    layer, x = SelfAttention(16).double(), torch.randn(2, 16, 3, 4).double()
    layer.gamma.data.fill_(0.7)
    found = layer(x)
    for n in range(2):
        places = x[n].flatten(1)  # [C, P]
        query, key, value, out = (
            getattr(layer, name).weight[:, :, 0, 0] for name in ("query", "key", "value", "out")
        )
        likeness = (query @ places).T @ (key @ places)  # [P, P]: row i is what place i looks for
        weights = likeness.exp() / likeness.exp().sum(1, keepdim=True)
        expected = places + 0.7 * out @ (value @ places @ weights.T)
        torch.testing.assert_close(found[n].flatten(1), expected)


def test_attention_knows_no_places():
    torch.manual_seed(0)
    layer, x, order = SelfAttention(8), torch.randn(1, 8, 1, 6), torch.randperm(6)
    layer.gamma.data.fill_(1)
    torch.testing.assert_close(layer(x)[..., order], layer(x[..., order]))


def test_a_normalised_network_is_counted_like_a_plain_one():
    plain = recipes.find("tutorial-dcgan")
    normed = plain.changed({"discriminator.spectral_norm": True})
    assert operations.passes(normed, (1, 28, 28)) == operations.passes(plain, (1, 28, 28))
    for a, b in zip(cost.layers(normed, (1, 28, 28)), cost.layers(plain, (1, 28, 28)), strict=True):
        assert cost.total(a) == cost.total(b)


def test_every_weight_of_a_network_is_counted_whoever_holds_it():
    spec = ResidualGenerator(widths=(16, 8), block={"kind": "bottleneck"}, attention=8)
    recipe = recipes.find("modern").changed({"generator": spec.model_dump()})
    (layers, _) = cost.layers(recipe, (1, 8, 8))
    network = spec.build((1, 8, 8), recipe.input_size, (-1, 1))
    assert cost.total(layers).weights == sum(p.numel() for p in network.parameters())


def test_norms_are_of_fp32_at_any_precision():
    layer = Linear(64, 64)
    normalise(layer)
    drawn(layer)
    with rounding("bf16", torch.device("cpu")):
        for _ in range(300):
            weight = layer.weight
    assert torch.linalg.svdvals(weight.detach())[0].item() == pytest.approx(1, abs=1e-4)
    assert layer.parametrizations.weight[0].u.norm().item() == pytest.approx(1, abs=1e-5)


def test_attention_without_gradients_finds_the_same():
    torch.manual_seed(0)
    layer, x = SelfAttention(16), torch.randn(2, 16, 6, 6)
    layer.gamma.data.fill_(1)
    with torch.no_grad():
        plain = layer(x)
    torch.testing.assert_close(plain, layer(x), rtol=1e-4, atol=1e-5)

"""Spectral norm and self-attention, against linear algebra, PyTorch's own and hand arithmetic."""

import pytest
import torch
from torch import nn

from ganvas import recipes
from ganvas.networks import DCGANDiscriminator, MLPDiscriminator, ResNetDiscriminator, ResNetGenerator
from ganvas.networks.blocks import SelfAttention
from ganvas.networks.init import init_parameters, raw_weight
from ganvas.networks.layers import Linear, SameConv2d, SpectralNorm, apply_spectral_norm, frozen_statistics
from ganvas.networks.spec import Init
from ganvas.profiling import flops
from ganvas.utils.devices import autocast


def initialized(network, seed=0):
    init_parameters(network, Init(), torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("layer", [Linear(7, 5), SameConv2d(3, 6, 4, 2)])
def test_the_largest_singular_value_of_a_normalized_weight_becomes_one(layer):
    apply_spectral_norm(layer)
    initialized(layer)
    for _ in range(300):
        weight = layer.weight  # each access in training is a step of the iteration
    values = torch.linalg.svdvals(weight.detach().flatten(1))
    assert values[0].item() == pytest.approx(1, abs=1e-4)
    plain = torch.linalg.svdvals(raw_weight(layer).detach().flatten(1))
    torch.testing.assert_close(values, plain / plain[0], rtol=1e-3, atol=1e-4)


def test_it_agrees_with_pytorchs():
    torch.manual_seed(0)
    ours, theirs = Linear(7, 5), nn.Linear(7, 5)
    theirs.load_state_dict(ours.state_dict())
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    apply_spectral_norm(ours)
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


def test_the_iteration_runs_in_training_only_and_not_with_frozen_statistics():
    layer = Linear(7, 5)
    apply_spectral_norm(layer)
    initialized(layer)
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
        DCGANDiscriminator(layers=({"channels": 4, "kernel": 4, "stride": 2},), spectral_norm=True),
        MLPDiscriminator(hidden=(6,), spectral_norm=True),
        ResNetDiscriminator(widths=(4, 8), spectral_norm=True),
    ],
)
def test_every_layer_of_a_discriminator_is_normalized_and_its_weights_keep_their_rule(spec):
    network = initialized(spec.build((1, 8, 8)))
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert layers
    assert all(isinstance(layer.parametrizations.weight[0], SpectralNorm) for layer in layers)
    plain = initialized(spec.model_copy(update={"spectral_norm": False}).build((1, 8, 8)))
    first = next(m for m in plain.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    low, high = raw_weight(layers[0]).aminmax()
    assert 0.5 < (high - low) / (first.weight.max() - first.weight.min()) < 2
    again = initialized(spec.build((1, 8, 8)))
    others = again.state_dict()
    assert all(torch.equal(tensor, others[name]) for name, tensor in network.state_dict().items())
    assert torch.isfinite(network(torch.randn(5, 1, 8, 8))).all()


def test_attention_starts_as_the_identity():
    layer, x = SelfAttention(16), torch.randn(2, 16, 5, 4)
    assert torch.equal(layer(x), x)


def test_attention_is_a_mean_of_values_weighted_by_the_softmax_of_query_times_key():
    torch.manual_seed(0)
    layer, x = SelfAttention(16).double(), torch.randn(2, 16, 3, 4).double()
    layer.gamma.data.fill_(0.7)
    result = layer(x)
    for n in range(2):
        pixels = x[n].flatten(1)  # [C, P]
        query, key, value, out = (
            getattr(layer, name).weight[:, :, 0, 0] for name in ("query", "key", "value", "out")
        )
        similarity = (query @ pixels).T @ (key @ pixels)  # [P, P]: row i is what pixel i attends to
        weights = similarity.exp() / similarity.exp().sum(1, keepdim=True)
        expected = pixels + 0.7 * out @ (value @ pixels @ weights.T)
        torch.testing.assert_close(result[n].flatten(1), expected)


def test_attention_commutes_with_permutations_of_pixels():
    torch.manual_seed(0)
    layer, x, order = SelfAttention(8), torch.randn(1, 8, 1, 6), torch.randperm(6)
    layer.gamma.data.fill_(1)
    torch.testing.assert_close(layer(x)[..., order], layer(x[..., order]))


def test_every_weight_of_a_network_is_counted_whoever_holds_it():
    spec = ResNetGenerator(widths=(16, 8), block={"kind": "bottleneck"}, attention=8)
    recipe = recipes.load_recipe("auto").with_overrides({"generator": spec.model_dump()})
    (cost, _) = flops.network_costs(recipe, (1, 8, 8))
    network = spec.build((1, 8, 8), recipe.generator_input_size, (-1, 1))
    assert sum(layer.parameters for layer in cost.layers) == sum(p.numel() for p in network.parameters())


def test_spectral_norm_is_computed_in_fp32_at_any_precision():
    layer = Linear(64, 64)
    apply_spectral_norm(layer)
    initialized(layer)
    with autocast("bf16", torch.device("cpu")):
        for _ in range(300):
            weight = layer.weight
    assert torch.linalg.svdvals(weight.detach())[0].item() == pytest.approx(1, abs=1e-4)
    assert layer.parametrizations.weight[0].u.norm().item() == pytest.approx(1, abs=1e-5)


def test_attention_without_gradients_gives_the_same_result():
    torch.manual_seed(0)
    layer, x = SelfAttention(16), torch.randn(2, 16, 6, 6)
    layer.gamma.data.fill_(1)
    with torch.no_grad():
        plain = layer(x)
    torch.testing.assert_close(plain, layer(x), rtol=1e-4, atol=1e-5)

"""Objectives against PyTorch's cross-entropies, hand arithmetic and each other."""

import math

import pytest
import torch
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.training import objectives

NAMES = list(objectives.OBJECTIVES)
LABELS = {"real": 1.0, "fake": 0.0, "generator": 1.0}

# A real logit of 2 and a fake one of -0.5: D's loss, G's loss, and G's derivative by the fake logit.
E = math.e
BY_HAND = {
    "non_saturating": (math.log(1 + E**-2) + math.log(1 + E**-0.5), math.log(1 + E**0.5), -1 / (1 + E**-0.5)),
    "saturating": (math.log(1 + E**-2) + math.log(1 + E**-0.5), -math.log(1 + E**-0.5), -1 / (1 + E**0.5)),
    "least_squares": (0.5 * 1 + 0.5 * 0.25, 0.5 * 2.25, -1.5),
    "hinge": (0 + 0.5, 0.5, -1),
    "wasserstein": (-2.5, 0.5, -1),
    "relativistic": (math.log(1 + E**-2.5), math.log(1 + E**2.5), -1 / (1 + E**-2.5)),
}


def logits(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def losses(objective, real, fake):
    """By player, as "real", "fake" and "generator"."""
    loss_real, loss_fake = objective.discriminator_loss(real, fake)
    return {"real": loss_real, "fake": loss_fake, "generator": objective.generator_loss(real, fake)}


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_the_generators_derivative_are_those_worked_out_by_hand(name):
    real, fake = logits(2.0), logits(-0.5)
    result = losses(objectives.OBJECTIVES.find(name), real, fake)
    (slope,) = torch.autograd.grad(result["generator"], fake)
    expected_d, expected_g, expected_slope = BY_HAND[name]
    assert (result["real"] + result["fake"]).item() == pytest.approx(expected_d)
    assert result["generator"].item() == pytest.approx(expected_g)
    assert slope.item() == pytest.approx(expected_slope)


@pytest.mark.parametrize(("player", "label"), LABELS.items())
def test_a_loss_is_the_mean_binary_cross_entropy_against_its_label(player, label):
    x = torch.linspace(-30, 30, 121, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(x, torch.full_like(x, label))
    result = losses(objectives.OBJECTIVES.find("non_saturating"), x, x)[player]
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=3e-9)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_give_finite_losses_and_gradients(name):
    real = torch.tensor([-1e4, -200, 200, 1e4], requires_grad=True)
    fake = torch.tensor([1e4, -200, 200, -1e4], requires_grad=True)
    for loss in losses(objectives.OBJECTIVES.find(name), real, fake).values():
        grads = torch.autograd.grad(loss, [real, fake], retain_graph=True, allow_unused=True)
        assert loss.isfinite()
        assert loss.shape == ()
        assert all(grad is None or grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("name", NAMES)
def test_a_better_fake_costs_the_generator_less_and_the_discriminator_more(name):
    objective = objectives.OBJECTIVES.find(name)
    real = logits(0.1, 0.4, 0.2)
    worse, better = (losses(objective, real, logits(v, v, v)) for v in (0.05, 0.15))
    assert better["generator"] < worse["generator"]
    assert better["real"] + better["fake"] > worse["real"] + worse["fake"]


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_relativistic_ignore_the_real_logits_for_the_generator(name):
    objective, fake = objectives.OBJECTIVES.find(name), logits(0.3, -1)
    one, other = (objective.generator_loss(logits(*real), fake) for real in ((1, 2), (-3, 5)))
    assert torch.equal(one, other) is not objective.paired


def test_the_relativistic_loss_depends_on_differences_alone_and_leaves_out_those_without_a_partner():
    objective = objectives.OBJECTIVES.find("relativistic")
    real, fake = logits(1, 2), logits(-1, 0.5)
    for one, other in (
        (losses(objective, real, fake), losses(objective, real + 7, fake + 7)),
        (losses(objective, real, fake), losses(objective, real, torch.cat([fake, logits(100)]))),
    ):
        for player in LABELS:
            assert one[player].item() == pytest.approx(other[player].item())


def test_an_unknown_objective_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"'non_saturatin'; did you mean 'non_saturating'\?$"):
        objectives.OBJECTIVES.find("non_saturatin")

"""Objectives against PyTorch's cross-entropies and closed forms."""

import math

import pytest
import torch
from torch.nn import functional as F

from ganvas import objectives
from ganvas.errors import RecipeError

OBJECTIVE = objectives.find("non_saturating")
LABELS = {"real": 1.0, "fake": 0.0, "generator": 1.0}


def logits(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("player", "label"), LABELS.items())
def test_a_loss_is_the_binary_cross_entropy_against_its_label(player, label):
    x = torch.linspace(-30, 30, 121, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(x, torch.full_like(x, label), reduction="none")
    torch.testing.assert_close(getattr(OBJECTIVE, player)(x), expected, rtol=1e-12, atol=3e-9)


@pytest.mark.parametrize(("player", "label"), LABELS.items())
def test_a_losss_gradient_is_the_probability_less_the_label(player, label):
    x = logits(-3, -0.5, 0, 2, 7)
    (grad,) = torch.autograd.grad(getattr(OBJECTIVE, player)(x).sum(), x)
    torch.testing.assert_close(grad, torch.sigmoid(x.detach()) - label)


@pytest.mark.parametrize("player", LABELS)
def test_an_undecided_discriminator_costs_log_2(player):
    assert getattr(OBJECTIVE, player)(torch.zeros(1)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("player", LABELS)
def test_extreme_logits_give_finite_losses_and_gradients(player):
    x = torch.tensor([-1e4, -200, 200, 1e4], requires_grad=True)
    losses = getattr(OBJECTIVE, player)(x)
    (grad,) = torch.autograd.grad(losses.sum(), x)
    assert losses.isfinite().all()
    assert grad.isfinite().all()
    assert losses.max().item() == pytest.approx(1e4)
    assert losses.shape == x.shape


def test_an_unknown_objective_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"'non_saturatin'; did you mean 'non_saturating'\?$"):
        objectives.find("non_saturatin")

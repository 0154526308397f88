"""Gradient penalties against closed forms of simple discriminators, and in the update."""

import math

import pytest
import torch
from small import bits, random_of, real_images, recipe_of, state_of
from torch import nn

from ganvas.networks.conditioning import Batch
from ganvas.recipes.optimizers import Schedule
from ganvas.recipes.schema import Penalty
from ganvas.training import penalties, updates


class Linear(nn.Module):
    """D(x) = w . x + b: its slope is w everywhere."""

    def __init__(self, *w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))
        self.b = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        return x.flatten(1) @ self.w + self.b


class Square(nn.Module):
    """D(x) = a |x|^2 / 2: its slope at x is a x."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, x):
        return self.a * x.flatten(1).square().sum(1) / 2


def image(*pixels):
    return torch.tensor(pixels, dtype=torch.float64).view(-1, 1, 1, 2)


def half(*shape):
    return torch.full(shape, 0.5, dtype=torch.float64)


def gradient(penalty, d, real, fake, step=0, fraction=0.0):
    return penalties.penalty_gradients(
        [penalty], d, Batch(real), Batch(fake), half, step=step, fraction=fraction
    )


@pytest.mark.parametrize("kind", ["r1", "r2"])
def test_of_a_linear_discriminator_the_zero_centered_penalties_push_its_slope_to_zero(kind):
    w, b = gradient(Penalty(kind=kind, weight=3), Linear(0.6, -0.8), image(1, 2, 3, 4), image(5, 6))
    torch.testing.assert_close(w, 3 * torch.tensor([0.6, -0.8], dtype=torch.float64))  # of 3/2 |w|^2
    assert b == 0


@pytest.mark.parametrize("kind", ["wgan_gp", "dragan"])
def test_of_a_linear_discriminator_the_others_push_its_slope_to_one(kind):
    w, _ = gradient(Penalty(kind=kind, weight=10), Linear(1.2, -1.6), image(1, 2, 3, 4), image(5, 6, 7, 8))
    direction = torch.tensor([0.6, -0.8], dtype=torch.float64)
    torch.testing.assert_close(w, 2 * 10 * (2 - 1) * direction)  # of 10 (|w| - 1)^2, |w| = 2


def test_each_penalty_looks_where_its_paper_says():
    real, fake = image(3, 4), image(1, 0)  # |real| 5, |fake| 1, |between| |(2, 2)| = sqrt 8
    noisy = real + 0.5 * real.std() * 0.5
    for kind, distance in (("r1", 5), ("r2", 1)):
        (a,) = gradient(Penalty(kind=kind, weight=2), Square(0.5), real, fake)
        assert a.item() == pytest.approx(2 * 0.5 * distance**2)  # of 2/2 a^2 |x|^2
    for kind, distance in (("wgan_gp", math.sqrt(8)), ("dragan", noisy.norm().item())):
        (a,) = gradient(Penalty(kind=kind, weight=2), Square(0.5), real, fake)
        assert a.item() == pytest.approx(2 * 2 * (0.5 * distance - 1) * distance)  # of 2 (a |x| - 1)^2


def test_a_lazy_penalty_is_due_at_its_multiples_and_counts_as_often():
    often, lazy = (Penalty(kind="r1", weight=1, interval=k) for k in (1, 4))
    d, real, fake = Linear(1.0, 2.0), image(1, 2), image(3, 4)
    assert [gradient(lazy, d, real, fake, step) is not None for step in range(9)] == [
        step % 4 == 0 for step in range(9)
    ]
    torch.testing.assert_close(gradient(lazy, d, real, fake)[0], 4 * gradient(often, d, real, fake)[0])


def test_a_weight_changes_by_equal_ratios_over_the_run():
    penalty = Penalty(kind="r1", weight=1.0, final_weight=0.01)
    assert [penalties.weight_at(penalty, s) for s in (0, 0.5, 1)] == pytest.approx([1, 0.1, 0.01])
    assert penalties.weight_at(Penalty(kind="r1", weight=2.0), 0.7) == 2


def test_several_penalties_are_the_sum_of_each():
    d, real, fake = Square(0.7), image(1, 2, 3, 4), image(5, 6)
    both = [Penalty(kind="r1", weight=1), Penalty(kind="r2", weight=0.5)]
    (together,) = penalties.penalty_gradients(both, d, Batch(real), Batch(fake), half, step=0, fraction=0)
    apart = sum(gradient(penalty, d, real, fake)[0] for penalty in both)
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "alternating_joint", "alternating_separate"])
def test_an_update_steps_down_the_objective_and_the_penalty_together(rule):
    """With a learning rate of nearly nothing, Adam's first moment shows the gradient."""
    base = {"update.rule": rule, "discriminator_optimizer.learning_rate": 1e-12, "discriminator.dropout": 0}
    penalty = [{"kind": "r1", "weight": 5.0}]

    def first_moment(overrides):
        recipe = recipe_of("tutorial-dcgan", **base, **overrides)
        state = state_of(recipe)
        updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
        moments = state.discriminator_optimizer.state_tensors()
        return recipe, {k: m / 0.1 for k, m in moments.items() if k.endswith("exp_avg")}

    recipe, with_it = first_moment({"penalties": penalty})
    _, without = first_moment({})
    state = state_of(recipe)
    alone = penalties.penalty_gradients(
        recipe.penalties,
        state.discriminator,
        Batch(real_images(recipe)),
        Batch(real_images(recipe)),
        half,
        step=0,
        fraction=0,
    )
    for (name, moment), expected in zip(with_it.items(), alone, strict=True):
        torch.testing.assert_close(moment - without[name], expected, rtol=1e-3, atol=1e-4)


def test_a_schedule_rises_stays_and_falls():
    schedule = Schedule(warmup=0.1, hold=0.4, final=0.2)
    assert [schedule.at(s) for s in (0, 0.05, 0.1, 0.3, 0.4, 0.7, 1)] == pytest.approx(
        [0, 0.5, 1, 1, 1, 0.6, 0.2]
    )
    assert [Schedule(shape="cosine").at(s) for s in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert Schedule(hold=1).at(1) == 1


def scheduled(schedule):
    """Overrides that give both players this schedule."""
    return {f"{player}_optimizer.schedule": schedule for player in ("generator", "discriminator")}


def test_the_learning_rates_follow_the_schedule_of_the_runs_length():
    recipe = recipe_of("tutorial-dcgan", **scheduled({"warmup": 0.5, "hold": 0.5, "final": 0}))
    update, state, rates = updates.make_update(recipe, 8), state_of(recipe), []
    for step in range(8):
        state.step = step
        update(state, Batch(real_images(recipe)), random_of(recipe))
        rates.append(
            [
                o._optimizer.param_groups[0]["lr"]
                for o in (state.generator_optimizer, state.discriminator_optimizer)
            ]
        )
    full = [recipe.generator_optimizer.learning_rate, recipe.discriminator_optimizer.learning_rate]
    factors = [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125]
    assert rates == [pytest.approx([f * rate for rate in full]) for f in factors]


def test_a_learning_rate_that_is_not_scheduled_stays_to_the_bit():
    recipe = recipe_of("tutorial-dcgan", **scheduled({"hold": 1.0}))
    plain = recipe_of("tutorial-dcgan")
    after = []
    for each in (recipe, plain):
        state = state_of(each)
        updates.make_update(each, 10)(state, Batch(real_images(each)), random_of(each))
        after.append(bits(state.generator, state.discriminator))
    assert after[0] == after[1]

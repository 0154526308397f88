"""What a user's objective, penalty, rule, network or optimizer returns is checked: nonsense is one line."""

from typing import Literal

import pytest
import torch
from small import CPU, SHAPE, random_of, real_images, recipe_of
from torch import nn

from ganvas.errors import RecipeError
from ganvas.networks import DiscriminatorSpec, GeneratorSpec
from ganvas.networks.conditioning import Batch
from ganvas.recipes.optimizers import Optimizer
from ganvas.training import updates
from ganvas.training.objectives import OBJECTIVES, LogitwiseObjective, as_objective
from ganvas.training.penalties import PENALTIES
from ganvas.training.state import new_state

returned = []  # what the components below return
ONE, TWO = torch.tensor(1.0), torch.zeros(2)


class Losses:
    """Wasserstein losses as an object; what is given is returned instead."""

    def __init__(self, paired=True, parts=None, loss=None):
        self.paired, self.parts, self.loss = paired, parts, loss

    def discriminator_loss(self, real, fake):
        return (-real.mean(), fake.mean()) if self.parts is None else self.parts[0]

    def generator_loss(self, real, fake):
        return -fake.mean() if self.loss is None else self.loss[0]


class AnyGenerator(GeneratorSpec):
    kind: Literal["contract-test"] = "contract-test"

    def build(self, image_shape, latent_size, pixel_range):
        return returned[-1]


class AnyDiscriminator(DiscriminatorSpec):
    kind: Literal["contract-test"] = "contract-test"

    def build(self, image_shape, classes=0):
        return returned[-1]


class AnyOptimizer(Optimizer):
    kind: Literal["contract-test"] = "contract-test"

    def build(self, parameters):
        return returned[-1]


class Returning(nn.Module):
    """A network whose output is always the same."""

    def __init__(self, value):
        super().__init__()
        self.value, self.weight = value, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.value


NOTHING = [None, 3, 1.5, "loss", [], (), {}, object(), ONE.numpy()]
FUNCTIONS = [
    *NOTHING,
    ONE,
    TWO,
    (ONE,),
    (ONE, ONE, ONE),
    [ONE, ONE],
    (ONE, TWO),
    (ONE, 3),
    (ONE, torch.tensor(1)),
]
OUTPUTS = [*NOTHING, ONE, TWO, torch.zeros(2, 1), torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8).long()]
LOGITS = [*NOTHING, ONE, torch.zeros(2, 1), torch.zeros(2, 3), torch.zeros(3), TWO.long(), (TWO,), TWO.bool()]
METRICS = [*NOTHING, ONE, {"generator_loss": ONE}, dict.fromkeys(updates.METRICS, 3.0)]
METRICS += [dict.fromkeys(updates.METRICS, TWO), list(updates.METRICS)]
RULES = ["simultaneous", "alternating", "alternating_joint", "alternating_separate"]


@pytest.fixture(autouse=True)
def forget():
    yield
    returned.clear()
    for known in (OBJECTIVES, PENALTIES, updates.UPDATE_RULES):
        known.remove("contract-test")


def step(**overrides):
    """One step of a small recipe from new networks."""
    recipe = recipe_of("mlp", **overrides)
    state, update = new_state(recipe, SHAPE, 0, CPU), updates.make_update(recipe)
    return update(state, Batch(real_images(recipe)), random_of(recipe))


def refused(**overrides):
    """The line with which a step, or what comes before it, is refused."""
    with pytest.raises(RecipeError) as caught:
        step(**overrides)
    line = str(caught.value)
    assert "expected" in line
    assert len(line) < 300
    return line


@pytest.mark.parametrize("rule", RULES)
def test_losses_that_are_no_scalars_are_refused_under_every_rule(rule):
    objectives = [as_objective(lambda real, fake, value=value: value) for value in FUNCTIONS]
    objectives += [as_objective(Losses(parts=[value])) for value in FUNCTIONS]
    objectives += [as_objective(Losses(loss=[value])) for value in (*NOTHING, TWO, ONE)]
    objectives += [as_objective(lambda real, fake: (ONE, ONE)), as_objective(Losses(parts=[(ONE, ONE)]))]
    for value in NOTHING:
        objectives += [
            LogitwiseObjective(
                **{"real": torch.relu, "fake": torch.relu, "generator": torch.relu, part: other}
            )
            for part in ("real", "fake", "generator")
            for other in [lambda logits, value=value: value]
        ]
    for objective in objectives:
        OBJECTIVES.register("contract-test", objective)
        assert "objective" in refused(objective="contract-test", **{"update.rule": rule})


@pytest.mark.parametrize("paired", [None, 1, "yes"])
def test_an_objective_that_does_not_say_whether_it_is_paired_is_refused(paired):
    with pytest.raises(RecipeError, match="expected `paired` to be True or False"):
        as_objective(Losses(paired=paired))


@pytest.mark.parametrize("value", [*NOTHING, TWO, (ONE,), torch.tensor(1)])
def test_a_penalty_that_is_no_scalar_is_refused_by_its_name(value):
    PENALTIES.register("contract-test", lambda discriminator, real, fake, uniform: value)
    line = refused(penalties=[{"kind": "r1", "weight": 1}, {"kind": "contract-test", "weight": 1}])
    assert line.startswith("penalty contract-test: expected a scalar tensor, got ")


@pytest.mark.parametrize("value", METRICS)
def test_metrics_that_are_not_what_a_step_reports_are_refused(value):
    def own_rule(context, state, real, rng):
        return value

    updates.UPDATE_RULES.register("contract-test", own_rule)
    assert refused(**{"update.rule": "contract-test"}).startswith(
        "update rule own_rule: expected scalar tensors"
    )


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("network", [*NOTHING, nn.Flatten(), nn.Linear, [nn.Linear(1, 1)]])
def test_what_is_no_module_with_parameters_is_refused_as_a_network(player, network):
    returned.append(network)
    line = refused(**{player: {"kind": "contract-test"}})
    assert line.startswith(f"{player} 'contract-test': expected build() to return a torch.nn.Module")


@pytest.mark.parametrize("value", OUTPUTS)
def test_a_generator_that_gives_no_images_of_the_datas_shape_is_refused(value):
    returned.append(Returning(value))
    assert refused(generator={"kind": "contract-test"}).startswith(
        "generator: expected its images for 2 inputs"
    )


@pytest.mark.parametrize("value", LOGITS)
def test_a_discriminator_that_gives_no_logit_an_image_is_refused(value):
    returned.append(Returning(value))
    line = refused(discriminator={"kind": "contract-test"})
    assert line.startswith("discriminator: expected its logits for 2 inputs")


@pytest.mark.parametrize("value", [*NOTHING, nn.Linear(1, 1)])
def test_what_is_no_optimizer_is_refused_as_one(value):
    returned.append(value)
    line = refused(generator_optimizer={"kind": "contract-test", "learning_rate": 1})
    assert line.startswith(
        "optimizer 'contract-test': expected build() to return a torch.optim.Optimizer, got "
    )


def test_what_keeps_the_contract_is_trained_on():
    OBJECTIVES.register("contract-test", as_objective(Losses(paired=False)))
    PENALTIES.register("contract-test", lambda discriminator, real, fake, uniform: discriminator(real).mean())
    metrics = step(objective="contract-test", penalties=[{"kind": "contract-test", "weight": 1}])
    assert metrics["discriminator_loss"].isfinite()

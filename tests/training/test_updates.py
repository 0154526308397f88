"""The update rules against plain PyTorch with two backward passes, and what each turn leaves alone."""

import copy

import pytest
import torch
from small import NAMES, bits, random_of, real_images, recipe_of, state_of, trained
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.networks.conditioning import Batch
from ganvas.networks.layers import frozen_statistics
from ganvas.recipes.optimizers import Adam
from ganvas.training import updates
from ganvas.training.objectives import OBJECTIVES, as_objective
from ganvas.training.optimizers import NetworkOptimizer

RULES = ["simultaneous", "alternating", "alternating_joint", "alternating_separate"]
TERMS = {
    *("discriminator_loss", "discriminator_loss_real", "discriminator_loss_fake", "generator_loss"),
    *("real_probability", "fake_probability", "real_accuracy", "fake_accuracy"),
    "discriminator_accuracy",
}


def cross_entropy(logits, label):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(label)))


def minimize(optimizer, loss):
    """One plain step: every gradient anew by `backward`."""
    for parameter in optimizer.parameters:
        parameter.grad = None
    loss.backward()
    optimizer.step([parameter.grad for parameter in optimizer.parameters])


def plain_simultaneous(recipe, state, real, random):
    g, d = state.generator, state.discriminator
    fake = g(random.latents(recipe.batch_size))
    real_logits, fake_logits = d(real), d(fake)
    loss_real, loss_fake = cross_entropy(real_logits, 1), cross_entropy(fake_logits, 0)
    loss_g = cross_entropy(fake_logits, 1)
    g_grads = torch.autograd.grad(loss_g, list(g.parameters()), retain_graph=True)
    minimize(state.discriminator_optimizer, loss_real + loss_fake)
    state.generator_optimizer.step(g_grads)
    return loss_real, loss_fake, loss_real + loss_fake, loss_g


def plain_fakes(recipe, state, z):
    """Fakes for D's turn: the recipe's mode, G's moving statistics as they were."""
    g = copy.deepcopy(state.generator)
    g.train(recipe.update.generator_mode == "train")
    return g(z).detach()


def plain_generator_turn(state, z):
    d = copy.deepcopy(state.discriminator)
    loss = cross_entropy(d(state.generator(z)), 1)
    minimize(state.generator_optimizer, loss)
    return loss


def plain_alternating(recipe, state, real, random):
    z = random.latents(recipe.batch_size)
    fake = plain_fakes(recipe, state, z)
    d = state.discriminator
    loss_real, loss_fake = cross_entropy(d(real), 1), cross_entropy(d(fake), 0)
    minimize(state.discriminator_optimizer, loss_real + loss_fake)
    loss_g = plain_generator_turn(state, z if recipe.update.reuse_latents else random.latents(len(z)))
    return loss_real, loss_fake, loss_real + loss_fake, loss_g


def plain_alternating_joint(recipe, state, real, random):
    fake = plain_fakes(recipe, state, random.latents(len(real)))
    logits = state.discriminator(torch.cat([real, fake]))
    labels = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    loss = F.binary_cross_entropy_with_logits(logits, labels)
    parts = [cross_entropy(part, label) for part, label in zip(logits.chunk(2), (1, 0), strict=True)]
    minimize(state.discriminator_optimizer, loss)
    return *parts, loss, plain_generator_turn(state, random.latents(recipe.batch_size))


def plain_alternating_separate(recipe, state, real, random):
    z = random.latents(recipe.batch_size)
    fake = plain_fakes(recipe, state, z)
    loss_real = cross_entropy(state.discriminator(real), 1)
    minimize(state.discriminator_optimizer, loss_real)
    loss_fake = cross_entropy(state.discriminator(fake), 0)
    minimize(state.discriminator_optimizer, loss_fake)
    loss_g = plain_generator_turn(state, z if recipe.update.reuse_latents else random.latents(len(z)))
    return loss_real, loss_fake, (loss_real + loss_fake) / 2, loss_g


PLAIN = {rule: globals()[f"plain_{rule}"] for rule in RULES}


def received_gradients(state):
    """The gradients that reach each optimizer, step by step, in double precision."""
    received = {"generator": [], "discriminator": []}
    for player, steps in received.items():
        optimizer = getattr(state, f"{player}_optimizer")

        def spy(grads, steps=steps, step=optimizer.step):
            steps.append([grad.clone() for grad in grads])
            return step(grads)

        optimizer.step = spy
    return received


@pytest.mark.parametrize("fakes", ["train", "eval"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_a_step_equals_plain_pytorch_with_two_backward_passes(rule, name, fakes):
    recipe = recipe_of(name, **{"update.rule": rule, "update.generator_mode": fakes})
    ours, plain = trained(recipe), trained(recipe)
    for state in (ours, plain):  # in double precision, rounding cannot hide a difference nor make one
        state.generator.double(), state.discriminator.double()
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            moments = {name: m.double() for name, m in optimizer.state_tensors().items()}
            optimizer.load_state_tensors(moments, optimizer.steps)
    received, expected = received_gradients(ours), received_gradients(plain)
    real = real_images(recipe, seed=9).double()
    terms = updates.make_update(recipe)(ours, Batch(real), DoubleRandom(recipe))
    losses = PLAIN[rule](recipe, plain, real, DoubleRandom(recipe))
    names = ("discriminator_loss_real", "discriminator_loss_fake", "discriminator_loss", "generator_loss")
    for name_, loss in zip(names, losses, strict=True):
        assert terms[name_].item() == pytest.approx(loss.item(), abs=1e-6), name_
    torch.testing.assert_close(received, expected, rtol=1e-6, atol=1e-9)
    for player in ("generator", "discriminator"):
        pairs = getattr(ours, player).state_dict(), getattr(plain, player).state_dict()
        torch.testing.assert_close(*pairs, rtol=0, atol=1e-6)


class DoubleRandom:
    """The random numbers of a step, in double precision; small recipes have no dropout."""

    def __init__(self, recipe):
        self.random = random_of(recipe, step=3)

    def latents(self, count):
        return self.random.latents(count).double()

    def seed_layers(self, generator, discriminator):
        self.random.seed_layers(generator, discriminator)


@pytest.mark.parametrize("rule", RULES)
def test_reported_probabilities_and_accuracies_are_those_of_the_logits_learned_from(rule):
    recipe = recipe_of("tutorial-dcgan", **{"update.rule": rule})
    state, real = trained(recipe, steps=8), real_images(recipe, seed=9)
    logits, z = [], random_of(recipe).latents(len(real) if rule == "alternating_joint" else 8)
    with torch.no_grad(), frozen_statistics(state.generator):
        fake = state.generator(z)
        logits = [state.discriminator(real), state.discriminator(fake)]
    terms = updates.make_update(recipe)(state, Batch(real), random_of(recipe))
    assert set(terms) == TERMS
    assert terms["real_probability"].item() == pytest.approx(logits[0].sigmoid().mean().item(), abs=1e-5)
    assert terms["real_accuracy"].item() == (logits[0] > 0).float().mean().item()
    if rule != "alternating_separate":  # there, D's logits of fakes are taken after the step on real images
        assert terms["fake_probability"].item() == pytest.approx(logits[1].sigmoid().mean().item(), abs=1e-5)
        assert terms["fake_accuracy"].item() == (logits[1] <= 0).float().mean().item()


class Still(NetworkOptimizer):
    """An optimizer whose step changes nothing; it notes the networks' bits when its turn comes."""

    def __init__(self, state, network):
        super().__init__(network, Adam(learning_rate=1))
        self.state, self.notes = state, []

    def step(self, grads):
        self.notes.append((bits(self.state.generator), bits(self.state.discriminator)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES[1:])
def test_a_discriminators_turn_leaves_the_generators_bits_alone(rule, name):
    recipe = recipe_of(name, **{"update.rule": rule})
    state = trained(recipe)
    before = bits(state.generator)
    notes = []
    keep = state.discriminator_optimizer.step

    def step(grads):
        keep(grads)
        notes.append(bits(state.generator))

    state.discriminator_optimizer.step = step
    updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    assert len(notes) == (2 if rule == "alternating_separate" else 1)
    after = bits(state.generator)
    if (
        recipe.update.reuse_latents and rule != "alternating_joint"
    ):  # the fakes are both turns': the statistics have moved, for good
        moved = [key for key in before if "moving" in key[1]]
        before |= {key: after[key] for key in moved}
    assert all(note == before for note in notes)
    assert after != before  # its own turn came after


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES[1:])
def test_a_generators_turn_leaves_the_discriminators_bits_alone(rule, name):
    recipe = recipe_of(name, **{"update.rule": rule})
    state = trained(recipe)
    state.discriminator_optimizer = Still(state, state.discriminator)
    updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    _, before = state.discriminator_optimizer.notes[-1]  # moving statistics have moved by then, if any
    assert bits(state.discriminator) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_simultaneous_step_of_one_player_does_not_reach_the_other(name):
    recipe = recipe_of(name, **{"update.rule": "simultaneous"})
    both, still_d, still_g = trained(recipe), trained(recipe), trained(recipe)
    still_d.discriminator_optimizer = Still(still_d, still_d.discriminator)
    still_g.generator_optimizer = Still(still_g, still_g.generator)
    for state in (both, still_d, still_g):
        updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    assert bits(still_d.generator) == bits(both.generator)
    assert bits(still_g.discriminator) == bits(both.discriminator)


@pytest.mark.parametrize("fakes", ["train", "eval"])
def test_fakes_for_the_discriminator_come_from_the_chosen_mode(fakes):
    recipe = recipe_of("mlp", **{"update.generator_mode": fakes})
    state = trained(recipe)
    modes = []
    state.generator.register_forward_hook(lambda network, *_: modes.append(network.training))
    updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    assert modes == [fakes == "train", True]
    assert state.generator.training


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("fakes", ["train", "eval"])
@pytest.mark.parametrize("rule", ["alternating", "alternating_separate"])
def test_the_generator_learns_on_the_same_z_only_when_asked_and_draws_the_same_image_once(rule, fakes, reuse):
    overrides = {"update.rule": rule, "update.reuse_latents": reuse, "update.generator_mode": fakes}
    recipe = recipe_of("tf1-dcgan", **overrides)
    state, inputs = state_of(recipe), []
    state.generator.register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    if reuse and fakes == "train":
        assert len(inputs) == 1
        return
    assert len(inputs) == 2
    assert torch.equal(*inputs) is reuse


@pytest.mark.parametrize("rule", RULES)
def test_metrics_are_detached_scalars_on_the_device_and_no_gradient_stays(rule):
    recipe = recipe_of("tutorial-dcgan", **{"update.rule": rule})
    state = state_of(recipe)
    terms = updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    device = next(state.generator.parameters()).device
    for name, term in terms.items():
        assert (term.requires_grad, term.grad_fn, term.shape, term.device) == (False, None, (), device), name
    parameters = [*state.generator.parameters(), *state.discriminator.parameters()]
    assert all(p.grad is None for p in parameters)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_and_step_give_the_same_bits(rule, name):
    dropout = {} if name == "tf1-dcgan" else {"discriminator.dropout": 0.4}
    recipe = recipe_of(name, **{"update.rule": rule}, **dropout)
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)  # must not matter
        state = trained(recipe, steps=2)
        results.append(bits(state.generator, state.discriminator))
    assert results[0] == results[1]
    other = state_of(recipe)
    for step in range(2):
        updates.make_update(recipe)(
            other, Batch(real_images(recipe, seed=step)), random_of(recipe, step, seed=5)
        )
    assert bits(other.generator, other.discriminator) != results[0]


@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "alternating_separate"])
@pytest.mark.parametrize("name", NAMES)
def test_a_partial_batch_even_of_one_image_meets_whole_fakes(name, rule):
    recipe = recipe_of(name, **{"update.rule": rule})
    state, inputs = state_of(recipe), []
    state.generator.register_forward_hook(lambda _, __, images: inputs.append(len(images)))
    terms = updates.make_update(recipe)(state, Batch(real_images(recipe, count=1)), random_of(recipe))
    assert set(inputs) == {8}
    assert all(term.isfinite() for term in terms.values())


def test_an_unknown_objective_is_refused_before_the_first_step():
    with pytest.raises(RecipeError, match="non_saturating"):
        updates.make_update(recipe_of("mlp", objective="non_saturatin"))


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({"update.rule": "sideways"}, "unknown update rule 'sideways'"),
        ({"update.rule": "alternatin"}, "did you mean 'alternating'"),
        ({"penalties": [{"kind": "r3", "weight": 1}]}, "unknown penalty 'r3'"),
    ],
)
def test_an_unknown_rule_or_penalty_is_refused_before_the_first_step(changed, hint):
    with pytest.raises(RecipeError, match=hint):
        updates.make_update(recipe_of("mlp", **changed))


@pytest.fixture
def as_function():
    """Register a built-in objective again, as one function of both logits; it is forgotten after the test."""
    registered = []

    def register(name):
        def both_losses(real, fake):
            builtin = OBJECTIVES.find(name)
            return sum(builtin.discriminator_loss(real, fake)), builtin.generator_loss(real, fake)

        OBJECTIVES.register(f"{name}_function", as_objective(both_losses))
        registered.append(f"{name}_function")
        return registered[-1]

    yield register
    for name in registered:
        OBJECTIVES.remove(name)


@pytest.mark.parametrize("objective", ["non_saturating", "hinge", "relativistic"])
@pytest.mark.parametrize("rule", RULES)
def test_an_objective_given_as_one_function_trains_as_the_built_in_one(rule, objective, as_function):
    results = []
    for name in (objective, as_function(objective)):
        recipe = recipe_of("tutorial-dcgan", objective=name, **{"update.rule": rule})
        state, update = trained(recipe_of("tutorial-dcgan")), updates.make_update(recipe)
        metrics = update(state, Batch(real_images(recipe, seed=9)), random_of(recipe, step=3))
        results.append((state, metrics))
    (expected, builtin), (state, metrics) = results
    # A function's loss in a separate turn has the other kind's in it, before or after the other turn's step.
    rel = 1e-3 if rule == "alternating_separate" else 1e-6
    for name in ("discriminator_loss", "generator_loss"):
        assert metrics[name].item() == pytest.approx(builtin[name].item(), rel=rel)
    for player in ("generator", "discriminator"):
        pairs = getattr(state, player).state_dict(), getattr(expected, player).state_dict()
        torch.testing.assert_close(*pairs, rtol=1e-4, atol=1e-6)


def test_separate_turns_of_a_paired_objective_have_gradients_that_sum_to_that_of_the_whole_loss():
    recipe = recipe_of("mlp", objective="relativistic")
    assert recipe.update.rule == "alternating_separate"
    state = trained(recipe_of("mlp"))
    turns, real = [], real_images(recipe, seed=9)
    state.discriminator_optimizer.step = lambda grads: turns.append([grad.clone() for grad in grads])
    fake = plain_fakes(recipe, state, random_of(recipe).latents(recipe.batch_size))
    losses = OBJECTIVES.find("relativistic").discriminator_loss(
        state.discriminator(real), state.discriminator(fake)
    )
    whole = torch.autograd.grad(sum(losses), list(state.discriminator.parameters()))
    updates.make_update(recipe)(state, Batch(real), random_of(recipe))
    assert len(turns) == 2
    assert all(grad.abs().max() > 1e-4 for turn in turns for grad in turn[:-1])  # each turn has its part
    torch.testing.assert_close(
        [a + b for a, b in zip(*turns, strict=True)], list(whole), rtol=1e-4, atol=1e-6
    )

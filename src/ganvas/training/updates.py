"""The update rules: who learns when.

An update is one function of (state, real images, random numbers) that changes the state's networks and
optimisers and returns what happened as detached terms, left on the device: no `.item()`, no file, no log.
A discriminator's turn leaves the generator's bits alone, moving statistics too, and the other way round; but
where both turns use the same fakes, these are drawn once, and the statistics move then.

Sources: Goodfellow et al. 2014, algorithm 1, for the alternating rule; the tutorials named in the recipes
for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from ganvas import objectives
from ganvas.networks.classes import Batch, joined, judged, with_class
from ganvas.networks.layers import frozen_statistics, mixes_samples
from ganvas.objectives import Objective
from ganvas.recipe import Augment, Penalty, Recipe, Schedule
from ganvas.training import adaptive, penalties
from ganvas.training.augment import augmented
from ganvas.training.state import TrainState

Terms = dict[str, Tensor]


class Random(Protocol):
    """What an update needs of randomness; see `ganvas.randomness.StepRandom`."""

    def latents(self, count: int) -> Tensor:
        """The next `count` z: float32 [count, Z]."""

    def labels(self, count: int) -> Tensor:
        """The next `count` classes, where they are told: int64 [count]."""

    def uniform(self, *shape: int) -> Tensor:
        """The next U(0, 1), for penalties and augmentation: float32 of this shape."""

    def seed_dropout(self, network: nn.Module) -> None:
        """Start the dropout masks of this step."""


Update = Callable[[TrainState, Batch, Random], Terms]


@dataclass(frozen=True)
class Rules:
    """What an update takes from the recipe."""

    objective: Objective
    batch_size: int
    fakes_in_inference: bool
    reuse_latents: bool
    classes: int = 0
    penalties: tuple[Penalty, ...] = ()
    augment: Augment | None = None
    pixel_range: tuple[int, int] = (-1, 1)
    length: int | None = None

    def seen(self, batch: Batch, state: TrainState, random: Random) -> Batch:
        """What D sees of images, real or fake."""
        if self.augment is None:
            return batch
        often = None if state.adaptive is None else state.adaptive[0]
        images = augmented(batch.images, self.augment, random.uniform, self.pixel_range, often)
        return Batch(images, batch.labels)

    def inputs(self, count: int, random: Random) -> Batch:
        """What G is given for so many images, in place of the images, and their classes."""
        z = random.latents(count)
        if not self.classes:
            return Batch(z)
        labels = random.labels(count)
        return Batch(with_class(z, labels, self.classes), labels)

    def share(self, step: int) -> float:
        """Of the run's length that lies behind after `step` steps."""
        return min(step / self.length, 1.0) if self.length else 0.0


def find(recipe: Recipe, length: int | None = None) -> Update:
    """Return the recipe's update: a batch of real images in the pixel range -> terms.

    Args:
        recipe: what to do.
        length: of the run in steps, by which schedules are stretched; without it the rates stay.
    """
    rules = Rules(
        objective=objectives.find(recipe.objective),
        batch_size=recipe.batch_size,
        fakes_in_inference=recipe.update.fakes == "inference",
        reuse_latents=recipe.update.reuse_latents,
        classes=recipe.classes,
        penalties=recipe.penalties,
        augment=recipe.augment,
        pixel_range=recipe.pixel_range,
        length=length,
    )
    update: Update = partial(_RULES[recipe.update.rule], rules)
    if recipe.augment is not None and recipe.augment.target is not None:
        update = _adapting(update, recipe.augment.target)
    if recipe.schedule is not None and length is not None:
        update = _scheduled(update, recipe.schedule, length)
    return update


def _scheduled(update: Update, schedule: Schedule, length: int) -> Update:
    """The update at rates that change."""

    def scheduled(state: TrainState, real: Batch, random: Random) -> Terms:
        factor = schedule.at((state.step + 0.5) / length)  # the step's middle: no step is for nothing
        state.generator_optimizer.scale_rate(factor)
        state.discriminator_optimizer.scale_rate(factor)
        return update(state, real, random)

    return scheduled


def _adapting(update: Update, target: float) -> Update:
    """The update, after which images are changed more often or less."""

    def adapting(state: TrainState, real: Batch, random: Random) -> Terms:
        terms = update(state, real, random)
        assert state.adaptive is not None
        adaptive.adapt(state.adaptive, 2 * terms["real_accuracy"] - 1, len(real.images), target, state.step)
        return {**terms, "augment_probability": state.adaptive[0].clone()}

    return adapting


def simultaneous(rules: Rules, state: TrainState, real: Batch, random: Random) -> Terms:
    """One forward pass of each network; both gradients are taken before either step.

    Where D treats samples apart, one backward pass through D serves both players (`one_pass`); where batch
    norm mixes them, each player takes its own (`two_passes`).
    """
    random.seed_dropout(state.discriminator)
    real = rules.seen(real, state, random)
    fake = rules.seen(_generated(state, rules.inputs(rules.batch_size, random)), state, random)
    gradients = two_passes if mixes_samples(state.discriminator) else one_pass
    d_grads, g_grads, terms = gradients(rules.objective, state, real, fake)
    d_grads = _penalised(rules, state, real, fake, random, d_grads)
    _step(state.discriminator_optimizer, list(state.discriminator.parameters()), d_grads)
    _step(state.generator_optimizer, list(state.generator.parameters()), g_grads)
    return terms


Gradients = tuple[Sequence[Tensor], Sequence[Tensor], Terms]


def two_passes(objective: Objective, state: TrainState, real: Batch, fake: Batch) -> Gradients:
    """Both players' gradients, each by a backward pass of its own through D."""
    d_weights, g_weights = list(state.discriminator.parameters()), list(state.generator.parameters())
    if mixes_samples(state.discriminator):
        real_logits, fake_logits = judged(state.discriminator, real), judged(state.discriminator, fake)
    else:
        real_logits, fake_logits = _judged_at_once(state, real, fake)
    loss_real, loss_fake = objective.discriminator(real_logits, fake_logits)
    loss_g = objective.generator(real_logits, fake_logits)
    d_grads = torch.autograd.grad(loss_real + loss_fake, d_weights, retain_graph=True)
    g_grads = torch.autograd.grad(loss_g, g_weights)
    return d_grads, g_grads, _terms(loss_real, loss_fake, loss_g, real_logits, fake_logits)


# A derivative below this is lifted to it. Adam adds epsilon (1e-7 and more) to what it divides by, so that
# D's step moves by less than 1e-12 of the learning rate; without it, the derivatives of a D that is sure
# beyond doubt (logits below -80) would underflow on the way to the images, and G's gradient with them.
LEAST_DERIVATIVE = 1e-20


def one_pass(objective: Objective, state: TrainState, real: Batch, fake: Batch) -> Gradients:
    """Both players' gradients by one backward pass through D, which must treat samples apart.

    What reaches a fake image from D's loss is D'(x) times the loss's derivative at that image's logit, a
    number. Rescaled by the ratio of the two losses' derivatives there, it is what reaches the image from
    G's loss. Source: FusedProp, arXiv 2004.03335, section 3.
    """
    d_weights, g_weights = list(state.discriminator.parameters()), list(state.generator.parameters())
    seen, count = fake.images.detach().requires_grad_(), len(real.images)
    logits = judged(state.discriminator, joined(real, Batch(seen, fake.labels)))
    leaf = logits.detach().requires_grad_()
    real_logits, fake_logits = leaf[:count], leaf[count:]
    loss_real, loss_fake = objective.discriminator(real_logits, fake_logits)
    loss_g = objective.generator(real_logits, fake_logits)
    (d_signal,) = torch.autograd.grad(loss_real + loss_fake, leaf, retain_graph=True)
    (g_signal,) = torch.autograd.grad(loss_g, leaf)
    d_fake, g_fake = d_signal[count:], g_signal[count:]
    d_fake.copy_(torch.where(d_fake.abs() < LEAST_DERIVATIVE, LEAST_DERIVATIVE, d_fake))
    *d_grads, at_images = torch.autograd.grad(logits, [*d_weights, seen], d_signal)
    ratio = (g_fake / d_fake).view(-1, 1, 1, 1)
    g_grads = torch.autograd.grad(fake.images, g_weights, at_images * ratio)
    return d_grads, g_grads, _terms(loss_real, loss_fake, loss_g, real_logits, fake_logits)


def alternating(rules: Rules, state: TrainState, real: Batch, random: Random) -> Terms:
    """The discriminator on real and on fake images; then the generator through the new discriminator."""
    d, objective = state.discriminator, rules.objective
    random.seed_dropout(d)
    fake, again = _fakes_for_both(rules, state, random)
    real, fake = rules.seen(real, state, random), rules.seen(fake, state, random)
    real_logits, fake_logits = judged(d, real), judged(d, fake)
    loss_real, loss_fake = objective.discriminator(real_logits, fake_logits)
    _discriminator_step(rules, state, loss_real + loss_fake, real, fake, random)
    loss_g = _generator_turn(rules, state, rules.seen(again(), state, random), real)
    return _terms(loss_real, loss_fake, loss_g, real_logits, fake_logits)


def alternating_mixed(rules: Rules, state: TrainState, real: Batch, random: Random) -> Terms:
    """The discriminator on one batch, real and as many fakes, its loss the mean over all of them."""
    objective = rules.objective
    random.seed_dropout(state.discriminator)
    real = rules.seen(real, state, random)
    fake = rules.seen(_fakes(rules, state, rules.inputs(len(real.images), random)), state, random)
    real_logits, fake_logits = _judged_at_once(state, real, fake)
    loss_real, loss_fake = objective.discriminator(real_logits, fake_logits)
    _discriminator_step(rules, state, (loss_real + loss_fake) / 2, real, fake, random)
    again = rules.seen(_generated(state, rules.inputs(rules.batch_size, random)), state, random)
    loss_g = _generator_turn(rules, state, again, real)
    return _terms(loss_real, loss_fake, loss_g, real_logits, fake_logits, halved=True)


def alternating_separate(rules: Rules, state: TrainState, real: Batch, random: Random) -> Terms:
    """A discriminator step on real images, another on fakes, then the generator."""
    d, objective = state.discriminator, rules.objective
    random.seed_dropout(d)
    fake, again = _fakes_for_both(rules, state, random)
    real, fake = rules.seen(real, state, random), rules.seen(fake, state, random)
    real_logits = judged(d, real)
    loss_real, _ = objective.discriminator(real_logits, real_logits)
    _learn(state.discriminator_optimizer, d, loss_real)
    fake_logits = judged(d, fake)
    _, loss_fake = objective.discriminator(fake_logits, fake_logits)
    _discriminator_step(rules, state, loss_fake, real, fake, random)
    loss_g = _generator_turn(rules, state, rules.seen(again(), state, random), real)
    return _terms(loss_real, loss_fake, loss_g, real_logits, fake_logits, halved=True)


_RULES: dict[str, Callable[[Rules, TrainState, Batch, Random], Terms]] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "alternating_mixed": alternating_mixed,
    "alternating_separate": alternating_separate,
}


def _generated(state: TrainState, inputs: Batch) -> Batch:
    return Batch(state.generator(inputs.images), inputs.labels)


def _judged_at_once(state: TrainState, real: Batch, fake: Batch) -> tuple[Tensor, Tensor]:
    """D's logits of real and of fake images, by one forward pass."""
    logits, count = judged(state.discriminator, joined(real, fake)), len(real.images)
    return logits[:count], logits[count:]


@torch.no_grad()
def _fakes(rules: Rules, state: TrainState, inputs: Batch) -> Batch:
    """Images for the discriminator's turn: the generator is not touched."""
    g = state.generator
    g.train(not rules.fakes_in_inference)
    with frozen_statistics(g):
        fake = _generated(state, inputs)
    g.train()
    return fake


def _fakes_for_both(rules: Rules, state: TrainState, random: Random) -> tuple[Batch, Callable[[], Batch]]:
    """Images for the discriminator's turn, and what draws those of the generator's.

    Where both turns see the same z through the same generator, they are the same images, made once.
    """
    first = rules.inputs(rules.batch_size, random)
    if rules.reuse_latents and not rules.fakes_in_inference:
        fake = _generated(state, first)
        return fake.detached(), lambda: fake
    return _fakes(rules, state, first), lambda: _generated(
        state, first if rules.reuse_latents else rules.inputs(rules.batch_size, random)
    )


def _generator_turn(rules: Rules, state: TrainState, fake: Batch, real: Batch) -> Tensor:
    """One generator step, by its images, through the discriminator as it is, which is not touched.

    The real images are looked at again where the objective judges both kinds side by side.
    """
    with frozen_statistics(state.discriminator):
        logits = real_logits = judged(state.discriminator, fake)
        if rules.objective.paired:
            with torch.no_grad():
                real_logits = judged(state.discriminator, real)
    loss = rules.objective.generator(real_logits, logits)
    _learn(state.generator_optimizer, state.generator, loss)
    return loss


def _discriminator_step(
    rules: Rules, state: TrainState, loss: Tensor, real: Batch, fake: Batch, random: Random
) -> None:
    """One discriminator step down `loss` and the penalties."""
    weights = list(state.discriminator.parameters())
    grads = torch.autograd.grad(loss, weights)
    _step(state.discriminator_optimizer, weights, _penalised(rules, state, real, fake, random, grads))


def _penalised(
    rules: Rules, state: TrainState, real: Batch, fake: Batch, random: Random, grads: Sequence[Tensor]
) -> Sequence[Tensor]:
    """D's gradients, those of the penalties that are due added."""
    if not rules.penalties:
        return grads
    with frozen_statistics(state.discriminator):
        more = penalties.gradients(
            rules.penalties, state.discriminator, real, fake, random.uniform,
            step=state.step, share=rules.share(state.step),
        )  # fmt: skip
    return grads if more is None else [grad + extra for grad, extra in zip(grads, more, strict=True)]


def _learn(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
    """One step down `loss` for this network alone: no other network's gradients are computed."""
    weights = list(network.parameters())
    _step(optimizer, weights, torch.autograd.grad(loss, weights))


def _step(optimizer: torch.optim.Optimizer, weights: Sequence[nn.Parameter], grads: Sequence[Tensor]) -> None:
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = grad
    optimizer.step()
    optimizer.zero_grad()


@torch.no_grad()
def _terms(
    loss_real: Tensor,
    loss_fake: Tensor,
    loss_g: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    *,
    halved: bool = False,
) -> Terms:
    """What is reported: losses, D's mean probabilities and accuracies, of the logits it learned from."""
    loss = loss_real + loss_fake
    on_real, on_fake = (real_logits > 0).float().mean(), (fake_logits <= 0).float().mean()
    return {
        "discriminator_loss": (loss / 2 if halved else loss).detach(),
        "discriminator_loss_real": loss_real.detach(),
        "discriminator_loss_fake": loss_fake.detach(),
        "generator_loss": loss_g.detach(),
        "real_probability": real_logits.sigmoid().mean(),
        "fake_probability": fake_logits.sigmoid().mean(),
        "real_accuracy": on_real,
        "fake_accuracy": on_fake,
        "discriminator_accuracy": (on_real + on_fake) / 2,
    }

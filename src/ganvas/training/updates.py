"""The update rules: one training step each, from real images to two updated networks.

A rule is a function of (context, state, real images, random numbers) that updates the state's networks and
returns metrics, detached and left on the device: no `.item()`, no file, no log. A discriminator's turn leaves
the generator as it is, moving statistics too, and the other way round; where both turns use the same fakes,
these are generated once, and G's statistics move then.

Sources: Goodfellow et al. 2014, arXiv 1406.2661, algorithm 1, for the alternating rule; the tutorials named
in the recipes for the others. A rule of one's own is registered by name (`ganvas.register.update_rule`) and
made of the same parts: `UpdateContext`, `discriminator_step`, `generator_step`, `step_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from ganvas.errors import RecipeError
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.networks.conditioning import (
    Batch,
    GeneratorInput,
    append_one_hot,
    class_logits,
    concat,
    generate_batch,
)
from ganvas.networks.layers import frozen_statistics
from ganvas.recipes.schema import Augment, Penalty, Recipe
from ganvas.registry import Registry
from ganvas.training.augmentation import augment_images, update_probability
from ganvas.training.objectives import OBJECTIVES, Objective
from ganvas.training.optimizers import gradients
from ganvas.training.penalties import PENALTIES, penalty_gradients
from ganvas.training.state import TrainState

StepMetrics = dict[str, Tensor]


class RNG(Protocol):
    """What an update needs of random numbers; see `ganvas.training.rng.StepRNG`."""

    def latents(self, count: int) -> Tensor:
        """The next `count` z: float32 [count, Z]."""

    def labels(self, count: int) -> Tensor:
        """The next `count` classes, where training is conditional: int64 [count]."""

    def uniform(self, *shape: int) -> Tensor:
        """The next U(0, 1), for penalties and augmentation: float32 of this shape."""

    def seed_layers(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Start what random layers draw in this step."""


@dataclass(frozen=True)
class UpdateContext:
    """What an update takes from the recipe; `length` is the run's, in steps, where schedules follow it."""

    objective: Objective
    batch_size: int
    generator_eval: bool = False
    reuse_latents: bool = False
    classes: int = 0
    penalties: tuple[Penalty, ...] = ()
    augmentation: Augment | None = None
    pixel_range: tuple[int, int] = (-1, 1)
    length: int | None = None

    def sample_inputs(self, count: int, rng: RNG) -> GeneratorInput:
        """New z, and classes where training is conditional."""
        z = rng.latents(count)
        if not self.classes:
            return GeneratorInput(z)
        labels = rng.labels(count)
        return GeneratorInput(append_one_hot(z, labels, self.classes), labels)

    def augment(self, batch: Batch, state: TrainState, rng: RNG) -> Batch:
        """What D sees of images, real or fake."""
        if self.augmentation is None:
            return batch
        probability = None if state.adaptive is None else state.adaptive[0]
        images = augment_images(batch.images, self.augmentation, rng.uniform, self.pixel_range, probability)
        return Batch(images, batch.labels)

    def fraction(self, step: int) -> float:
        """Fraction of the run that is done after `step` steps."""
        return min(step / self.length, 1.0) if self.length else 0.0


Update = Callable[[TrainState, Batch, RNG], StepMetrics]
UpdateRule = Callable[[UpdateContext, TrainState, Batch, RNG], StepMetrics]
UPDATE_RULES: Registry[UpdateRule] = Registry("update rule", RecipeError)


def simultaneous(context: UpdateContext, state: TrainState, real: Batch, rng: RNG) -> StepMetrics:
    """One forward pass of each network; both gradients are taken before either update.

    Where D treats samples apart, one backward pass through D serves both players (`fused_gradients`); where
    it does not, each player has its own (`separate_gradients`).
    """
    D, G = state.discriminator, state.generator
    real = context.augment(real, state, rng)
    inputs = context.sample_inputs(context.batch_size, rng)
    fake = context.augment(generate_batch(G, inputs), state, rng)

    separate = is_batch_dependent(D, real.images)
    both_gradients = separate_gradients if separate else fused_gradients
    d_grads, g_grads, metrics = both_gradients(context.objective, state, real, fake)

    d_grads = add_penalties(context, state, real, fake, rng, d_grads)
    state.discriminator_optimizer.step(d_grads)
    state.generator_optimizer.step(g_grads)
    return metrics


def alternating(context: UpdateContext, state: TrainState, real: Batch, rng: RNG) -> StepMetrics:
    """D on a batch of real and one of fake images; then G through the updated D."""
    D, G = state.discriminator, state.generator
    # D's turn
    inputs = context.sample_inputs(context.batch_size, rng)
    shared = _fakes_are_shared(context)
    fake = generate_batch(G, inputs) if shared else generate_for_discriminator(context, state, inputs)
    real = context.augment(real, state, rng)
    d_fake = context.augment(fake.detach(), state, rng)
    real_logits, fake_logits = class_logits(D, real), class_logits(D, d_fake)
    loss_real, loss_fake = context.objective.discriminator_loss(real_logits, fake_logits)
    discriminator_step(context, state, loss_real + loss_fake, real, d_fake, rng)
    # G's turn
    if not shared:
        inputs = inputs if context.reuse_latents else context.sample_inputs(context.batch_size, rng)
        fake = generate_batch(G, inputs)
    loss_g = generator_step(context, state, context.augment(fake, state, rng), real)
    return step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits)


def alternating_joint(context: UpdateContext, state: TrainState, real: Batch, rng: RNG) -> StepMetrics:
    """D on one batch, half real and half fake, its loss the mean over all of it; then G on new z."""
    D, G = state.discriminator, state.generator
    # D's turn
    real = context.augment(real, state, rng)
    inputs = context.sample_inputs(len(real.images), rng)
    d_fake = context.augment(generate_for_discriminator(context, state, inputs), state, rng)
    real_logits, fake_logits = _joint_logits(D, real, d_fake)
    loss_real, loss_fake = context.objective.discriminator_loss(real_logits, fake_logits)
    discriminator_step(context, state, (loss_real + loss_fake) / 2, real, d_fake, rng)
    # G's turn
    fake = generate_batch(G, context.sample_inputs(context.batch_size, rng))
    loss_g = generator_step(context, state, context.augment(fake, state, rng), real)
    return step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits, mean=True)


def alternating_separate(context: UpdateContext, state: TrainState, real: Batch, rng: RNG) -> StepMetrics:
    """A D step on real images, another on fake ones; then G through the updated D.

    Where the objective is paired, each of D's steps follows the whole loss, the other kind's logits being
    constants: without a step in between, the two gradients would sum to that of the loss.
    """
    D, G = state.discriminator, state.generator
    # D's two turns
    inputs = context.sample_inputs(context.batch_size, rng)
    shared = _fakes_are_shared(context)
    fake = generate_batch(G, inputs) if shared else generate_for_discriminator(context, state, inputs)
    real = context.augment(real, state, rng)
    d_fake = context.augment(fake.detach(), state, rng)
    paired = context.objective.paired
    real_logits = class_logits(D, real)
    others = constant_logits(D, d_fake) if paired else real_logits
    loss_real, rest = context.objective.discriminator_loss(real_logits, others)
    state.discriminator_optimizer.minimize(loss_real + rest if paired else loss_real)
    fake_logits = class_logits(D, d_fake)
    others = constant_logits(D, real) if paired else fake_logits
    rest, loss_fake = context.objective.discriminator_loss(others, fake_logits)
    discriminator_step(context, state, loss_fake + rest if paired else loss_fake, real, d_fake, rng)
    # G's turn
    if not shared:
        inputs = inputs if context.reuse_latents else context.sample_inputs(context.batch_size, rng)
        fake = generate_batch(G, inputs)
    loss_g = generator_step(context, state, context.augment(fake, state, rng), real)
    return step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits, mean=True)


for _rule in (simultaneous, alternating, alternating_joint, alternating_separate):
    UPDATE_RULES.register(_rule.__name__, _rule)


def make_update(recipe: Recipe, length: int | None = None) -> Update:
    """The recipe's update: (state, real images in the pixel range, random numbers) -> metrics.

    Args:
        recipe: what to do.
        length: of the run in steps, which schedules follow; without it they do not move.

    Raises:
        RecipeError: an objective, penalty or update rule that nothing has registered.
    """
    context = UpdateContext(
        objective=OBJECTIVES.find(recipe.objective),
        batch_size=recipe.batch_size,
        generator_eval=recipe.update.generator_mode == "eval",
        reuse_latents=recipe.update.reuse_latents,
        classes=recipe.classes,
        penalties=recipe.penalties,
        augmentation=recipe.augment,
        pixel_range=recipe.pixel_range,
        length=length,
    )
    rule = UPDATE_RULES.find(recipe.update.rule)
    for penalty in recipe.penalties:
        PENALTIES.find(penalty.kind)
    target = None if recipe.augment is None else recipe.augment.target
    return partial(_update, rule, context, target)


def _update(
    rule: UpdateRule, context: UpdateContext, target: float | None, state: TrainState, real: Batch, rng: RNG
) -> StepMetrics:
    """One step of a rule, with what all rules have in common: random layers, learning rates, ADA."""
    rng.seed_layers(state.generator, state.discriminator)
    if context.length is not None:
        fraction = (state.step + 0.5) / context.length  # the step's middle: no step has a learning rate of 0
        state.generator_optimizer.set_progress(fraction)
        state.discriminator_optimizer.set_progress(fraction)
    metrics = rule(context, state, real, rng)
    _check_metrics(rule, metrics)
    if target is None:
        return metrics
    assert state.adaptive is not None
    sign = 2 * metrics["real_accuracy"] - 1
    update_probability(state.adaptive, sign, len(real.images), target, state.step)
    return {**metrics, "augment_probability": state.adaptive[0].clone()}


METRICS = {  # what every step reports
    "discriminator_loss", "discriminator_loss_real", "discriminator_loss_fake", "generator_loss",
    "real_probability", "fake_probability", "real_accuracy", "fake_accuracy", "discriminator_accuracy",
}  # fmt: skip


def _check_metrics(rule: UpdateRule, metrics: object) -> None:
    values = metrics.values() if isinstance(metrics, dict) and metrics.keys() >= METRICS else [None]
    if all(isinstance(value, Tensor) and value.dim() == 0 for value in values):
        return
    name = getattr(rule, "__name__", "?")
    raise RecipeError(f"update rule {name}: expected scalar tensors by name, as step_metrics gives them")


Gradients = tuple[Sequence[Tensor], Sequence[Tensor], StepMetrics]


def separate_gradients(objective: Objective, state: TrainState, real: Batch, fake: Batch) -> Gradients:
    """Both players' gradients, each by a backward pass of its own through D."""
    D = state.discriminator
    if is_batch_dependent(D, real.images):
        real_logits, fake_logits = class_logits(D, real), class_logits(D, fake)
    else:
        real_logits, fake_logits = _joint_logits(D, real, fake)
    loss_real, loss_fake = objective.discriminator_loss(real_logits, fake_logits)
    loss_g = objective.generator_loss(real_logits, fake_logits)
    d_grads = gradients(loss_real + loss_fake, state.discriminator_optimizer.parameters, retain_graph=True)
    g_grads = gradients(loss_g, state.generator_optimizer.parameters)
    return d_grads, g_grads, step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits)


# A derivative below this is lifted to it. Adam adds epsilon (1e-7 and more) to what it divides by, so that
# D's step moves by less than 1e-12 of the learning rate; without it, the derivatives of a D that is sure
# beyond doubt (logits below -80) would underflow on the way to the images, and G's gradient with them.
MIN_DERIVATIVE = 1e-20


def fused_gradients(objective: Objective, state: TrainState, real: Batch, fake: Batch) -> Gradients:
    """Both players' gradients by one backward pass through D, which must treat samples apart.

    What reaches a fake image from D's loss is D'(x) times the loss's derivative at that image's logit, a
    number. Rescaled by the ratio of the two losses' derivatives there, it is what reaches the image from
    G's loss. Source: FusedProp, arXiv 2004.03335, section 3.
    """
    d_parameters = state.discriminator_optimizer.parameters
    g_parameters = state.generator_optimizer.parameters
    fake_images, count = fake.images.detach().requires_grad_(), len(real.images)
    logits = class_logits(state.discriminator, concat(real, Batch(fake_images, fake.labels)))

    # The losses' derivatives at the logits, one number an image.
    leaf = logits.detach().requires_grad_()
    real_logits, fake_logits = leaf[:count], leaf[count:]
    loss_real, loss_fake = objective.discriminator_loss(real_logits, fake_logits)
    loss_g = objective.generator_loss(real_logits, fake_logits)
    (d_derivative,) = gradients(loss_real + loss_fake, [leaf], retain_graph=True)
    (g_derivative,) = gradients(loss_g, [leaf])
    d_fake, g_fake = d_derivative[count:], g_derivative[count:]
    d_fake.copy_(torch.where(d_fake.abs() < MIN_DERIVATIVE, MIN_DERIVATIVE, d_fake))

    *d_grads, at_images = torch.autograd.grad(
        logits, [*d_parameters, fake_images], d_derivative, allow_unused=True, materialize_grads=True
    )
    ratio = (g_fake / d_fake).view(-1, 1, 1, 1)
    g_grads = torch.autograd.grad(
        fake.images, g_parameters, at_images * ratio, allow_unused=True, materialize_grads=True
    )
    return d_grads, g_grads, step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits)


def _fakes_are_shared(context: UpdateContext) -> bool:
    """Whether both turns see the same z through the same G: the same images then, generated once."""
    return context.reuse_latents and not context.generator_eval


def _joint_logits(discriminator: nn.Module, real: Batch, fake: Batch) -> tuple[Tensor, Tensor]:
    """D's logits of real and of fake images, by one forward pass."""
    logits, count = class_logits(discriminator, concat(real, fake)), len(real.images)
    return logits[:count], logits[count:]


@torch.no_grad()
def constant_logits(discriminator: nn.Module, batch: Batch) -> Tensor:
    """D's logits [N] in training mode, without a graph; D's moving statistics stay."""
    with frozen_statistics(discriminator):
        return class_logits(discriminator, batch)


@torch.no_grad()
def generate_for_discriminator(context: UpdateContext, state: TrainState, inputs: GeneratorInput) -> Batch:
    """Fakes for D's turn, without a graph; G stays as it is, moving statistics too."""
    G = state.generator
    G.train(not context.generator_eval)
    with frozen_statistics(G):
        fake = generate_batch(G, inputs)
    G.train()
    return fake


def generator_step(context: UpdateContext, state: TrainState, fake: Batch, real: Batch) -> Tensor:
    """One G step, by its images, through D as it is; returns G's loss.

    D's moving statistics stay. The real images matter where the objective is paired.
    """
    D = state.discriminator
    with frozen_statistics(D):
        fake_logits = class_logits(D, fake)
    real_logits = constant_logits(D, real) if context.objective.paired else fake_logits
    loss = context.objective.generator_loss(real_logits, fake_logits)
    state.generator_optimizer.minimize(loss)
    return loss


def discriminator_step(
    context: UpdateContext, state: TrainState, loss: Tensor, real: Batch, fake: Batch, rng: RNG
) -> None:
    """One D step down `loss` and the penalties that are due."""
    grads = gradients(loss, state.discriminator_optimizer.parameters)
    state.discriminator_optimizer.step(add_penalties(context, state, real, fake, rng, grads))


def add_penalties(
    context: UpdateContext, state: TrainState, real: Batch, fake: Batch, rng: RNG, grads: Sequence[Tensor]
) -> Sequence[Tensor]:
    """D's gradients, plus those of the penalties that are due."""
    if not context.penalties:
        return grads
    with frozen_statistics(state.discriminator):
        more = penalty_gradients(
            context.penalties, state.discriminator, real, fake, rng.uniform,
            step=state.step, fraction=context.fraction(state.step),
        )  # fmt: skip
    return grads if more is None else [grad + extra for grad, extra in zip(grads, more, strict=True)]


@torch.no_grad()
def step_metrics(
    loss_real: Tensor,
    loss_fake: Tensor,
    loss_g: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    *,
    mean: bool = False,
) -> StepMetrics:
    """What is reported of a step: losses, and D's mean probabilities and accuracies.

    D's loss is the sum of its two parts, or their `mean`.
    """
    loss = loss_real + loss_fake
    real_accuracy, fake_accuracy = (real_logits > 0).float().mean(), (fake_logits <= 0).float().mean()
    return {
        "discriminator_loss": (loss / 2 if mean else loss).detach(),
        "discriminator_loss_real": loss_real.detach(),
        "discriminator_loss_fake": loss_fake.detach(),
        "generator_loss": loss_g.detach(),
        "real_probability": real_logits.sigmoid().mean(),
        "fake_probability": fake_logits.sigmoid().mean(),
        "real_accuracy": real_accuracy,
        "fake_accuracy": fake_accuracy,
        "discriminator_accuracy": (real_accuracy + fake_accuracy) / 2,
    }

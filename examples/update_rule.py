"""An update rule: the first WGAN's, five steps of a clipped critic for one of the generator.

    ganvas train mlp --data mnist-5k --plugin examples/update_rule.py \
        --set update.rule=clipped_critic --set objective=wasserstein \
        --set 'generator_optimizer={"kind": "rmsprop", "learning_rate": 5e-5}' \
        --set 'discriminator_optimizer={"kind": "rmsprop", "learning_rate": 5e-5}'

A step of ganvas is one batch of real images, so the generator moves in every fifth step. Every step returns
the same metrics, whether it moves or not.

Source: Arjovsky, Chintala and Bottou 2017, arXiv 1701.07875, algorithm 1.
"""

import torch

import ganvas
from ganvas.networks.conditioning import Batch, class_logits, generate_batch
from ganvas.networks.layers import frozen_statistics
from ganvas.training.state import TrainState
from ganvas.training.updates import (
    RNG,
    StepMetrics,
    UpdateContext,
    discriminator_step,
    generate_for_discriminator,
    generator_step,
    step_metrics,
)

CRITIC_STEPS = 5
LARGEST_WEIGHT = 0.01


@ganvas.register.update_rule("clipped_critic")
def clipped_critic(context: UpdateContext, state: TrainState, real: Batch, rng: RNG) -> StepMetrics:
    """One step of D; in every fifth, one of G after it."""
    discriminator = state.discriminator
    real = context.augment(real, state, rng)

    inputs = context.sample_inputs(context.batch_size, rng)
    fake = context.augment(generate_for_discriminator(context, state, inputs), state, rng)
    real_logits, fake_logits = class_logits(discriminator, real), class_logits(discriminator, fake)
    loss_real, loss_fake = context.objective.discriminator_loss(real_logits, fake_logits)
    discriminator_step(context, state, loss_real + loss_fake, real, fake, rng)
    with torch.no_grad():
        for weight in discriminator.parameters():
            weight.clamp_(-LARGEST_WEIGHT, LARGEST_WEIGHT)

    if (state.step + 1) % CRITIC_STEPS == 0:
        fake = generate_batch(state.generator, context.sample_inputs(context.batch_size, rng))
        loss_g = generator_step(context, state, context.augment(fake, state, rng), real)
    else:
        with torch.no_grad(), frozen_statistics(discriminator):
            real_logits, fake_logits = class_logits(discriminator, real), class_logits(discriminator, fake)
            loss_g = context.objective.generator_loss(real_logits, fake_logits)
    return step_metrics(loss_real, loss_fake, loss_g, real_logits, fake_logits)

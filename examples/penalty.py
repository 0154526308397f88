"""A penalty: WGAN-LP, which leaves a discriminator alone that is not too steep.

    ganvas train mlp --data mnist-5k --plugin examples/penalty.py \
        --set objective=wasserstein --set 'penalties=[{"kind": "wgan_lp", "weight": 10}]'

With g the gradient of D's logit at points on the lines from fake to real images:

    weight * E max(0, |g| - 1)^2

WGAN-GP, which is built in, has (|g| - 1)^2: it also pulls up a gradient shorter than 1.

Source: Petzka, Fischer and Lukovnikov 2018, arXiv 1709.08894.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import ganvas
from ganvas.networks.conditioning import Batch
from ganvas.training.penalties import Logits, Uniform


@ganvas.register.penalty("wgan_lp")
def wgan_lp(discriminator: Logits, real: Batch, fake: Batch, uniform: Uniform) -> Tensor:
    """The penalty without its weight, a scalar; the last batch of an epoch may have fewer real images."""
    pairs = min(len(real.images), len(fake.images))
    along = uniform(pairs, 1, 1, 1)
    images = torch.lerp(fake.images[:pairs], real.images[:pairs], along).requires_grad_()
    labels = None if real.labels is None else real.labels[:pairs]

    logits = discriminator(Batch(images, labels))
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    squared = gradient.float().square().sum((1, 2, 3))
    length = squared.clamp_min(1e-12).sqrt()  # the root has no derivative at 0
    return F.relu(length - 1).square().mean()

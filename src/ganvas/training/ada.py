"""ADA: the probability of augmentation follows how far D overfits.

Source: Karras et al. 2020, arXiv 2006.06676, section 3: the heuristic r_t, the mean sign of D's logits of
real images over four batches, is compared with a target; the probability moves at a fixed speed, from 0 to 1
in 500,000 images.
"""

from __future__ import annotations

import torch
from torch import Tensor

BATCHES = 4  # between two moves of the probability
IMAGES = 500_000  # in which it can go from 0 to 1


def initial_state() -> Tensor:
    """The state before the first step, float32 [3]: probability, sum of signs since its last move, images.

    It stays on the device, so that no step waits for it.
    """
    return torch.zeros(3)


@torch.no_grad()
def update_probability(adaptive: Tensor, sign: Tensor, images: int, target: float, step: int) -> None:
    """Add a step's signs to the state, and move the probability after every fourth step.

    Args:
        adaptive: the state, as `initial_state` makes it; changed in place.
        sign: the mean sign of D's logits of this step's real images.
        images: how many real images.
        target: the mean sign aimed at.
        step: steps before this one.
    """
    adaptive[1] += images * sign
    adaptive[2] += images
    if step % BATCHES == BATCHES - 1:
        probability, signs, count = adaptive.unbind()
        move = torch.sign(signs / count - target) * count / IMAGES
        adaptive[0] = (probability + move).clamp(0, 1)
        adaptive[1:] = 0

"""How often images are changed: as often as D shows that it learns its real images by heart.

Source: Karras et al. 2020, arXiv 2006.06676 (ADA), section 3: the mean sign of D's logits of real images,
taken over four batches, against a target; the probability moves by a fixed step, from 0 to 1 in 500,000
images at the quickest.
"""

from __future__ import annotations

import torch
from torch import Tensor

BATCHES = 4
IMAGES = 500_000

# What a state holds: the probability, the sum of signs since it was last moved, and their number. Tensors on
# the device: nothing waits for them.


def new() -> Tensor:
    """Before the first step: no image is changed."""
    return torch.zeros(3)


@torch.no_grad()
def adapt(adaptive: Tensor, sign: Tensor, images: int, target: float, step: int) -> None:
    """Take note of a step, and after every fourth move the probability.

    Args:
        adaptive: what the state holds; changed in place.
        sign: the mean sign of D's logits of the step's real images.
        images: how many these were.
        target: of the mean sign.
        step: steps before this one.
    """
    adaptive[1] += images * sign
    adaptive[2] += images
    if step % BATCHES == BATCHES - 1:
        probability, signs, count = adaptive.unbind()
        move = torch.sign(signs / count - target) * count / IMAGES
        adaptive[0] = (probability + move).clamp(0, 1)
        adaptive[1:] = 0

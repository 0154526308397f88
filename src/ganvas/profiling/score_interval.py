"""How often a run is scored while it trains, estimated from its operations."""

from __future__ import annotations

import math

from ganvas.networks import ImageShape
from ganvas.profiling import flops
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe, Scores

MAX_FRACTION = 0.05  # of the training time that scoring may take, where the recipe leaves it open

# The time model, as measured on two cores: MACs to score an image besides generating it, MACs per second in
# each precision (scores are always in fp32), and a constant per step.
SCORING_MACS = 100e6
MACS_PER_SECOND = {"fp32": 150e9, "bf16": 330e9}
STEP_SECONDS = 8e-3


def score_interval(recipe: Recipe, image_shape: ImageShape, steps_per_epoch: int, precision: str) -> int:
    """Steps from one score to the next: the recipe's interval, or whole epochs that make scores cheap.

    Estimated, not timed: the same run is scored at the same steps on every machine.
    """
    scores = recipe.scores or Scores()
    if scores.interval is not None:
        return to_steps(scores.interval, steps_per_epoch)
    try:
        step = step_seconds(recipe, image_shape, precision)
        macs = scores.images * (flops.sample_macs(recipe, image_shape) + SCORING_MACS)
    except RuntimeError:  # a user's network that cannot run on the meta device
        return steps_per_epoch
    return (
        math.ceil(macs / MACS_PER_SECOND["fp32"] / (MAX_FRACTION * step * steps_per_epoch)) * steps_per_epoch
    )


def step_seconds(recipe: Recipe, image_shape: ImageShape, precision: str) -> float:
    """Estimated seconds a training step on two processor cores.

    Raises:
        RuntimeError: a user's network that cannot run on the meta device.
    """
    return flops.step_macs(recipe, image_shape) / MACS_PER_SECOND[precision] + STEP_SECONDS

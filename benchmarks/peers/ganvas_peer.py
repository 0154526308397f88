"""A recipe in ganvas, as `ganvas train` runs it; prints seconds a step as JSON.

python ganvas_peer.py RECIPE STEPS WARM_UP fp32|bf16
"""

import json
import sys
import time

import numpy as np
import torch

import ganvas
from ganvas import recipes
from ganvas.data import ImageSet
from ganvas.data.batches import Batches
from ganvas.training import updates
from ganvas.training.loop import training_steps
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state


def main() -> None:
    """Time single steps."""
    name, steps, warmup, precision = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    recipe, cpu = recipes.load_recipe(name), torch.device("cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (60_000, 1, 28, 28), dtype=np.uint8)
    images = ImageSet("noise", pixels, None, (), "")
    batches = Batches(
        images, recipe.real_batch_size, order=recipe.sampling.order, drop_last=True, seed=0, device=cpu,
        steps_from=recipe.batch_size,
    )  # fmt: skip
    state = new_state(recipe, images.image_shape, 0, cpu)

    def random(step: int) -> StepRNG:
        return StepRNG(0, step, recipe.latent.size, recipe.latent.distribution, cpu)

    seconds, began = [], time.perf_counter()
    for progress in training_steps(
        state, updates.make_update(recipe), batches, random, pixel_range=recipe.pixel_range,
        until=warmup + steps, precision=precision,
    ):  # fmt: skip
        float(progress.metrics["generator_loss"])
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    print(json.dumps({"version": f"ganvas {ganvas.__version__}", "seconds": seconds[warmup:]}))


if __name__ == "__main__":
    main()

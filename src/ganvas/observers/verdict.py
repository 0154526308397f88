"""The discriminator's accuracy on some real and as many fake images, taken now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganvas.data.imageset import ImageSet
from ganvas.images import to_float
from ganvas.networks.classes import Batch, judged
from ganvas.networks.layers import inference
from ganvas.randomness import Stream, derived_seed
from ganvas.recipe import Recipe
from ganvas.sampling import draw_inputs
from ganvas.training.loop import Progress


@dataclass(frozen=True)
class Verdicts:
    """Observer: whenever `due`, judges `count` images of each kind and tells `log` and `say`."""

    images: ImageSet
    recipe: Recipe
    seed: int
    count: int
    due: Callable[[int], bool]
    epoch_of: Callable[[int], int]
    log: Callable[[dict[str, Any]], None]
    say: Callable[[str], None]

    def __call__(self, progress: Progress) -> None:
        """Judge if it is due."""
        if not self.due(progress.step):
            return
        state, step = progress.state, progress.step
        device = next(state.discriminator.parameters()).device
        seed = derived_seed(self.seed, Stream.VERDICT, step)
        count = min(self.count, len(self.images))
        index = np.sort(np.random.default_rng(seed).choice(len(self.images), count, replace=False))
        chosen = torch.from_numpy(np.ascontiguousarray(self.images.images[index])).to(device)
        labels = self.images.labels if self.recipe.classes else None
        classes = None if labels is None else torch.from_numpy(labels[index])  # the same for both kinds
        inputs = draw_inputs(self.recipe, count, seed, classes=classes).images.to(device)
        told = None if classes is None else classes.to(device)
        with inference(state.generator, state.discriminator):
            d, real_images = state.discriminator, to_float(chosen, self.recipe.pixel_range)
            real = judged(d, Batch(real_images, told)) > 0
            fake = judged(d, Batch(state.generator(inputs), told)) <= 0
        on_real, on_fake = float(real.float().mean()), float(fake.float().mean())
        epoch = self.epoch_of(step)
        self.log({"step": step, "epoch": epoch, "verdict_real": on_real, "verdict_fake": on_fake})
        self.say(
            f"epoch {epoch}: D is right on {on_real:.0%} of {count} real "
            f"and {on_fake:.0%} of {count} fake images"
        )

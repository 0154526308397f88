"""The discriminator's accuracy on some real and as many fake images, taken now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganvas.data.clusters import Labels
from ganvas.data.image_set import ImageSet
from ganvas.networks.conditioning import Batch, class_logits
from ganvas.networks.layers import inference
from ganvas.recipes.schema import Recipe
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream, derive_seed
from ganvas.training.sampling import sample_inputs
from ganvas.utils.images import to_float


@dataclass(frozen=True)
class DiscriminatorAccuracy:
    """Callback: whenever `due`, judges `count` images of each kind and tells `log` and `say`."""

    images: ImageSet
    labels: Labels | None
    recipe: Recipe
    seed: int
    count: int
    due: Callable[[int], bool]
    epoch_of: Callable[[int], int]
    log: Callable[[dict[str, Any]], None]
    say: Callable[[str], None]

    def __call__(self, progress: StepResult) -> None:
        """Judge if it is due."""
        if not self.due(progress.step):
            return
        state, step = progress.state, progress.step
        device = next(state.discriminator.parameters()).device
        seed = derive_seed(self.seed, Stream.ACCURACY, step)
        count = min(self.count, len(self.images))
        index = np.sort(np.random.default_rng(seed).choice(len(self.images), count, replace=False))
        chosen = torch.from_numpy(np.ascontiguousarray(self.images.images[index])).to(device)
        classes = None if self.labels is None else torch.from_numpy(self.labels[index])  # the same for both kinds
        inputs = sample_inputs(self.recipe, count, seed, classes=classes).z.to(device)
        on_device = None if classes is None else classes.to(device)
        with inference(state.generator, state.discriminator):
            d, real_images = state.discriminator, to_float(chosen, self.recipe.pixel_range)
            real = class_logits(d, Batch(real_images, on_device)) > 0
            fake = class_logits(d, Batch(state.generator(inputs), on_device)) <= 0
        on_real, on_fake = float(real.float().mean()), float(fake.float().mean())
        epoch = self.epoch_of(step)
        self.log(
            {"step": step, "epoch": epoch, "probe_real_accuracy": on_real, "probe_fake_accuracy": on_fake}
        )
        self.say(
            f"epoch {epoch}: D is right on {on_real:.0%} of {count} real "
            f"and {on_fake:.0%} of {count} fake images"
        )

"""The discriminator's accuracy on some real and as many fake images, measured now and then."""

from __future__ import annotations

import numpy as np
import torch

from ganvas.callbacks.base import Callback, TrainingContext
from ganvas.data.clusters import Labels
from ganvas.data.image_set import ImageSet
from ganvas.networks.conditioning import Batch, class_logits
from ganvas.networks.layers import inference
from ganvas.recipes.schema import AccuracyProbe
from ganvas.training.loop import StepResult
from ganvas.training.rng import Stream, derive_seed
from ganvas.training.sampling import sample_inputs
from ganvas.utils.images import to_float


class DiscriminatorAccuracy(Callback):
    """Measures D's accuracy on real and on fake images at the probe's interval, for `on_metrics`.

    Args:
        probe: images of each kind, and the interval.
        images: the training set.
        labels: int64 [N], what the networks are conditioned on, if on anything.
    """

    def __init__(self, probe: AccuracyProbe, images: ImageSet, labels: Labels | None) -> None:
        self._count, self._interval = min(probe.images, len(images)), probe.interval
        self._images, self._labels = images, labels

    def on_start(self, context: TrainingContext) -> None:
        """Set the schedule."""
        self._context = context
        self._is_due = context.schedule(context.to_steps(self._interval))

    def on_step(self, result: StepResult) -> None:
        """Measure if it is due."""
        if not self._is_due(result.step):
            return
        on_real, on_fake = self._measure(result)
        callbacks, epoch = self._context.callbacks, self._context.epoch_of(result.step)
        callbacks.on_metrics(result.step, {"probe_real_accuracy": on_real, "probe_fake_accuracy": on_fake})
        callbacks.on_message(
            f"epoch {epoch}: D is right on {on_real:.0%} of {self._count} real "
            f"and {on_fake:.0%} of {self._count} fake images"
        )

    def _measure(self, result: StepResult) -> tuple[float, float]:
        """The fractions of real and of fake images that D is right on."""
        recipe, count = self._context.recipe, self._count
        generator, discriminator = result.state.generator, result.state.discriminator
        device = next(discriminator.parameters()).device
        seed = derive_seed(self._context.seed, Stream.ACCURACY, result.step)
        index = np.sort(np.random.default_rng(seed).choice(len(self._images), count, replace=False))
        chosen = torch.from_numpy(np.ascontiguousarray(self._images.images[index])).to(device)
        # The fakes are of the same classes.
        classes = None if self._labels is None else torch.from_numpy(self._labels[index])
        inputs = sample_inputs(recipe, count, seed, classes=classes).z.to(device)
        on_device = None if classes is None else classes.to(device)
        real_images = to_float(chosen, recipe.pixel_range)
        with inference(generator, discriminator):
            real = class_logits(discriminator, Batch(real_images, on_device)) > 0
            fake = class_logits(discriminator, Batch(generator(inputs), on_device)) <= 0
        return float(real.float().mean()), float(fake.float().mean())

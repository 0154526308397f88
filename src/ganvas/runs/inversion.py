"""Which z makes this image? Projection of an image, or of a drawing, onto what a generator can make.

The nearest of many random samples are refined by gradient descent on z, first with noise on z that fades, as
in StyleGAN2's projector (Karras et al. 2020, arXiv 1912.04958, appendix D), and a prior that keeps z typical.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.errors import UserError
from ganvas.networks.conditioning import append_one_hot
from ganvas.runs.run import Run
from ganvas.training import sampling
from ganvas.utils.images import ImageArray, to_float

SAMPLES = 2_048  # random z to begin with
STARTS = 8  # of which so many are refined
STEPS = 120
_LEARNING_RATE = 0.1
_NOISE = 0.3  # standard deviation of the noise on z at the first step
_PRIOR = 2e-3  # weight of the mean square of z, beside the mean square error of pixels in -1 to 1
_REST = 2.0  # weight of the untouched pixels, where a sample is edited
_EDIT_PRIOR = 0.1
_SEED = 0


@dataclass(frozen=True)
class Projection:
    """The z whose image is nearest to a target.

    Attributes:
        z: float32 [Z].
        label: its class; None where the run has none.
        image: uint8 [C, H, W].
        error: root mean square difference from the target, in gray levels.
    """

    z: Tensor
    label: int | None
    image: ImageArray
    error: float


def project(
    run: Run,
    target: ImageArray,
    *,
    step: int | str | None = None,
    label: int | None = None,
    mask: ImageArray | None = None,
    start: Tensor | None = None,
) -> Projection:
    """The image of the generator that is nearest to `target`.

    Args:
        run: the run.
        target: uint8 [C, H, W], of the run's shape.
        step: of the checkpoint.
        label: the class; None tries all that come among the random samples.
        mask: uint8 [H, W]: where the target counts (above 0); None: everywhere.
        start: float32 [Z] to begin at and stay near, instead of random samples: to edit a sample.

    Raises:
        UserError: a target or mask of another shape, an unknown class.
    """
    _check(run, target, mask, label)
    search = _Search(run, run.raw_generator(step=step), target, mask, start)
    z, classes = _candidates(run, label, start)
    with torch.no_grad():
        parts = [
            (z[i : i + 256], None if classes is None else classes[i : i + 256]) for i in range(0, len(z), 256)
        ]
        best = torch.cat([search.errors(*part) for part in parts]).argsort()[:STARTS]
    z, classes = z[best].clone().requires_grad_(), None if classes is None else classes[best]
    search.refine(z, classes)
    with torch.no_grad():
        winner = int(search.errors(z, classes).argmin())
    chosen = None if classes is None else int(classes[winner])
    image = search.image(z.detach()[winner], chosen)
    counted = np.ones(target.shape[1:], bool) if mask is None else mask > 0
    difference = (image.astype(np.float64) - target)[:, counted]
    return Projection(z.detach()[winner], chosen, image, float(np.sqrt((difference**2).mean())))


def _check(run: Run, target: ImageArray, mask: ImageArray | None, label: int | None) -> None:
    shape = run.record.data.image_shape
    if target.shape != shape:
        raise UserError(f"target: expected an image {list(shape)}, got {list(target.shape)}")
    if mask is not None and (mask.shape != shape[1:] or not mask.any()):
        raise UserError(f"mask: expected {list(shape[1:])} with a pixel above 0, got {list(mask.shape)}")
    if label is not None and not 0 <= label < run.recipe.classes:
        raise UserError(f"label {label}: expected 0 to {run.recipe.classes - 1}")


class _Search:
    """Gradient descent on z, from random samples or from `start`.

    What an edit does not touch stays: beside the mean square error where the target counts stands that of the
    rest from the image of `start`, and the distance of z from it.
    """

    def __init__(
        self,
        run: Run,
        generator: nn.Module,
        target: ImageArray,
        mask: ImageArray | None,
        start: Tensor | None,
    ) -> None:
        self._recipe, self._generator, self._start = run.recipe, generator, start
        self._wanted = to_float(torch.from_numpy(target.copy())[None], (-1, 1))
        self._inside = torch.ones(target.shape[1:]) if mask is None else torch.from_numpy(mask > 0).float()
        self._outside = 1 - self._inside
        self._edited: Tensor | None = None  # the image of `start`

    def _images(self, z: Tensor, classes: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in -1 to 1."""
        low, high = self._recipe.pixel_range
        images: Tensor = (self._generator(self._inputs(z, classes)) - low) / (high - low) * 2 - 1
        return images

    def _inputs(self, z: Tensor, classes: Tensor | None) -> Tensor:
        return z if classes is None else append_one_hot(z, classes, self._recipe.classes)

    def image(self, z: Tensor, label: int | None) -> ImageArray:
        """The image uint8 [C, H, W] of one z."""
        inputs = self._inputs(z[None], None if label is None else torch.tensor([label]))
        image: ImageArray = sampling.generate(self._generator, inputs, self._recipe.pixel_range)[0]
        return image

    def errors(self, z: Tensor, classes: Tensor | None) -> Tensor:
        """Error of each z, float32 [N]."""
        images = self._images(z, classes)
        error = _mean_square(images - self._wanted, self._inside)
        if self._start is None or not self._outside.any():
            return error
        if self._edited is None:
            self._edited = images.detach()[:1]  # the first is asked for at the start
        return error + _REST * _mean_square(images - self._edited, self._outside)

    def refine(self, z: Tensor, classes: Tensor | None) -> None:
        """Move each z [N, Z] in place to where its error is least."""
        optimizer = torch.optim.Adam([z], lr=_LEARNING_RATE)
        generator = torch.Generator().manual_seed(_SEED)
        noise, prior = (_NOISE, _PRIOR) if self._start is None else (0.0, _EDIT_PRIOR)
        center = torch.zeros(z.shape[1]) if self._start is None else self._start
        for number in range(STEPS):
            fade = max(0.0, 1 - number / (0.75 * STEPS)) ** 2
            shaken = z + noise * fade * torch.randn(z.shape, generator=generator)
            loss = self.errors(shaken, classes).sum() + prior * (z - center).square().mean(1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _mean_square(difference: Tensor, weight: Tensor) -> Tensor:
    """Mean square over the pixels [H, W] that have weight, of each image [N, C, H, W]: [N]."""
    total = (difference.square() * weight).sum((1, 2, 3))
    return total / (weight.sum() * difference.shape[1])


def _candidates(run: Run, label: int | None, start: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Where the search begins: z float32 [N, Z] and their classes int64 [N]."""
    recipe = run.recipe
    if start is not None:
        if start.shape != (recipe.latent.size,):
            raise UserError(f"start: expected {recipe.latent.size} numbers, got {list(start.shape)}")
        classes = None if not recipe.classes else torch.tensor([label or 0])
        return start[None], classes
    inputs = sampling.sample_inputs(recipe, SAMPLES, _SEED, frequencies=run.record.class_frequencies)
    z = inputs.z[:, : recipe.latent.size]
    if inputs.labels is None:
        return z, None
    return z, inputs.labels if label is None else torch.full((SAMPLES,), label)


def saliency(
    run: Run, images: ImageArray, *, step: int | str | None = None, label: int | None = None
) -> Tensor:
    """How D's logit changes with each pixel of images uint8 [N, C, H, W]: float32 of the same shape.

    SmoothGrad: the mean gradient of 16 copies with noise of a tenth of the pixel range. Source: Smilkov et
    al. 2017, arXiv 1706.03825.
    """
    recipe, network = run.recipe, run.discriminator(step=step)
    low, high = recipe.pixel_range
    x = to_float(torch.from_numpy(images.copy()), recipe.pixel_range)
    noise, total = torch.Generator().manual_seed(_SEED), torch.zeros_like(x)
    for _ in range(16):
        shaken = (x + 0.1 * (high - low) * torch.randn(x.shape, generator=noise)).requires_grad_()
        logits = network(shaken)
        if logits.ndim == 2:
            logits = logits.amax(1) if label is None else logits[:, label]
        total += torch.autograd.grad(logits.sum(), shaken)[0]
    return total / 16

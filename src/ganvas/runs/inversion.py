"""Which z makes this image? Projection of an image, or of a drawing, onto what a generator can make.

The nearest of many random samples are refined by gradient descent on z, first with noise on z that fades, as
in StyleGAN2's projector (Karras et al. 2020, arXiv 1912.04958, appendix D), and a prior that keeps z typical.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
    shape, recipe = run.record.data.image_shape, run.recipe
    if target.shape != shape:
        raise UserError(f"target: expected an image {list(shape)}, got {list(target.shape)}")
    if mask is not None and mask.shape != shape[1:]:
        raise UserError(f"mask: expected {list(shape[1:])}, got {list(mask.shape)}")
    if label is not None and not 0 <= label < recipe.classes:
        raise UserError(f"label {label}: expected 0 to {recipe.classes - 1}")
    wanted = to_float(torch.from_numpy(target.copy())[None], (-1, 1))
    weight = torch.ones(shape[1:]) if mask is None else torch.from_numpy((mask > 0).astype("float32"))
    weight = weight / weight.mean().clamp(min=1e-6)
    generator = run.raw_generator(step=step)

    def images(z: Tensor, classes: Tensor | None) -> Tensor:
        inputs = z if classes is None else append_one_hot(z, classes, recipe.classes)
        low, high = recipe.pixel_range
        result: Tensor = (generator(inputs) - low) / (high - low) * 2 - 1
        return result

    def errors(made: Tensor) -> Tensor:
        return ((made - wanted).square() * weight).mean((1, 2, 3))

    z, classes = _candidates(run, label, start)
    with torch.no_grad():
        scored = torch.cat([
            errors(images(part, None if classes is None else classes[i * 256 : i * 256 + len(part)]))
            for i, part in enumerate(z.split(256))
        ])  # fmt: skip
    best = scored.argsort()[:STARTS]
    z, classes = z[best].clone().requires_grad_(), None if classes is None else classes[best]
    anchor = z.detach().clone()
    optimizer = torch.optim.Adam([z], lr=_LEARNING_RATE)
    noise = torch.Generator().manual_seed(_SEED)
    spread = 0.0 if start is not None else _NOISE
    for number in range(STEPS):
        fade = max(0.0, 1 - number / (0.75 * STEPS))
        shaken = z + spread * fade**2 * torch.randn(z.shape, generator=noise)
        away = z if start is None else 3 * (z - anchor)
        loss = errors(images(shaken, classes)).sum() + _PRIOR * away.square().mean(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        final = errors(images(z, classes))
    winner = int(final.argmin())
    chosen = None if classes is None else int(classes[winner])
    point = z.detach()[winner]
    inputs = point[None] if chosen is None else append_one_hot(
        point[None], torch.tensor([chosen]), recipe.classes
    )  # fmt: skip
    image = sampling.generate(generator, inputs, recipe.pixel_range)[0]
    difference = image.astype("float64") - target
    return Projection(point, chosen, image, float((difference**2).mean() ** 0.5))


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

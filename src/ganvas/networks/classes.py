"""What both players are told of classes: G as a part of its input, D by which of its logits counts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.networks.layers import inference
from ganvas.networks.spec import ImageShape


class Batch(NamedTuple):
    """Images float32 [n, C, H, W] in the pixel range; labels int64 [n], None where none are told."""

    images: Tensor
    labels: Tensor | None = None

    def detached(self) -> Batch:
        """The same images without their graph."""
        return Batch(self.images.detach(), self.labels)


def judged(d: nn.Module, batch: Batch) -> Tensor:
    """D's logits [n]: of each image as one of its class."""
    return of_class(d(batch.images), batch.labels)


def require_logits(d: nn.Module, image_shape: ImageShape, classes: int) -> None:
    """Refuse a discriminator, a user's own perhaps, that has not one logit for each class.

    Raises:
        RecipeError: what came instead.
    """
    if not classes:
        return
    weight = next(d.parameters())
    with inference(d):
        found = tuple(d(torch.zeros(2, *image_shape, device=weight.device)).shape)
    if found != (2, classes):
        raise RecipeError(
            f"classes {classes}: expected the discriminator's logits for 2 images to be of shape "
            f"{(2, classes)}, got {found}; give a logit for each class"
        )


def of_class(logits: Tensor, labels: Tensor | None) -> Tensor:
    """Logits [n] out of [n, K], each of its label; as they are where there are no labels."""
    return logits if labels is None else logits.gather(1, labels.unsqueeze(1)).squeeze(1)


def joined(*batches: Batch) -> Batch:
    """All of them in one."""
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(torch.cat([batch.images for batch in batches]), torch.cat(labels) if labels else None)


def with_class(z: Tensor, labels: Tensor, classes: int) -> Tensor:
    """What a conditional generator is given: z [n, Z] and the classes as one of K behind it."""
    return torch.cat([z, F.one_hot(labels, classes).to(z.dtype)], 1)

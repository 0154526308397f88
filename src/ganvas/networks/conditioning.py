"""Conditioning on classes: G gets the class as a one-hot vector behind z, D has a logit for each class.

Networks see classes only in the width of their first or last layer, so every network family, objective,
penalty and update rule works with them. Sources: Mirza and Osindero 2014, arXiv 1411.1784 (G); Miyato and
Koyama 2018, arXiv 1802.05637, equation 3 (D: the projection, with the shared part added to each row).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RecipeError
from ganvas.networks.layers import inference
from ganvas.networks.spec import ImageShape


class Batch(NamedTuple):
    """A batch of images.

    Attributes:
        images: float32 [N, C, H, W] in the pixel range.
        labels: int64 [N]; None where training is unconditional.
    """

    images: Tensor
    labels: Tensor | None = None

    def detach(self) -> Batch:
        """Return the batch with images detached from the graph."""
        return Batch(self.images.detach(), self.labels)


class GeneratorInput(NamedTuple):
    """The input of a generator.

    Attributes:
        z: float32 [N, Z]; with K classes [N, Z + K], the one-hot class behind z.
        labels: int64 [N], the same classes; None where training is unconditional.
    """

    z: Tensor
    labels: Tensor | None = None


def generate_batch(generator: nn.Module, inputs: GeneratorInput) -> Batch:
    """Return the images of G for these inputs, with their labels."""
    return Batch(generator(inputs.z), inputs.labels)


def class_logits(discriminator: nn.Module, batch: Batch) -> Tensor:
    """Return D's logits [N]: for each image the logit of its own class."""
    return select_class_logit(discriminator(batch.images), batch.labels)


def select_class_logit(logits: Tensor, labels: Tensor | None) -> Tensor:
    """Return logits [N] out of [N, K], each of its label; without labels the logits unchanged."""
    return logits if labels is None else logits.gather(1, labels.unsqueeze(1)).squeeze(1)


def concat(*batches: Batch) -> Batch:
    """Return the concatenation of batches, in order."""
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(torch.cat([batch.images for batch in batches]), torch.cat(labels) if labels else None)


def append_one_hot(z: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the input of a conditional generator, [N, Z + K]: z [N, Z], then the one-hot classes."""
    return torch.cat([z, F.one_hot(labels, num_classes).to(z.dtype)], 1)


class ConditionalGenerator(nn.Module):
    """A trained conditional generator with the signature `generator(z, labels=None)`.

    Args:
        network: maps [N, Z + K] to images.
        frequencies: of the K classes in the data; labels are drawn by them if none are given.
        sample_labels: (N, frequencies) -> int64 [N].
    """

    def __init__(
        self,
        network: nn.Module,
        frequencies: tuple[float, ...],
        sample_labels: Callable[[int, tuple[float, ...]], Tensor],
    ) -> None:
        super().__init__()
        self.network, self.frequencies, self._sample_labels = network, frequencies, sample_labels

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.frequencies)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images [N, C, H, W] for z float32 [N, Z] and labels int64 [N] (drawn if None)."""
        if labels is None:
            labels = self._sample_labels(len(z), self.frequencies).to(z.device)
        images: Tensor = self.network(append_one_hot(z, labels, self.num_classes))
        return images


def check_class_logits(discriminator: nn.Module, image_shape: ImageShape, num_classes: int) -> None:
    """Raise unless the discriminator has one logit per class.

    Raises:
        RecipeError: logits of another shape.
    """
    if not num_classes:
        return
    parameter = next(discriminator.parameters())
    with inference(discriminator):
        shape = tuple(discriminator(torch.zeros(2, *image_shape, device=parameter.device)).shape)
    if shape != (2, num_classes):
        raise RecipeError(
            f"classes {num_classes}: expected the discriminator's logits for 2 images to be of shape "
            f"{(2, num_classes)}, got {shape}; give a logit for each class"
        )

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


def check_networks(
    generator: nn.Module,
    discriminator: nn.Module,
    image_shape: ImageShape,
    input_size: int,
    num_classes: int,
) -> None:
    """Raise unless networks give what a training step needs, for two inputs in inference mode.

    Args:
        generator: maps [N, input_size] to images [N, *image_shape].
        discriminator: maps images to logits [N], or [N, num_classes] in conditional training.
        image_shape: (C, H, W).
        input_size: numbers in z and the one-hot class.
        num_classes: 0 in unconditional training.

    Raises:
        RecipeError: outputs of another shape or type.
    """
    device = next(generator.parameters()).device
    with inference(generator, discriminator):
        images = generator(torch.zeros(2, input_size, device=device))
        _check_output("generator", "images", images, (2, *image_shape))
        logits = discriminator(images)
        hint = "; give a logit for each class" if num_classes else ""
        _check_output("discriminator", "logits", logits, (2, num_classes) if num_classes else (2,), hint)


def _check_output(network: str, what: str, output: object, shape: tuple[int, ...], hint: str = "") -> None:
    if isinstance(output, Tensor) and output.is_floating_point() and tuple(output.shape) == shape:
        return
    got = type(output).__name__
    if isinstance(output, Tensor):
        got = f"{str(output.dtype).removeprefix('torch.')} of shape {tuple(output.shape)}"
    raise RecipeError(
        f"{network}: expected its {what} for 2 inputs to be float32 of shape {shape}, got {got}{hint}"
    )

"""`Batches.at(step)`: the real images of a step, as a function of (seed, step).

A set in memory is copied to the device once, as uint8, so that a batch is one gather there. A memory-mapped
set is gathered on the host, and only the batch is copied to the device.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganvas.data.image_set import ImageSet, take_images
from ganvas.errors import RecipeError

Indices = npt.NDArray[np.int64]


def steps_per_epoch(count: int, size: int, order: str, drop_last: bool, steps_from: int | None = None) -> int:
    """Number of batches in an epoch; see `Batches` for the arguments."""
    step_size = _step_size(size, order, steps_from)
    return count // step_size if drop_last else -(-count // step_size)


def _step_size(size: int, order: str, steps_from: int | None) -> int:
    """Images by which a step advances the epoch: `steps_from` applies to sampling with replacement only."""
    return steps_from if steps_from and order == "with_replacement" else size


class Batches:
    """Batches of uint8 images [n, C, H, W] on `device`.

    Args:
        images: the set, of N images.
        size: images per batch.
        order: "shuffle" (in a new order each epoch), "shuffle_once", or "with_replacement".
        drop_last: leave out the last, smaller batch of an epoch.
        seed: the order of the images is a function of it.
        device: where the batches are returned.
        steps_from: batch size from which the steps per epoch are computed, if not `size` (a discriminator
            that sees half a batch of real images still counts whole ones).
        labels: int64 [N], the labels to condition on; None: those of the set.
        num_classes: number of classes among the labels; 0 if the labels are not needed.

    Raises:
        RecipeError: a batch larger than the set, or labels that do not match the set or `num_classes`.
    """

    def __init__(
        self,
        images: ImageSet,
        size: int,
        *,
        order: str,
        drop_last: bool,
        seed: int,
        device: torch.device,
        steps_from: int | None = None,
        labels: Indices | None = None,
        num_classes: int = 0,
    ) -> None:
        count = len(images)
        step_size = _step_size(size, order, steps_from)
        if max(size, step_size) > count:
            raise RecipeError(
                f"batch_size {max(size, step_size)} is larger than the data set ({count} images in "
                f"{images.name}); try batch_size={max(count // 2, 1)}"
            )
        self.size, self.seed = size, seed
        self.steps_per_epoch = steps_per_epoch(count, size, order, drop_last, steps_from)
        self._order, self._count, self._device = order, count, device
        self._epoch: int | None = None
        self._permutation: Indices = np.empty(0, np.int64)
        self._array = images.images
        self._labels = _check_labels(images, labels, num_classes) if num_classes else None
        self._on_device: Tensor | None = None
        if not isinstance(images.images, np.memmap):
            # PyTorch accepts neither read-only arrays nor negative strides: np.require copies those.
            self._on_device = torch.from_numpy(np.require(images.images, requirements=["C", "W"])).to(device)

    def epoch_of(self, step: int) -> int:
        """Number of complete epochs after `step` steps."""
        return step // self.steps_per_epoch

    def at(self, step: int) -> Tensor:
        """The real images of step `step`, counted from 0: uint8 [n, C, H, W] on the device.

        Raises:
            MachineError: the file of a memory-mapped set was truncated or overwritten.
        """
        index = self.indices(step)
        if self._on_device is not None:
            return self._on_device[torch.from_numpy(index).to(self._device)]
        return torch.from_numpy(take_images(self._array, index)).to(self._device)

    def labels(self, step: int) -> Tensor | None:
        """The labels of the images of `at(step)`: int64 [n] on the device, or None without `num_classes`."""
        if self._labels is None:
            return None
        return torch.from_numpy(self._labels[self.indices(step)]).to(self._device)

    def indices(self, step: int) -> Indices:
        """Indices into the set of the images of `at(step)`: int64 [n]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order == "with_replacement":
            return self._generator(step).integers(self._count, size=self.size)
        shuffle = 0 if self._order == "shuffle_once" else epoch
        if self._epoch != shuffle:
            self._permutation = self._generator(shuffle).permutation(self._count)
            self._epoch = shuffle
        return self._permutation[position * self.size : (position + 1) * self.size]

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, index]))


def _check_labels(images: ImageSet, labels: Indices | None, num_classes: int) -> Indices:
    """The labels to condition on, int64 [N] in 0 ... num_classes - 1."""
    if labels is None or labels is images.labels:
        if images.labels is None:
            raise RecipeError(
                f"classes {num_classes}: {images.name} has no labels; a folder has them where each class is "
                f"a folder in it"
            )
        if images.num_classes != num_classes:
            raise RecipeError(
                f"classes {num_classes}: {images.name} has {images.num_classes}; leave classes out and "
                f"give conditional: then they are counted"
            )
        return images.labels
    if labels.dtype != np.int64 or labels.shape != (len(images),):
        raise RecipeError(
            f"labels: expected int64 [{len(images)}], one for each image of {images.name}, got "
            f"{labels.dtype} {list(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise RecipeError(
            f"labels: expected 0 to {num_classes - 1} for {num_classes} classes, got {low} to {high}"
        )
    return labels

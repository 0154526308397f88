"""`Batches.at(step)`: the real images of a step, as a function of (seed, step).

The set is held on the device as uint8 while it fits, so that a batch is one gather and one scaling there; a
memory-mapped set is gathered on the host and only the batch travels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganvas.data.imageset import ImageSet
from ganvas.errors import RecipeError
from ganvas.memory import unmap_read

Indices = npt.NDArray[np.int64]

# Images read of a mapped file before their pages are let go of: the system maps up to a megabyte around each.
AT_ONCE = 32


def steps_per_epoch(
    count: int, size: int, order: str, partial_batch: str, steps_from: int | None = None
) -> int:
    """How many batches make an epoch; see `Batches` for the arguments."""
    counted = _counted(size, order, steps_from)
    return -(-count // counted) if partial_batch == "keep" else count // counted


def _counted(size: int, order: str, steps_from: int | None) -> int:
    """Images that count as a step: where they are drawn one by one, an epoch counts whole batches."""
    return steps_from if steps_from and order == "with_replacement" else size


class Batches:
    """Batches of uint8 images [n, C, H, W] on `device`.

    Args:
        images: the set.
        size: images a batch.
        order: "reshuffled" each epoch, "shuffled_once", or "with_replacement".
        partial_batch: "keep" or "drop" the last, smaller batch of an epoch.
        classes: how many `labels` tell apart, where they are wanted; else 0.
        steps_from: how many images make an epoch's step, if not `size` (a discriminator that sees half
            a batch of real images still counts whole ones).
        seed: what the order comes from.
        device: where the batches are wanted.

    Raises:
        RecipeError: a batch larger than the set, or other classes than the set's.
    """

    def __init__(
        self,
        images: ImageSet,
        size: int,
        *,
        order: str,
        partial_batch: str,
        seed: int,
        device: torch.device,
        steps_from: int | None = None,
        classes: int = 0,
    ) -> None:
        count = len(images)
        counted = _counted(size, order, steps_from)
        if max(size, counted) > count:
            raise RecipeError(
                f"batch_size {max(size, counted)} is larger than the data set ({count} images in "
                f"{images.name}); try --set batch_size={max(count // 2, 1)}"
            )
        self.size, self.seed = size, seed
        self.steps_per_epoch = steps_per_epoch(count, size, order, partial_batch, steps_from)
        self._order, self._count, self._device = order, count, device
        self._epoch: int | None = None
        self._permutation: Indices = np.empty(0, np.int64)
        self._mapped = isinstance(images.images, np.memmap)
        self._array = images.images
        self._labels = _labels(images, classes)
        self._held: Tensor | None = None
        if not self._mapped:
            # PyTorch takes neither read-only arrays nor flipped ones: those are copied.
            self._held = torch.from_numpy(np.require(images.images, requirements=["C", "W"])).to(device)

    def epoch_of(self, step: int) -> int:
        """Whole epochs done after `step` steps."""
        return step // self.steps_per_epoch

    def at(self, step: int) -> Tensor:
        """The real images of the step after `step` steps: uint8 [n, C, H, W] on the device."""
        index = self.indices(step)
        if self._held is not None:
            return self._held[torch.from_numpy(index).to(self._device)]
        # Read forwards through the mapped file, then put into the order that a held set would give.
        order = np.argsort(index)
        batch = np.empty((len(index), *self._array.shape[1:]), np.uint8)
        for rows in np.array_split(order, -(-len(order) // AT_ONCE)):
            batch[rows] = self._array[index[rows]]
            unmap_read(self._array)
        return torch.from_numpy(batch).to(self._device)

    def labels(self, step: int) -> Tensor | None:
        """The classes of the same images, int64 [n] on the device; None where they are not wanted."""
        if self._labels is None:
            return None
        return torch.from_numpy(self._labels[self.indices(step)]).to(self._device)

    def indices(self, step: int) -> Indices:
        """Which images these are: int64 [n]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order == "with_replacement":
            return self._random(step).integers(self._count, size=self.size)
        drawn = 0 if self._order == "shuffled_once" else epoch
        if self._epoch != drawn:
            self._permutation = self._random(drawn).permutation(self._count)
            self._epoch = drawn
        return self._permutation[position * self.size : (position + 1) * self.size]

    def _random(self, where: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, where]))


def _labels(images: ImageSet, classes: int) -> Indices | None:
    if not classes:
        return None
    if images.labels is None:
        raise RecipeError(
            f"classes {classes}: {images.name} has no labels; a folder has them where each class is a folder "
            f"in it"
        )
    if images.num_classes != classes:
        raise RecipeError(
            f"classes {classes}: {images.name} has {images.num_classes}; say --conditional and they are "
            f"counted"
        )
    return images.labels

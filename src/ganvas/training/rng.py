"""Random numbers as a function of (seed, step), never of what was drawn before.

Whatever asks, in whatever order, resumed or not, gets the same numbers: a callback cannot disturb training,
and a resumed run continues to the same bits.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.networks.layers import Dropout


class Stream(enum.IntEnum):
    """What random numbers are for: streams of one seed and step are independent.

    The numbers decide what a seed gives: never reassign them.
    """

    WEIGHTS = 0
    BATCHES = 1
    LATENTS = 2
    DROPOUT = 3
    GRID = 4
    SAMPLE = 5
    ACCURACY = 6
    SCORE = 7
    UNIFORM = 8
    LABELS = 9
    CLUSTERS = 10
    GLOBAL = 11


def derive_seed(seed: int, stream: Stream, *where: int) -> int:
    """A 63-bit seed for each (seed, stream, where)."""
    words = ",".join(str(int(w)) for w in (seed, stream, *where))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


def sample_latents(
    count: int, size: int, distribution: str, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Z float32 [count, size]: N(0, 1) for "normal", U(-1, 1) for "uniform"."""
    z = torch.empty(count, size, device=device)
    if distribution == "uniform":
        return z.uniform_(-1, 1, generator=generator)
    return z.normal_(generator=generator)


def sample_labels(count: int, frequencies: Sequence[float], generator: np.random.Generator) -> Tensor:
    """Classes int64 [count], each as often as its frequency says; the first are the same for every count."""
    ends = np.cumsum(np.asarray(frequencies, np.float64))
    labels = np.searchsorted(ends / ends[-1], generator.random(count), side="right")
    return torch.from_numpy(np.minimum(labels, len(ends) - 1).astype(np.int64))


@contextmanager
def seeded_global_rng(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within, PyTorch's global generators start at `seed`; afterwards they are as they were."""
    cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        seed_global_rng(seed, device)
        yield


def seed_global_rng(seed: int, device: torch.device | None = None) -> None:
    """Seed PyTorch's global generator of the CPU and, where that is a GPU, of `device`."""
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


class StepRNG:
    """The random numbers of one training step.

    Args:
        seed: of the run.
        step: steps before this one.
        latent_size: Z.
        distribution: of z; see `sample_latents`.
        device: where the numbers are wanted.
        frequencies: of the classes, where training is conditional.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        latent_size: int,
        distribution: str,
        device: torch.device,
        frequencies: Sequence[float] = (),
    ) -> None:
        self._seed, self._step, self._device, self._frequencies = seed, step, device, frequencies
        self._latent_size, self._distribution = latent_size, distribution
        self._labels = np.random.default_rng(derive_seed(seed, Stream.LABELS, step))
        self._latents = torch.Generator(device)
        self._latents.manual_seed(derive_seed(seed, Stream.LATENTS, step))
        self._uniform = torch.Generator(device)
        self._uniform.manual_seed(derive_seed(seed, Stream.UNIFORM, step))

    def latents(self, count: int) -> Tensor:
        """The next `count` z of this step, float32 [count, Z]."""
        return sample_latents(count, self._latent_size, self._distribution, self._latents, self._device)

    def labels(self, count: int) -> Tensor:
        """The next `count` classes of this step, int64 [count]."""
        return sample_labels(count, self._frequencies, self._labels).to(self._device)

    def uniform(self, *shape: int) -> Tensor:
        """The next U(0, 1) of this step for penalties and augmentation, float32 of this shape."""
        return torch.rand(shape, generator=self._uniform, device=self._device)

    def seed_layers(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Start what random layers draw in this step.

        ganvas's own dropout has generators of its own. Every other random layer (`nn.Dropout`, noise added by
        a network of the user's) draws from PyTorch's global generator, which is therefore seeded too.
        """
        seed_global_rng(derive_seed(self._seed, Stream.GLOBAL, self._step), self._device)
        dropouts = [
            m for network in (discriminator, generator) for m in network.modules() if isinstance(m, Dropout)
        ]
        for i, layer in enumerate(dropouts):
            layer.reseed(derive_seed(self._seed, Stream.DROPOUT, self._step, i), self._device)

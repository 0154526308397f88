"""Random numbers as a function of (seed, step), never of what was drawn before.

Whatever asks, in whatever order, resumed or not, gets the same numbers: so an observer cannot disturb
training, and a resumed run goes on to the same bits.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.networks.layers import Dropout


class Stream(enum.IntEnum):
    """What the numbers are for: streams of one seed and step are independent."""

    WEIGHTS = 0
    BATCHES = 1
    LATENTS = 2
    DROPOUT = 3
    GRID = 4
    SAMPLE = 5
    VERDICT = 6
    SCORE = 7
    UNIFORM = 8
    LABELS = 9
    CLUSTERS = 10


def derived_seed(seed: int, stream: Stream, *where: int) -> int:
    """A 63-bit seed of its own for each (seed, stream, where)."""
    words = ",".join(str(int(w)) for w in (seed, stream, *where))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


def latents(
    count: int, size: int, distribution: str, source: torch.Generator, device: torch.device
) -> Tensor:
    """Z float32 [count, size]: N(0, 1) for "normal", U(-1, 1) for "uniform"."""
    z = torch.empty(count, size, device=device)
    if distribution == "uniform":
        return z.uniform_(-1, 1, generator=source)
    return z.normal_(generator=source)


def labels(count: int, shares: Sequence[float], source: np.random.Generator) -> Tensor:
    """Classes int64 [count], each as often as its share of the whole says.

    The first labels are the same for every count.
    """
    ends = np.cumsum(np.asarray(shares, np.float64))
    found = np.searchsorted(ends / ends[-1], source.random(count), side="right")
    return torch.from_numpy(np.minimum(found, len(ends) - 1).astype(np.int64))


class StepRandom:
    """The random numbers of one training step.

    Args:
        seed: of the run.
        step: steps before this one.
        latent_size: Z.
        distribution: of z; see `latents`.
        device: where they are wanted.
        shares: how often each class comes, where classes are told.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        latent_size: int,
        distribution: str,
        device: torch.device,
        shares: Sequence[float] = (),
    ) -> None:
        self._seed, self._step, self._device, self._shares = seed, step, device, shares
        self._labels_source = np.random.default_rng(derived_seed(seed, Stream.LABELS, step))
        self._latent_size, self._distribution = latent_size, distribution
        self._source = torch.Generator(device)
        self._source.manual_seed(derived_seed(seed, Stream.LATENTS, step))
        self._uniform_source = torch.Generator(device)
        self._uniform_source.manual_seed(derived_seed(seed, Stream.UNIFORM, step))

    def latents(self, count: int) -> Tensor:
        """The next `count` z of this step, float32 [count, Z]."""
        size, distribution = self._latent_size, self._distribution
        return latents(count, size, distribution, self._source, self._device)

    def labels(self, count: int) -> Tensor:
        """The next `count` classes of this step, int64 [count]."""
        return labels(count, self._shares, self._labels_source).to(self._device)

    def uniform(self, *shape: int) -> Tensor:
        """The next U(0, 1) of this step for penalties and augmentation, float32 of this shape."""
        return torch.rand(shape, generator=self._uniform_source, device=self._device)

    def seed_dropout(self, network: nn.Module) -> None:
        """Start the masks of every dropout layer anew for this step."""
        layers = (m for m in network.modules() if isinstance(m, Dropout))
        for i, layer in enumerate(layers):
            layer.reseed(derived_seed(self._seed, Stream.DROPOUT, self._step, i), self._device)

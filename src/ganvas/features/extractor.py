"""What a feature extractor is, and how a network becomes one: piece by piece over any number of images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganvas.data.image_set import validate_image_shape
from ganvas.errors import DataError
from ganvas.networks.layers import inference

_PIECE_BYTES = 32 * 2**20


class Extractor(Protocol):
    """Images in, features out. Two scores belong together if name and version are the same."""

    @property
    def name(self) -> str:
        """As in `ganvas.features.NAMES`."""

    @property
    def version(self) -> str:
        """12 hex digits: SHA-256 over the parameters and the version of how images are prepared."""

    @property
    def dimensions(self) -> int:
        """D, the features of an image."""

    @property
    def comparable(self) -> bool:
        """False where the network was fitted on the user's own set: its scores mean nothing elsewhere."""

    def __call__(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Images uint8 [N, C, H, W], memory-mapped ones too -> features float32 [N, D] on the CPU."""


class NetworkExtractor:
    """An `Extractor` of a network that takes images uint8 [n, C, H, W] as they are.

    Args:
        name: see `Extractor.name`.
        network: with its own preparation of the images; it is moved to `device` and kept.
        preparation: what the version says of that preparation; a change of it is a change here.
        dimensions: D.
        comparable: see `Extractor.comparable`.
        device: where to compute.
        at_once: most images that the network is given at a time; fewer of big ones.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        *,
        preparation: str,
        dimensions: int,
        comparable: bool,
        device: torch.device | str = "cpu",
        at_once: int = 250,
    ) -> None:
        self.name, self.dimensions, self.comparable = name, dimensions, comparable
        self.version = digest(network.state_dict(), preparation)[:12]
        self.device, self.at_once = torch.device(device), at_once
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Images uint8 [N, C, H, W] of 8 to 256 pixels, C 1 or 3 -> features float32 [N, D] on the CPU.

        Raises:
            DataError: other images than these.
        """
        if images.dtype != np.uint8:
            raise DataError(f"{self.name}: expected uint8 images, got {images.dtype}; scale them to 0..255")
        count, *shape = validate_image_shape(images.shape, self.name)
        rows = max(1, min(self.at_once, _PIECE_BYTES // (4 * int(np.prod(shape)))))
        features = torch.empty(count, self.dimensions)
        # A GPU's TF32 would round features to three digits: scores of two machines would differ by it.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with inference(self.network), exact:
            for start in range(0, count, rows):
                # Copied: a memory map is read a piece at a time, and may not be written, which torch needs.
                piece = torch.from_numpy(np.array(images[start : start + rows])).to(self.device)
                features[start : start + rows] = self.network(piece)
        return features


def digest(tensors: Mapping[str, Tensor], *words: str) -> str:
    """SHA-256 (hex) over tensors, in the order of their names, and words."""
    result = hashlib.sha256("\n".join(words).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        result.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        result.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return result.hexdigest()

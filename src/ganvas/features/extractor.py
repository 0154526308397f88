"""Feature extractors: the protocol, an extractor made of a network, and the preprocessing of images.

Nothing is rounded to whole pixel values in preprocessing, and images are downsampled with antialiasing: both
change scores as much as real defects of a generator do. Source: Parmar et al. 2022, arXiv 2104.11222.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.data.image_set import validate_image_shape
from ganvas.data.mapped_files import check_unchanged
from ganvas.errors import DataError
from ganvas.networks.layers import inference

_PIECE_BYTES = 32 * 2**20


class Extractor(Protocol):
    """From images to features. Scores are comparable if name and version are equal."""

    @property
    def name(self) -> str:
        """As in `ganvas.features.feature_names()`."""

    @property
    def version(self) -> str:
        """12 hex digits: SHA-256 of the parameters and of the description of the preprocessing."""

    @property
    def dimensions(self) -> int:
        """D, the features of an image."""

    @property
    def comparable(self) -> bool:
        """False for a network fitted on the user's own set: its scores are meaningful on that set alone."""

    def __call__(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Images uint8 [N, C, H, W], memory-mapped ones too -> features float32 [N, D] on the CPU."""


class NetworkExtractor:
    """An `Extractor` of a network that takes images uint8 [n, C, H, W] as they are.

    Args:
        name: see `Extractor.name`.
        network: from raw images to features, preprocessing included; it is moved to `device`.
        preprocessing: describes the preprocessing; part of the version, so change it with the preprocessing.
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
        preprocessing: str,
        dimensions: int,
        comparable: bool,
        device: torch.device | str = "cpu",
        at_once: int = 250,
    ) -> None:
        self.name, self.dimensions, self.comparable = name, dimensions, comparable
        self.version = digest(network.state_dict(), preprocessing)[:12]
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
        # TF32 on a GPU rounds features to three digits: the scores of two machines would differ.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with inference(self.network), exact:
            for start in range(0, count, rows):
                check_unchanged(images)
                # Copied, since torch needs a writable array and a memory map is read-only.
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


def gray(images: Tensor) -> Tensor:
    """Images [N, C, H, W], 0 to 255 -> their luma of ITU-R BT.601, float32 [N, 1, H, W], 0 to 255.

    The weights 0.299, 0.587 and 0.114 are rounded to multiples of 1/65536: every sum of bytes is
    exact in float32, so that three equal channels give exactly what one gives.
    """
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.float().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue) / 65536).unsqueeze(1)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Images [N, C, H, W] -> float32 with 1 channel (luma) or 3 (gray three times), 0 to 255."""
    if channels == 1:
        return gray(images)
    return images.float().expand(-1, channels, -1, -1)


def resized(images: Tensor, side: int, mode: str = "bilinear") -> Tensor:
    """Images float32 [N, C, H, W] -> [N, C, side, side], antialiased; unchanged at that size."""
    if images.shape[2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode=mode, align_corners=False, antialias=True)


class Preprocessed(nn.Module):
    """A network of float32 [N, channels, side, side] in [0, 1], applied to uint8 images of any size."""

    def __init__(self, network: nn.Module, channels: int, side: int) -> None:
        super().__init__()
        self.network, self.channels, self.side = network, channels, side

    def forward(self, images: Tensor) -> Tensor:
        """Images uint8 [N, C, H, W] -> the network's output."""
        result: Tensor = self.network(resized(with_channels(images, self.channels), self.side) / 255)
        return result

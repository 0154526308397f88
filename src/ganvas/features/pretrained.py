"""The extractors inception and dinov2: networks pretrained on photographs, through timm.

The extra `ganvas[pretrained]`; only this file imports it. timm fetches weights as safetensors from its
hub the first time. Both networks know photographs, not digits: for small gray images prefer gv1.

- inception: Inception-v3, Szegedy et al. 2016, arXiv 1512.00567, the 2048 means before its classes.
  The weights are timm's, not those of the TensorFlow graph of 2015 that Heusel et al. 2017 (arXiv
  1706.08500) named FID after, and images are upsampled with antialiased bicubic interpolation.
  Scores are therefore not comparable with those of papers, only with others of ganvas.
- dinov2: DINOv2 ViT-S/14, Oquab et al. 2023, arXiv 2304.07193, its 384 class-token features; the network
  that Stein et al. 2023, arXiv 2306.04675, find closest to human judgment of generators (they use a
  larger one of the same family).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganvas.errors import GanvasError, MachineError, UserError
from ganvas.features.extractor import NetworkExtractor, resized, with_channels

OFFLINE = "gv1 and gv1-color work without it, offline"


@dataclass(frozen=True)
class Pretrained:
    """A network of timm's.

    Attributes:
        model: its name there, with the tag of its weights.
        side: pixels that images are brought to.
        at_once: images that it is given at a time.
        options: what else is passed to `timm.create_model`.
    """

    model: str
    side: int
    at_once: int
    options: dict[str, int]


KNOWN = {
    "inception": Pretrained("inception_v3.tf_in1k", 299, 16, {}),
    "dinov2": Pretrained("vit_small_patch14_dinov2.lvd142m", 224, 16, {"img_size": 224}),
}


class Normalized(nn.Module):
    """A network of images float32 [N, 3, side, side], normalized, for images uint8 of any kind."""

    def __init__(self, network: nn.Module, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network, self.side = network, side
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images uint8 [N, C, H, W] -> features float32 [N, D]."""
        # Bicubic interpolation overshoots at edges: clipped to the range of pixels.
        x = resized(with_channels(images, 3), self.side, "bicubic").clamp(0, 255) / 255
        result: Tensor = self.network((x - self.mean) / self.std)
        return result


def extractor(name: str, device: torch.device | str = "cpu") -> NetworkExtractor:
    """The extractor "inception" or "dinov2".

    Raises:
        UserError: timm is not installed.
        MachineError: it, or torchvision which it needs, cannot be imported here, or its weights are not
            on this machine and cannot be fetched.
    """
    known = KNOWN[name]
    timm = _timm(name)
    try:
        network = timm.create_model(known.model, pretrained=True, num_classes=0, **known.options)
        facts = network.pretrained_cfg
        ready = Normalized(network, known.side, facts["mean"], facts["std"]).requires_grad_(False)
        return NetworkExtractor(
            name,
            ready,
            preprocessing=f"{known.model}: antialiased bicubic to {known.side}, normalized, 1",
            dimensions=int(network.num_features),
            comparable=True,
            device=device,
            at_once=known.at_once,
        )
    except GanvasError:
        raise
    except Exception as error:  # the hub's client and its HTTP libraries have exceptions of their own
        raise MachineError(
            f"{name}: the weights {known.model} are not on this machine and could not be fetched "
            f"({_one_line(error)}); try again with a network, or use gv1: {OFFLINE}"
        ) from error


def _timm(name: str) -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name == "timm":
            raise UserError(
                f"{name} needs timm, which is not installed: pip install 'ganvas[pretrained]'; {OFFLINE}"
            ) from None
        raise _unusable(name, error) from error
    except Exception as error:  # a torchvision of another build fails with RuntimeError, and in other ways
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> MachineError:
    return MachineError(
        f"{name} needs timm, which cannot be imported here ({_one_line(error)}); torchvision must be of the "
        f"same build as torch {torch.__version__}: install both again from one source; {OFFLINE}"
    )


def _one_line(error: Exception) -> str:
    """An exception on one line, its message cut at 160 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"

"""gv1: the frozen feature network that ships with ganvas, and the extractor of this name.

A small classifier of MNIST's and Fashion-MNIST's 20 classes, trained once on both official training
splits together by `scripts/train_gv1.py`; the activations of its last hidden layer are the 128 features. It
is frozen, because networks trained with different seeds rank defects differently, such as noise against a
missing class. Images of any size and color are reduced to gray ones of 28 pixels first.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from importlib import resources

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import MachineError
from ganvas.features.extractor import NetworkExtractor, Preprocessed

NAME = "gv1"
PREPROCESSING = "gv1: luma of BT.601, antialiased bilinear to 28, 1"
SHA256 = "ca16e3a8ac6e0901aba1573acda5660e77ef56b42b560917f4c92ec959010038"
DIMENSIONS = 128
SIDE = 28
CLASSES = 20
FIRST_CLASS = {"mnist": 0, "mnist-5k": 0, "fashion-mnist": 10}
"""The index of the first class of each data set whose classes the network knows."""


class Gv1(nn.Module):
    """Images float32 [N, 1, 28, 28] in [0, 1] -> features float32 [N, 128].

    Four 3x3 convolutions, each with a ReLU (the batch norms of training are folded into them), means
    over 3x3 fields, and a dense layer. Features have a mean variance of 1 over both training splits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(1, 32, 3, padding=1),
                nn.Conv2d(32, 64, 3, padding=1, stride=2),
                nn.Conv2d(64, 128, 3, padding=1, stride=2),
                nn.Conv2d(128, 128, 3, padding=1),
            ]
        )
        self.hidden = nn.Linear(128 * 9, DIMENSIONS)
        self.classes = nn.Linear(DIMENSIONS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features."""
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        features: Tensor = self.hidden(F.avg_pool2d(x, 3, stride=2).flatten(1))
        return features

    def logits(self, features: Tensor) -> Tensor:
        """Features [N, 128] -> logits [N, 20]: the digits 0 to 9, then Fashion-MNIST's classes."""
        result: Tensor = self.classes(F.relu(features))
        return result


@functools.cache
def network() -> Gv1:
    """The network with its shipped parameters, in inference mode.

    Raises:
        MachineError: the file in the installed package is not the one that ganvas was released with.
    """
    content = (resources.files("ganvas.features") / "gv1.safetensors").read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != SHA256:
        raise MachineError(
            f"ganvas's feature network gv1 is damaged: expected SHA-256 {SHA256[:12]}..., got {got[:12]}...; "
            f"install ganvas again"
        )
    result = Gv1()
    result.load_state_dict(safetensors.torch.load(content))
    return result.requires_grad_(False).eval()


def preprocessed_network() -> Preprocessed:
    """A copy of the network for images uint8 [N, C, H, W] -> features float32 [N, 128].

    Raises:
        MachineError: the file in the installed package is damaged.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw initial parameters before the shipped ones are read
        shipped = network()
    return Preprocessed(copy.deepcopy(shipped), channels=1, side=SIDE)


def extractor(device: torch.device | str = "cpu") -> NetworkExtractor:
    """The extractor "gv1".

    Raises:
        MachineError: the file in the installed package is damaged.
    """
    return NetworkExtractor(
        NAME,
        preprocessed_network(),
        preprocessing=PREPROCESSING,
        dimensions=DIMENSIONS,
        comparable=True,
        device=device,
    )

"""The extractor gv1: images of any size as gray ones of 28 pixels, seen by the network that ships."""

from __future__ import annotations

import copy

import torch

from ganvas.features import gv1
from ganvas.features.extractor import NetworkExtractor
from ganvas.features.preprocess import Preprocessed

PREPARATION = "gv1: luma of BT.601, antialiased bilinear to 28, 1"


def network() -> Preprocessed:
    """Images uint8 [N, C, H, W] -> gv1's features float32 [N, 128]; a copy, free to be moved.

    Raises:
        MachineError: the file in the installed package is damaged.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw initial parameters before the shipped ones are read
        shipped = gv1.network()
    return Preprocessed(copy.deepcopy(shipped), channels=1, side=gv1.SIDE)


def extractor(device: torch.device | str = "cpu") -> NetworkExtractor:
    """The extractor "gv1"; see `ganvas.features.gv1` for what the network is.

    Raises:
        MachineError: the file in the installed package is damaged.
    """
    return NetworkExtractor(
        gv1.NAME,
        network(),
        preparation=PREPARATION,
        dimensions=gv1.DIMENSIONS,
        comparable=True,
        device=device,
    )

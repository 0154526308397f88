"""The extractors fitted-classifier and fitted-contrast: fitted once on the user's set, then cached.

A cached network is stored with a SHA-256 checksum of its parameters and metadata; one that is damaged, or of
other images, is fitted again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from ganvas.data import ImageSet
from ganvas.data.files import CACHE_HINT, cache_folder
from ganvas.errors import UserError
from ganvas.features.extractor import NetworkExtractor, Preprocessed, digest
from ganvas.features.fitting import (
    DIMENSIONS,
    SIDE,
    Classes,
    Contrast,
    FittedNetwork,
    Task,
    empty_module,
    fit_network,
    training_images,
)
from ganvas.utils.io import atomic_write

RECIPE = 1
"""Version of how these networks are built and fitted: raise it with every change of that."""
MIN_IMAGES = 24


def extractor(
    name: str,
    images: ImageSet,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> NetworkExtractor:
    """The extractor `name`, "fitted-classifier" or "fitted-contrast", fitted on `images`.

    Args:
        name: the first learns to classify the labels, the second needs none.
        images: any set; the network sees it at 32 pixels, without finer detail.
        device: where features are computed. Fitting takes one to three minutes, always on the CPU.
        progress: called as (step, steps) while it is fitted; not when it comes from the cache.

    Raises:
        UserError: fewer than 24 images; for fitted-classifier, labels of fewer than two classes.
        StorageError: the cache cannot be written.
    """
    _check(name, images)
    facts = {"network": name, "recipe": str(RECIPE), "fingerprint": images.fingerprint}
    path = cache_folder() / "features" / f"{name}-{RECIPE}-{images.fingerprint[:16]}.safetensors"
    network = _cached(path, images.image_shape[0], facts)
    if network is None:
        # Opened first: a cache that cannot be written is reported before the fit, not after it.
        with atomic_write(path, hint=CACHE_HINT) as stream:
            chosen, index = training_images(images)
            network = fit_network(chosen, _task(name, images, index), progress)
            tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
            facts["sha256"] = _checksum(network, facts)
            stream.write(safetensors.torch.save(tensors, facts))
    return NetworkExtractor(
        name,
        Preprocessed(network, images.image_shape[0], SIDE),
        preprocessing=f"{name}: antialiased bilinear to {SIDE}, {RECIPE}",
        dimensions=DIMENSIONS,
        comparable=False,
        device=device,
    )


def _check(name: str, images: ImageSet) -> None:
    if len(images) < MIN_IMAGES:
        raise UserError(
            f"{name}: expected {MIN_IMAGES} images or more to fit on, got {len(images)} in {images.name}; "
            "use gv1 or gv1-color"
        )
    if name == "fitted-contrast":
        return
    classes = 0 if images.labels is None else len(np.unique(images.labels))
    if classes < 2:
        raise UserError(
            f"{name}: expected labels of two classes or more, got {classes or 'none'} in {images.name}; "
            "use fitted-contrast, which needs none"
        )


def _task(name: str, images: ImageSet, index: np.ndarray) -> Task:
    if name == "fitted-contrast":
        return Contrast()
    assert images.labels is not None
    return Classes(torch.from_numpy(images.labels[index]))


def _checksum(network: FittedNetwork, facts: dict[str, str]) -> str:
    return digest(
        network.state_dict(), *(f"{key}={facts[key]}" for key in ("network", "recipe", "fingerprint"))
    )


def _cached(path: Path, channels: int, facts: dict[str, str]) -> FittedNetwork | None:
    """The network that was fitted before; None where there is none, or none that can be trusted."""
    # All that the readers below raise on files that are missing, cut off, or of another network.
    with contextlib.suppress(OSError, safetensors.SafetensorError, RuntimeError, ValueError):
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        network = empty_module(lambda: FittedNetwork(channels))
        assert isinstance(network, FittedNetwork)
        network.load_state_dict(tensors)
        if metadata == {**facts, "sha256": _checksum(network, facts)}:
            return network.requires_grad_(False).eval()
    return None

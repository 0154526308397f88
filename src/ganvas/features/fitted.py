"""The extractors fitted-classifier and fitted-contrast: fitted once on the user's set, then cached.

A cached network that is damaged, or of other images, is fitted again; see `ganvas.features.cache`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganvas.data import ImageSet
from ganvas.errors import UserError
from ganvas.features.cache import TensorSpec, cached_tensors
from ganvas.features.extractor import NetworkExtractor, Preprocessed
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
    network = empty_module(lambda: FittedNetwork(images.image_shape[0]))

    def fit() -> dict[str, Tensor]:
        """Fit the network; return its parameters and statistics."""
        chosen, index = training_images(images)
        return fit_network(chosen, _task(name, images, index), progress).state_dict()

    tensors = cached_tensors(
        f"{name}-{RECIPE}-{images.fingerprint}",
        {key: TensorSpec(tuple(value.shape), value.dtype) for key, value in network.state_dict().items()},
        fit,
        required=True,
    )
    network.load_state_dict(tensors)
    network.requires_grad_(False).eval()
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

"""Feature extractors: networks that turn images into vectors, between which distances are measured.

    extractor = ganvas.features.get_extractor("gv1")
    features = extractor(images)            # uint8 [N, C, H, W] -> float32 [N, D]

| name | network | of which images | scores can be compared |
|---|---|---|---|
| gv1 | ships with ganvas, frozen | gray; RGB through its luma | with everybody's |
| gv1-color | gv1 and random color filters, frozen | RGB | with everybody's |
| fitted-classifier | fitted on the user's labeled set | any | on that set and machine alone |
| fitted-contrast | fitted on the user's set, no labels needed | any | on that set and machine alone |
| inception, dinov2 | pretrained on photographs; need timm | any | with ganvas's alone |

Extensions add extractors with `ganvas.register.features`. Modules are imported when an extractor is asked
for: listing the names does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganvas.errors import UserError, did_you_mean
from ganvas.registry import Registry, load_entry_points

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ganvas.data import ImageSet
    from ganvas.features.extractor import Extractor as Extractor

FEATURE_NAMES = ("gv1", "gv1-color", "fitted-classifier", "fitted-contrast", "inception", "dinov2")
"""The built-in extractors; `feature_names()` lists the registered ones too."""

EXTRACTORS: Registry[Callable[..., Extractor]] = Registry("feature network")
"""Registered extractors: functions (images: ImageSet | None, device: torch.device) -> `Extractor`."""


def feature_names() -> tuple[str, ...]:
    """The names of all extractors: the built-in ones, then the registered ones.

    Raises:
        UserError: the plugin of an installed package cannot be imported.
    """
    load_entry_points()
    return (*FEATURE_NAMES, *(name for name in EXTRACTORS if name not in FEATURE_NAMES))


def default_features(image_shape: tuple[int, int, int]) -> str:
    """The network for images of (C, H, W) where none is named: gv1 for gray, gv1-color for RGB."""
    return "gv1" if image_shape[0] == 1 else "gv1-color"


def get_extractor(
    name: str,
    *,
    images: ImageSet | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Extractor:
    """The feature network called `name`.

    Args:
        name: one of `feature_names()`.
        images: the set that fitted-classifier or fitted-contrast is fitted on, one to three minutes the first
            time and cached from then on; a registered extractor gets it too; the others need none.
        device: "auto", "cpu", "cuda" or a device: where features are computed. They are returned on the CPU,
            and fitting always happens there.
        progress: called as (step, steps) while a network is fitted.

    Raises:
        UserError: an unknown name, no set to fit on, a set that cannot be fitted on, timm missing.
        DeviceError: the device is not available.
        MachineError: gv1's file is damaged; pretrained weights are not available.
        StorageError: the cache cannot be written.
    """
    if name not in FEATURE_NAMES and name not in feature_names():
        raise UserError(f"unknown feature network {name!r}: {did_you_mean(name, feature_names())}")
    from ganvas.utils import devices

    target = devices.resolve_device(device) if isinstance(device, str) else device
    if name in EXTRACTORS:
        return EXTRACTORS[name](images, target)
    if name == "gv1":
        from ganvas.features import gv1

        return gv1.extractor(target)
    if name == "gv1-color":
        from ganvas.features import color

        return color.extractor(target)
    if name.startswith("fitted-"):
        from ganvas.features import fitted

        if images is None:
            raise UserError(f"{name}: expected a set of images to fit on, got none; name one, or use gv1")
        return fitted.extractor(name, images, target, progress)
    from ganvas.features import pretrained

    return pretrained.extractor(name, target)


def __getattr__(name: str) -> Any:
    if name == "Extractor":
        from ganvas.features.extractor import Extractor

        return Extractor
    raise AttributeError(f"module 'ganvas.features' has no attribute {name!r}")

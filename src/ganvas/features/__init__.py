"""Features: what a network sees in images, as vectors that distances between sets are measured in.

    extractor = ganvas.features.find("gv1")
    features = extractor(images)            # uint8 [N, C, H, W] -> float32 [N, D]

| name | network | of which images | scores can be compared |
|---|---|---|---|
| gv1 | ships with ganvas, frozen | grey; RGB through its luma | with everybody's |
| gv1-colour | gv1 and random colour filters, frozen | RGB | with everybody's |
| own-classifier | fitted on the user's labelled set | any | on that set and machine alone |
| own-contrast | fitted on the user's set, no labels needed | any | on that set and machine alone |
| inception, dinov2 | pretrained on photographs; need timm | any | with ganvas's alone |

Modules are imported when a network is asked for: listing the names takes no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganvas.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ganvas.data import ImageSet
    from ganvas.features.extractor import Extractor as Extractor

NAMES = ("gv1", "gv1-colour", "own-classifier", "own-contrast", "inception", "dinov2")


def default_name(image_shape: tuple[int, int, int]) -> str:
    """The network for images of (C, H, W) where none is named: gv1 for grey, gv1-colour for RGB."""
    return "gv1" if image_shape[0] == 1 else "gv1-colour"


def find(
    name: str,
    *,
    images: ImageSet | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Extractor:
    """The feature network called `name`.

    Args:
        name: one of `NAMES`.
        images: the set that own-classifier or own-contrast is fitted on, one to three minutes the first time
            and cached from then on; the others need none.
        device: "auto", "cpu", "cuda" or a device: where features are computed; they come back on the CPU,
            where fitting is done in any case.
        progress: called as (step, steps) while a network is fitted.

    Raises:
        UserError: an unknown name, no set to fit on, a set that cannot be fitted on, timm missing.
        DeviceError: a device that is not there.
        MachineError: gv1's file is damaged; pretrained weights cannot be had here.
        StorageError: the cache cannot be written.
    """
    if name not in NAMES:
        raise UserError(f"unknown feature network {name!r}: {nearest(name, NAMES)}")
    from ganvas import devices

    where = devices.find(device) if isinstance(device, str) else device
    if name == "gv1":
        from ganvas.features import grey

        return grey.extractor(where)
    if name == "gv1-colour":
        from ganvas.features import colour

        return colour.extractor(where)
    if name.startswith("own-"):
        from ganvas.features import own

        if images is None:
            raise UserError(f"{name}: expected a set of images to fit on, got none; name one, or use gv1")
        return own.extractor(name, images, where, progress)
    from ganvas.features import pretrained

    return pretrained.extractor(name, where)


def __getattr__(name: str) -> Any:
    if name == "Extractor":
        from ganvas.features.extractor import Extractor

        return Extractor
    raise AttributeError(f"module 'ganvas.features' has no attribute {name!r}")

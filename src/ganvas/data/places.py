"""Where a set of the catalogue may already lie, in the order of the search."""

import os
from dataclasses import dataclass
from pathlib import Path

from ganvas.data.catalog import KnownSet
from ganvas.data.files import cache_folder
from ganvas.errors import DataError

# torchvision has no place of its own; its examples say root="data" or "./data".
TORCHVISION_ROOTS = ("data", "~/data", "~/.cache/torchvision")
KERAS = "~/.keras/datasets"
DEBIAN = "/usr/share/datasets"  # package dataset-fashion-mnist


@dataclass(frozen=True)
class Place:
    """A folder to look in; what is wrong in the one the user named is an error, not passed over."""

    folder: Path
    named_by_user: bool = False


def cache_place(known: KnownSet) -> Path:
    """The set's folder in ganvas's own cache, which downloads go to."""
    return cache_folder() / "data" / known.place


def places(known: KnownSet) -> list[Place]:
    """All folders to look in, most wanted first, whether they exist or not.

    Raises:
        DataError: GANVAS_DATA is set to what is not a folder.
    """
    found = [Place(folder, named_by_user=True) for folder in _named(known)]
    found.append(Place(cache_place(known)))
    for root in TORCHVISION_ROOTS:
        if known.torchvision:
            found.append(Place(Path(root).expanduser() / known.torchvision / "raw"))
        if known.cifar:
            found.append(Place(Path(root).expanduser()))
    if known.npz or known.cifar:
        found.append(Place(Path(KERAS).expanduser()))
    else:
        found.append(Place(Path(KERAS).expanduser() / known.name))
    if known.name == "fashion-mnist":
        found.append(Place(Path(DEBIAN) / known.name))
    return found


def _named(known: KnownSet) -> list[Path]:
    named = os.environ.get("GANVAS_DATA")
    if not named:
        return []
    root = Path(named).expanduser()
    if not root.is_dir():
        raise DataError(
            f"GANVAS_DATA: expected a folder that holds {known.place}/, got {named!r}, which is "
            "not a folder; correct or unset it"
        )
    return [root / name for name in dict.fromkeys((known.name, known.place))]

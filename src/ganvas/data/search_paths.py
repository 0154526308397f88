"""Folders that may already hold a published set, in the order of the search."""

import os
from dataclasses import dataclass
from pathlib import Path

from ganvas.data.files import cache_folder
from ganvas.data.published_sets import PublishedSet
from ganvas.errors import DataError

# torchvision has no default folder; its examples use root="data" or "./data".
TORCHVISION_ROOTS = ("data", "~/data", "~/.cache/torchvision")
KERAS = "~/.keras/datasets"
DEBIAN = "/usr/share/datasets"  # package dataset-fashion-mnist


@dataclass(frozen=True)
class SearchPath:
    """A folder to search. Damaged data in one that the user named is an error; in another it is skipped."""

    folder: Path
    named_by_user: bool = False


def cache_search_path(known: PublishedSet) -> Path:
    """The set's folder in the cache of ganvas, where downloads are stored."""
    return cache_folder() / "data" / known.folder_name


def search_paths(known: PublishedSet) -> list[SearchPath]:
    """All folders to search, in order, each once, whether they exist or not.

    Raises:
        DataError: GANVAS_DATA is set to something that is not a folder.
    """
    paths = [SearchPath(folder, named_by_user=True) for folder in _named_by_user(known)]
    paths.append(SearchPath(cache_search_path(known)))
    for root in TORCHVISION_ROOTS:
        if known.torchvision:
            paths.append(SearchPath(Path(root).expanduser() / known.torchvision / "raw"))
        if known.cifar:
            paths.append(SearchPath(Path(root).expanduser()))
    if known.npz or known.cifar:
        paths.append(SearchPath(Path(KERAS).expanduser()))
    else:
        paths.append(SearchPath(Path(KERAS).expanduser() / known.name))
    if known.name == "fashion-mnist":
        paths.append(SearchPath(Path(DEBIAN) / known.name))
    # In the home folder, "data" and "~/data" are the same.
    unique: dict[Path, SearchPath] = {}
    for path in paths:
        unique.setdefault(path.folder.absolute(), path)
    return list(unique.values())


def _named_by_user(known: PublishedSet) -> list[Path]:
    value = os.environ.get("GANVAS_DATA")
    if not value:
        return []
    root = Path(value).expanduser()
    if not root.is_dir():
        raise DataError(
            f"GANVAS_DATA: expected a folder that holds {known.folder_name}/, got {value!r}, which is "
            "not a folder; correct or unset it"
        )
    return [root / name for name in dict.fromkeys((known.name, known.folder_name))]

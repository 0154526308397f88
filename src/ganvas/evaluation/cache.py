"""What is computed once per set of real images and feature network, kept in ganvas's cache folder.

Files are named by feature network, its version, the set's fingerprint and what they hold. A damaged or
missing file is computed again, and a cache that cannot be written is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from ganvas.data.files import cache_folder
from ganvas.errors import StorageError
from ganvas.utils.io import write_bytes

Tensors = dict[str, Tensor]

FORMAT = 2
"""Part of every file's name: raise it when the names or the meaning of cached tensors change."""


def cached(name: str, compute: Callable[[], Tensors]) -> Tensors:
    """The tensors kept under `name`, computed and kept where they are not there.

    Args:
        name: says all that the tensors depend on; only the letters of file names are used as they are.
        compute: gives them.
    """
    path = _path(name)
    result = _read(path)
    if result is None:
        result = {key: t.contiguous() for key, t in compute().items()}
        with contextlib.suppress(StorageError):  # next time it takes as long again
            _write(path, result)
    return result


def _path(name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", name)
    if plain != name:
        plain = f"{plain[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return cache_folder() / "features" / f"{plain}-v{FORMAT}.safetensors"


def _write(path: Path, tensors: Tensors) -> None:
    content = safetensors.torch.save(tensors)
    write_bytes(path, hashlib.sha256(content).digest() + content)


def _read(path: Path) -> Tensors | None:
    """None where there is no such file, or not what was written."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        return safetensors.torch.load(content[32:])
    except (OSError, safetensors.SafetensorError):
        return None

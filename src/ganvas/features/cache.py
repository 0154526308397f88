"""What is computed once per set of images and feature network, in the cache folder of ganvas.

A file is named after all that its tensors depend on, and begins with a SHA-256 of this name and of its
content. One that is damaged or renamed, or that contains other tensors than expected, is computed again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganvas.data.files import CACHE_HINT, cache_folder, log_if_corrupted
from ganvas.errors import StorageError
from ganvas.utils.io import atomic_write, read_regular

FORMAT = 3
"""Part of every file's name: raise it when the keys or the meaning of cached tensors change."""
_CHECKSUM_BYTES = 32
_HEADER_BYTES = 2**20  # at most, of the format and of tensors of unknown size
_BLOCK_BYTES = 2**12  # about, of the format


class TensorSpec(NamedTuple):
    """What is expected of a cached tensor; a size of None may be any."""

    shape: tuple[int | None, ...]
    dtype: torch.dtype = torch.float32


Specs = Mapping[str, TensorSpec]
Tensors = dict[str, Tensor]


def cached_tensor(name: str, spec: TensorSpec, compute: Callable[[], Tensor]) -> Tensor:
    """The tensor cached under `name`, computed and cached if it is not there; see `cached_tensors`."""
    return cached_tensors(name, {"value": spec}, lambda: {"value": compute()})["value"]


def cached_tensors(
    name: str, specs: Specs, compute: Callable[[], Tensors], *, required: bool = False
) -> Tensors:
    """The tensors cached under `name`, computed and cached if they are not there.

    Args:
        name: says all that the tensors depend on; only the letters of file names are used as they are.
        specs: what they are.
        compute: computes them, after the space on the disk has been reserved.
        required: whether a cache that cannot be written is an error. Otherwise nothing is cached then.

    Raises:
        StorageError: the cache cannot be written, and is required.
    """
    path = _path(name)
    result = _read(path, name, specs)
    if result is not None:
        return result
    log_if_corrupted(path)
    try:
        with atomic_write(path, hint=CACHE_HINT) as stream:
            _reserve(stream, _bytes(specs) + _BLOCK_BYTES)
            result = {key: tensor.contiguous() for key, tensor in compute().items()}
            content = safetensors.torch.save(result)
            stream.write(_checksum(name, content))
            stream.write(content)
            stream.truncate()
    except StorageError:
        if required:
            raise
    return compute() if result is None else result


def _path(name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", name)
    if plain != name:
        plain = f"{plain[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return cache_folder() / "features" / f"{plain}-v{FORMAT}.safetensors"


def _read(path: Path, name: str, specs: Specs) -> Tensors | None:
    """The tensors of a file; None if it is missing or not what was written under this name."""
    # All that the readers raise on files that are missing, cut off, or of unknown types.
    with contextlib.suppress(OSError, safetensors.SafetensorError, KeyError, ValueError):
        stored = read_regular(path, limit=_bytes(specs) + _HEADER_BYTES)
        content = stored[_CHECKSUM_BYTES:]
        if stored[:_CHECKSUM_BYTES] == _checksum(name, content):
            tensors = safetensors.torch.load(content)
            return tensors if _match(tensors, specs) else None
    return None


def _match(tensors: Tensors, specs: Specs) -> bool:
    """Whether the tensors have the keys, types and shapes that are expected."""
    return tensors.keys() == specs.keys() and all(
        tensor.dtype == specs[key].dtype
        and len(tensor.shape) == len(specs[key].shape)
        and all(size in (None, got) for size, got in zip(specs[key].shape, tensor.shape, strict=True))
        for key, tensor in tensors.items()
    )


def _bytes(specs: Specs) -> int:
    """Bytes of all tensors of known size."""
    return sum(math.prod(size or 0 for size in shape) * dtype.itemsize for shape, dtype in specs.values())


def _checksum(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _reserve(stream: IO[bytes], size: int) -> None:
    """Reserve space for a file, so that a full disk is an error before the work, not after it."""
    if hasattr(os, "posix_fallocate"):  # not on Windows and macOS
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some file systems cannot
                raise

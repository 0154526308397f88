"""Tensors in safetensors files: written whatever memory they share, read as exactly what is expected."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganvas.errors import first_few, shorten


def serialize(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as the content of a safetensors file; those that share memory (tied weights) are copied."""
    seen: set[int] = set()
    separate: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        separate[name] = tensor.detach().cpu().contiguous()
        address = separate[name].untyped_storage().data_ptr()
        if address in seen:
            separate[name] = separate[name].clone()
        seen.add(address)
    return safetensors.torch.save(separate)


def deserialize(content: bytes, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in a safetensors file, of exactly the names, dtypes and shapes of those `expected`.

    Raises:
        ValueError: no safetensors file, other tensors, or numbers that are not finite.
    """
    try:
        entries = {name: (entry["dtype"], entry["shape"]) for name, entry in _entries(content)}
    except safetensors.SafetensorError as error:
        raise ValueError(f"no safetensors file ({shorten(str(error))})") from None
    if missing := [name for name in expected if name not in entries]:
        raise ValueError(f"it does not fit the recipe: missing {first_few(missing, 3)}")
    if extra := [name for name in entries if name not in expected]:
        raise ValueError(f"it does not fit the recipe: unexpected {first_few(extra, 3)}")
    for name, tensor in expected.items():
        wanted = _dtype_name(tensor.dtype), list(tensor.shape)
        if entries[name] != wanted:
            got = " ".join(map(str, entries[name]))
            raise ValueError(
                f"it does not fit the recipe: {shorten(name)} is {shorten(got)}, expected "
                f"{wanted[0]} {wanted[1]}"
            )
    tensors = safetensors.torch.load(content)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{shorten(name)} has numbers that are not finite")
    return tensors


@functools.cache
def _dtype_name(dtype: torch.dtype) -> str:
    """The name of a dtype in the header of a safetensors file, as "F32"."""
    ((_, entry),) = _entries(safetensors.torch.save({"x": torch.empty(0, dtype=dtype)}))
    return str(entry["dtype"])


def _entries(content: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The tensors of a safetensors file as they stand there: name, and "dtype", "shape" and "data"."""
    return list(safetensors.deserialize(content))  # type: ignore[no-untyped-call]


def largest_file(tensors: Mapping[str, Tensor]) -> int:
    """Bytes that a safetensors file of these tensors can have at most, its header included."""
    return sum(t.nbytes + 6 * len(name) + 512 for name, t in tensors.items()) + 4096

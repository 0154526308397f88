"""Mixed precision inside layers: whether autocast is on, and how to compute in float32 all the same."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def in_autocast(x: Tensor) -> bool:
    """Return whether matrix multiplications on x's device run in reduced precision here."""
    device = x.device.type
    return device in ("cpu", "cuda") and torch.is_autocast_enabled(device)


def autocast_disabled(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which operations on x's device run in full precision."""
    return torch.autocast(x.device.type, enabled=False) if in_autocast(x) else nullcontext()


def to_float32(x: Tensor) -> Tensor:
    """Return x in float32 if it is bfloat16 or float16, else x itself."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x

"""Memory that is available on this machine, and how to release it or keep it."""

from __future__ import annotations

import errno
import mmap
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import MachineError
from ganvas.utils.limits import memory_limit

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "std::bad_alloc")

# A data set larger than this fraction of the available memory is memory-mapped by default.
MMAP_THRESHOLD = 0.25


def available_memory() -> int:
    """Return the bytes available without swapping, within the limits of container (cgroup v2) and process."""
    import psutil  # here, so that importing the package stays quick

    available = int(psutil.virtual_memory().available)
    limit, used = (_read_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        available = min(available, max(0, limit - used))
    process = memory_limit()
    if process is not None:
        available = min(available, max(0, process - int(psutil.Process().memory_info().vms)))
    return available


def require_memory(needed: int, what: str, hint: str) -> None:
    """Refuse what would not fit in memory, before the machine starts to swap.

    Args:
        needed: bytes.
        what: what needs them, as named in the message.
        hint: what to do instead, as the message says it.

    Raises:
        MachineError: less than that is available.
    """
    free = available_memory()
    if needed > free:
        raise MachineError(
            f"{what} needs about {needed / 2**30:,.1f} GiB of memory, {free / 2**30:.1f} GiB are free: {hint}"
        )


def is_memory_error(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, as Python, PyTorch, C++ or oneDNN says it."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or any(words in text for words in _MEMORY_WORDS)
        or text == "could not create a primitive"  # oneDNN; of an unsupported operation it says more
    )


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process has held, of the GPU's memory where `device` is one."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform.startswith("linux"):
        # `ru_maxrss` below starts at what the parent process held when it started this one.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def release_pages(array: NDArray[np.uint8]) -> None:
    """Release the pages of a memory-mapped array that have been read; other arrays are left alone.

    Pages that were read count as this process's memory until the system reclaims them, so that reading a
    set of gigabytes makes the process appear as large as the set. The pages stay in the system's cache,
    which serves the next read.
    """
    mapped = getattr(array, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)  # Windows has none, and trims the working set itself
    if mapped is not None and advice is not None:
        mapped.madvise(advice)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next tensors; does nothing with another C library.

    By default glibc returns large blocks to the system, which zeroes each page when it is allocated again:
    up to a fifth of the time of a training step. The process stays at its peak size.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    # Older versions of glibc allow a threshold of 32 MiB at most. If both values are refused, the other two
    # settings would only switch off the dynamic threshold of glibc.
    if any(mallopt(mmap_threshold, ctypes.c_int(size)) for size in (2**31 - 1, 2**25)):
        mallopt(trim_threshold, ctypes.c_int(-1))  # never
        mallopt(top_pad, ctypes.c_int(2**26))


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" means no limit
        return None

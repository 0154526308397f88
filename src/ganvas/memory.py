"""How much memory this machine can give, without a package for it."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import MachineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A data set larger than this share of the free memory is memory-mapped, unless another is asked for.
SHARE = 0.25

# Where nothing can be learned, a small laptop is assumed.
_ASSUMED_BYTES = 2 * 2**30


def available_memory() -> int:
    """Bytes that can be used without swapping, the limit of a container heeded."""
    available = _system_memory()
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        available = min(available, max(0, limit - used))
    return available


def require(needed: int, what: str, hint: str) -> None:
    """Refuse what would not fit, before the machine starts to swap.

    Args:
        needed: bytes.
        what: what needs them, as the line names it.
        hint: what to do instead.

    Raises:
        MachineError: less than that is free.
    """
    free = available_memory()
    if needed > free:
        raise MachineError(
            f"{what} needs about {needed / 2**30:,.1f} GiB of memory, {free / 2**30:.1f} GiB are free: {hint}"
        )


def unmap_read(array: NDArray[np.uint8]) -> None:
    """Let go of what has been read of a memory-mapped array; of any other nothing is to be let go of.

    Pages once read count as this process's memory until the system wants them back: on reading through a
    set of gigabytes it would seem, and on some systems be, as large as the set. They stay in the system's
    own cache, from where the next look takes them.
    """
    mapped = getattr(array, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)  # Windows has none, and trims by itself
    if mapped is not None and advice is not None:
        mapped.madvise(advice)


def keep_freed() -> None:
    """Let this process keep the memory that it frees for its next tensors, where the C library is glibc.

    By itself glibc hands large blocks back to the system, which clears each page anew when it is asked for
    again: up to a fifth of a training step. The process stays as large as it has been at most.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    # First what may be refused: older versions of glibc allow 32 MiB at most. Where nothing is granted, the
    # rest would only stop glibc from adapting by itself.
    if any(mallopt(mmap_threshold, ctypes.c_int(most)) for most in (2**31 - 1, 2**25)):
        mallopt(trim_threshold, ctypes.c_int(-1))  # never
        mallopt(top_pad, ctypes.c_int(2**26))


def _system_memory() -> int:
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            # MEMORYSTATUSEX of sysinfoapi.h
            _fields_ = [
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                ("total", ctypes.c_ulonglong),
                ("available", ctypes.c_ulonglong),
                ("others", ctypes.c_ulonglong * 5),
            ]

        status = Status(length=ctypes.sizeof(Status))
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.available)
        return _ASSUMED_BYTES
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        # macOS tells only how much is built in; half of it is a careful guess at what is free.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return _ASSUMED_BYTES


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" means no limit
        return None

"""Limits on this process's memory and threads, checked before PyTorch loads: its libraries abort beyond them.

Where they get no memory or cannot start a thread, OpenBLAS, OpenMP and C++ print their own lines and end the
process without a Python exception. So what they will need is tried first, in a way that can fail in one line.
"""

from __future__ import annotations

import os
import re
import sys
import threading

from ganvas.errors import DeviceError, MachineError

_DIGITS = re.compile(r"\s*[0-9]{1,18}\s*")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OTHER_THREADS = 4  # besides those that compute

ENOUGH_MEMORY = 2**34  # a limit from here on is not tried
FREE_MEMORY = 3 * 2**27  # bytes that must be left for the smallest run once PyTorch is loaded
_LOAD = f"""
import mmap, numpy, torch
torch.ones(256, 256) @ torch.ones(256, 256)
mmap.mmap(-1, {FREE_MEMORY})
"""
# The threads first, and in a process that is replaced: each reserves memory that it never returns.
_TRY = """
import os, sys
from ganvas.errors import MachineError
from ganvas.utils.limits import check_threads
try:
    check_threads(int(sys.argv[1]))
except MachineError as error:
    print(error)
    sys.exit(3)
os.execv(sys.executable, [sys.executable, "-P", "-c", sys.argv[2]])
"""


def check_limits() -> None:
    """Refuse to continue where PyTorch would abort for lack of memory or threads, unless it is loaded.

    Raises:
        DeviceError: an environment variable asks for a number of threads that cannot be.
        MachineError: the limit on memory or on threads is too low.
    """
    if "torch" in sys.modules:
        return
    set_to = {
        name: check_thread_count(os.environ[name], name) for name in THREAD_VARIABLES if os.environ.get(name)
    }
    # Two libraries start threads, one less than they compute with: OpenMP for PyTorch, and numpy's OpenBLAS.
    openmp = set_to.get("OMP_NUM_THREADS", processors())
    threads = openmp - 1 + min(set_to.get("OPENBLAS_NUM_THREADS", openmp), processors()) - 1
    limit = memory_limit()
    if limit is None or limit >= ENOUGH_MEMORY:
        check_threads(threads)
    else:
        _check_apart(threads, limit)


def _check_apart(threads: int, limit: int) -> None:
    """Start the threads and load PyTorch in a process of its own."""
    import subprocess  # here, so that `ganvas --help` stays quick

    # -P: modules are not looked for in the working directory, which may hold anybody's files.
    command = [sys.executable, "-P", "-c", _TRY, str(threads), _LOAD]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MachineError(f"no process can be started: {error.strerror}") from None
    if result.returncode == 3:
        raise MachineError(result.stdout.strip())
    if result.returncode and "ModuleNotFoundError" not in result.stderr:
        raise MachineError(
            f"the memory of this process is limited to {limit / 2**20:,.0f} MiB, which is too little for "
            f"PyTorch: raise the limit (ulimit -v, ulimit -d)"
        )


def max_threads() -> int:
    """Return the largest number of processor threads that may be asked for: 4 per processor, at least 64."""
    return max(64, 4 * (os.cpu_count() or 1))


def check_thread_count(value: int | str, name: str) -> int:
    """Return a number of threads, or the first of a list as OpenMP takes it ("4,2").

    Raises:
        DeviceError: it is no number from 1 to `max_threads()`.
    """
    most = max_threads()
    numbers = value.split(",") if isinstance(value, str) else [f"{max(-1, min(value, sys.maxsize))}"]
    if not all(_DIGITS.fullmatch(number) and 1 <= int(number) <= most for number in numbers):
        text = ",".join(numbers)
        text = text if len(text) < 40 else f"{text[:40]}…"
        raise DeviceError(f"{name} {text}: expected 1 to {most} threads")
    return int(numbers[0])


def check_threads(count: int) -> None:
    """Check that `count` threads can be started besides those that run.

    Raises:
        MachineError: the system allows fewer.
    """
    count += OTHER_THREADS
    stop, threads = threading.Event(), []
    stack = threading.stack_size(2**16)
    try:
        for _ in range(count):
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # "can't start new thread"
        raise MachineError(
            f"of the {count} threads that this process needs, the system lets it start {len(threads)}: raise "
            f"the limit (ulimit -u, or the container's), or set OMP_NUM_THREADS=1"
        ) from None
    finally:
        threading.stack_size(stack)
        stop.set()
        for thread in threads:
            thread.join()


def memory_limit() -> int | None:
    """Return the bytes of address space or data that the system allows this process; None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min((limit for limit in soft if limit != resource.RLIM_INFINITY), default=None)


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

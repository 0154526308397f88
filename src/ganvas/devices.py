"""Where a run computes, and what that machine is."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ganvas.errors import DeviceError, MachineError


def find(name: str) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda"; "auto" is a GPU where there is one.

    Raises:
        DeviceError: an unknown name, or "cuda" on a machine without it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise DeviceError(f"unknown device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "--device cuda: PyTorch sees no CUDA device on this machine; "
            "use --device cpu, or --device auto to take a GPU only where there is one"
        )
    return torch.device(name)


def make_repeatable(device: torch.device) -> None:
    """Ask cuDNN for kernels that give the same bits each time; on a CPU they do so by themselves."""
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def describe(device: torch.device) -> dict[str, str | int]:
    """What a run records of its machine: processor, threads, system, library versions."""
    machine: dict[str, str | int] = {
        "device": device.type,
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    return machine


def _processor() -> str:
    """The processor's name; Linux tells it in /proc, others through `platform`."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a pseudo-file
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def use_threads(threads: int | None) -> None:
    """Compute with this many processor threads; None leaves PyTorch's choice.

    Raises:
        DeviceError: less than one.
    """
    if threads is None:
        return
    if threads < 1:
        raise DeviceError(f"--threads {threads}: expected 1 or more")
    torch.set_num_threads(threads)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Say in one line that memory ran out, on either device."""
    hint = "a smaller batch or network may fit, e.g. --set batch_size=64"
    try:
        yield
    except torch.OutOfMemoryError:
        raise MachineError(f"the GPU's memory is full: {hint}") from None
    except MemoryError:
        raise MachineError(f"memory is full: {hint}") from None
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise MachineError(f"memory is full: {hint}") from None
        raise

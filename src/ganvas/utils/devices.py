"""Where a run computes, and what that machine is."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ganvas.errors import DeviceError, MachineError


def resolve_device(name: str) -> torch.device:
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
            "device cuda: PyTorch sees no CUDA device on this machine; "
            "use device cpu, or auto to take a GPU only where there is one"
        )
    return torch.device(name)


def make_deterministic(device: torch.device) -> None:
    """Ask cuDNN for kernels that give the same bits each time; on a CPU they do so by themselves."""
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 itself (AVX512-BF16 or AMX); known on Linux alone."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a pseudo-file
            flags = next((line.split() for line in lines if line.startswith("flags")), [])
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def resolve_precision(name: str, device: torch.device) -> str:
    """Return "fp32" or "bf16" for "auto", "fp32" or "bf16": auto is bf16 where the hardware multiplies it.

    Raises:
        DeviceError: an unknown name.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise DeviceError(f"unknown precision {name!r}: expected auto, fp32 or bf16")
    if name != "auto":
        return name
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else has_bf16()
    return "bf16" if fast else "fp32"


def autocast(name: str, device: torch.device) -> torch.autocast:
    """A context in which products are of the precision "fp32" or "bf16".

    In bf16 the weights stay fp32 and are rounded for each step; sums within a product are fp32; logits,
    losses, moving statistics and optimizers are fp32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16")


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """What a run records of its machine: processor, threads, system, library versions."""
    machine: dict[str, str | int] = {
        "device": device.type,
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    return machine


def processor_name() -> str:
    """The processor's name; Linux tells it in /proc, others through `platform`."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a pseudo-file
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def set_threads(threads: int | None) -> None:
    """Compute with this many processor threads; None leaves PyTorch's choice.

    Raises:
        DeviceError: less than one.
    """
    if threads is None:
        return
    if threads < 1:
        raise DeviceError(f"threads {threads}: expected 1 or more")
    torch.set_num_threads(threads)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Say in one line that memory ran out, on either device."""
    hint = "a smaller batch or network may fit, e.g. batch_size=64"
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

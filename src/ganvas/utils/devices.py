"""Where a run computes, at which precision, and what that machine is."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from ganvas.errors import DeviceError, MachineError
from ganvas.utils import limits
from ganvas.utils.memory import is_memory_error


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


@functools.cache
def processor_info() -> dict[str, str]:
    """Return what Linux says of the first processor in /proc/cpuinfo; elsewhere nothing is known."""
    info: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a pseudo-file
            for line in lines:
                key, separator, value = line.partition(":")
                if not separator:  # the end of the first processor
                    break
                info[key.strip()] = value.strip()
    except OSError:
        pass
    return info


def has_bf16() -> bool:
    """Return whether this processor multiplies bf16 itself (AVX512-BF16 or AMX); known on Linux only."""
    flags = processor_info().get("flags", "").split()
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
    """Return a context in which matrix multiplications and convolutions run in "fp32" or "bf16".

    In bf16 the parameters stay fp32 and are rounded in each step; sums within a multiplication are fp32;
    logits, losses, moving statistics and optimizers are fp32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16")


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


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """Return what a run records of its machine: device, processor, threads, system, versions."""
    machine: dict[str, str | int] = {
        "device": device.type,
        "processor": processor_info().get("model name") or platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    return machine


def set_threads(threads: int | None, name: str = "threads") -> None:
    """Compute with this many processor threads; None leaves PyTorch's choice. `name` is for the message.

    Raises:
        DeviceError: less than one, or more than `limits.max_threads()`.
        MachineError: the system lets this process start fewer.
    """
    if threads is None:
        return
    if limits.check_thread_count(threads, name) > limits.processors():
        limits.check_threads(threads)
    torch.set_num_threads(threads)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Within the context, memory that runs out, on either device, becomes a `MachineError`."""
    hint = "a smaller batch or network may fit, e.g. batch_size=64"
    try:
        yield
    except torch.OutOfMemoryError:
        raise MachineError(f"the GPU's memory is full: {hint}") from None
    except (MemoryError, RuntimeError) as error:
        if is_memory_error(error):
            raise MachineError(f"memory is full: {hint}") from None
        raise

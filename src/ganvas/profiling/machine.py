"""What the machine can do: products of square matrices, timed in the same run and at the same precision.

The best of the libraries that PyTorch brings along counts, not the one it happens to choose: on some
processors they differ by a factor of two.
"""

from __future__ import annotations

import time

import torch

from ganvas.kernels.matmul import matrix_multiply

SIDES = (1024, 2048, 4096)
ROUNDS = 5


def peak_matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """The best rate in operations a second (two for a MAC) over several sizes and rounds."""
    best = 0.0
    for side in SIDES if device.type == "cpu" else (4096, 8192):
        source = torch.Generator(device).manual_seed(0)
        a, b = (torch.randn(side, side, device=device, generator=source).to(dtype) for _ in range(2))
        for product in (torch.matmul, matrix_multiply):
            product(a, b)
            for _ in range(ROUNDS):
                synchronize(device)
                began = time.perf_counter()
                product(a, b)
                synchronize(device)
                best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

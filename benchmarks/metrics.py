"""What each metric costs: seconds and peak memory for 10,000 fakes against 60,000 reals of 128 features.

    python benchmarks/metrics.py [--fakes N] [--reals N] [--features D]

The features are random Gaussians: brute force takes the same time on any. Each function runs in a process of
its own, so that its peak is its own; what it is above the process with the features loaded is printed. Linux
and macOS.
"""

import argparse
import multiprocessing
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ganvas import metrics

FUNCTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], object]] = {
    "nearest, reals to reals, k = 5": lambda _f, r, _u, _d: metrics.nearest_neighbors(
        r, r, 5, exclude_self=True
    ),
    "fid with its spread": lambda f, r, _u, _d: metrics.fid(f, r),
    "fid_infinity": lambda f, r, _u, _d: metrics.fid_infinity(f, r),
    "kid": lambda f, r, _u, _d: metrics.kid(f, r),
    "manifold, radii given": lambda f, r, _u, d: metrics.manifold_scores(f, r, real_radii=d),
    "memorization, radii given": lambda f, r, u, d: metrics.memorization_scores(f, r, u, train_nearest=d),
    "vendi_score": lambda f, _r, _u, _d: metrics.vendi_score(f),
}


def resident() -> int:
    """Bytes of memory that this process holds now, or its peak where that cannot be read."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(name: str, sizes: tuple[int, int, int]) -> tuple[float, int]:
    """Seconds and additional bytes of one function."""
    fakes, reals, width = sizes
    source = torch.Generator().manual_seed(0)
    fake, real, held_out = (torch.randn(n, width, generator=source) for n in (fakes, reals, fakes))
    radii = torch.full((reals, 5), width**0.5)
    torch.linalg.eigh(torch.eye(200, dtype=torch.float64) @ torch.eye(200, dtype=torch.float64))  # loads BLAS
    before = peak = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    FUNCTIONS[name](fake, real, held_out, radii)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, peak - before


def main() -> None:
    """Print a line for each function, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fakes", type=int, default=10_000)
    parser.add_argument("--reals", type=int, default=60_000)
    parser.add_argument("--features", type=int, default=128)
    given = parser.parse_args()
    sizes = (given.fakes, given.reals, given.features)
    total = 0.0
    for name in FUNCTIONS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, more = pool.apply(measure, (name, sizes))
        total += seconds
        print(f"{name:32s}{seconds:8.2f} s{more / 2**20:8.0f} MiB", flush=True)
    print(f"{'together':32s}{total:8.2f} s with {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()

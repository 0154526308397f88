"""How cost grows: with image size, width, batch, threads, and the number of images of a memory-mapped set.

    python benchmarks/growth.py [--out growth.json] [--images 10000000]

Each point is a `ganvas bench` in a process of its own, so that its peak memory is its own; the sets of many
images are .npy files of noise, written for the purpose and removed again. Prints tables and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.utils.io import write_json

RECIPE = "tutorial-dcgan"


def bench(*words: str) -> dict[str, Any]:
    """`ganvas bench --json` with these words."""
    command = [sys.executable, "-m", "ganvas", "bench", RECIPE, "--json", "--steps", "6", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def width(factor: float) -> list[str]:
    """Settings that make every layer so many times as wide."""
    keys = {
        "generator.base_channels": 256, "generator.layers.0.channels": 128, "generator.layers.1.channels": 64,
        "discriminator.layers.0.channels": 64, "discriminator.layers.1.channels": 128,
    }  # fmt: skip
    return [word for key, value in keys.items() for word in ("--set", f"{key}={int(value * factor)}")]


def axes() -> dict[str, dict[str, list[str]]]:
    """What is varied, one thing at a time."""
    return {
        "image size": {
            str(side): ["--size", str(side), "--resize", "resize", "--set", "batch_size=64"]
            for side in (28, 32, 64, 128)
        },
        "width": {f"x{factor}": width(factor) for factor in (0.25, 0.5, 1, 2)},
        "batch": {str(batch): ["--set", f"batch_size={batch}"] for batch in (32, 64, 128, 256, 512)},
        "threads": {str(threads): ["--threads", str(threads)] for threads in (1, 2)},
    }


def mapped(count: int, folder: Path) -> dict[str, Any]:
    """Training on so many images that are memory-mapped, written as noise."""
    path = folder / f"{count}.npy"
    rng = np.random.default_rng(0)
    block = rng.integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, len(block)):
            file.write(block[: count - start].data)
    try:
        return bench("--data", str(path), "--set", "scores=null", "--mmap-threshold", "0")
    finally:
        path.unlink()


def line(name: str, result: dict[str, Any]) -> str:
    """A row of a table."""
    return (
        f"| {name} | {result['images_per_second']:,.0f} | {result['operations_per_image'] / 1e6:,.0f} M | "
        f"{result['gflops']:,.0f} | {result['ratio']:.0%} | {result['peak_memory_bytes'] / 2**20:,.0f} MiB |"
    )


def main() -> None:
    """Measure every axis and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("growth.json"))
    parser.add_argument("--images", type=int, nargs="+", default=[60_000, 1_000_000, 10_000_000])
    parser.add_argument("--only-images", action="store_true", help="leave out the other axes")
    a = parser.parse_args()
    results: dict[str, dict[str, Any]] = {
        axis: {name: bench(*words) for name, words in points.items()}
        for axis, points in ({} if a.only_images else axes()).items()
    }
    with tempfile.TemporaryDirectory(prefix="ganvas-growth-") as folder:
        results["images"] = {f"{count:,}": mapped(count, Path(folder)) for count in a.images}
    write_json(a.out, results)
    for axis, points in results.items():
        print(f"\n| {axis} | images/s | operations an image | GFLOP/s | of the machine's | peak memory |")
        print("|---|---|---|---|---|---|")
        for name, result in points.items():
            print(line(name, result))


if __name__ == "__main__":
    main()

"""Time to score: the recipe drawn from the pictures against the classic one, in one command.

    GANVAS_DATA=... python benchmarks/speedrun.py [--budget 1m] [--seeds 3] [--baseline EPOCHS]

Trains the record with several seeds, then `tutorial-dcgan` for so many of its 50 epochs (0 leaves it out),
and prints when each came to which FID: on 2,000 images while training, on 10,000 at the end. Seconds are of
training: pictures, scores and checkpoints on the way are in them, loading and the last score are not. Runs
that are there and complete are not trained again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from ganvas import launch
from ganvas.run import Run


def trained(path: Path, **how: Any) -> Run:
    """A complete run, made where it is missing."""
    if (path / "run.json").exists():
        run = Run.open(path)
        return run if run.step >= run.record.steps else launch.resume(path, quiet=True)
    return launch.train(out=path, quiet=True, **how)


def seconds_and_scores(run: Run) -> list[tuple[float, int, float]]:
    """(seconds of training, images seen, FID) of each score while training."""
    found, seconds, images = [], 0.0, 0
    for line in run.metrics():
        seconds, images = line.get("seconds", seconds), line.get("images_seen", images)
        if "score" in line:
            found.append((seconds, images, line["score"]["fid"]))
    return found


def final(run: Run) -> dict[str, Any]:
    """The best checkpoint's scores on 10,000 images."""
    values: dict[str, Any] = json.loads(run.directory.evaluation.read_text())
    return values


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a name, looked for in GANVAS_DATA, or a path")
    parser.add_argument("--budget", default="1m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--baseline", type=int, default=50, metavar="EPOCHS")
    parser.add_argument("--out", type=Path, default=Path("runs/speedrun"))
    a = parser.parse_args()
    fids, times = [], []
    print("| run | seconds | images | FID |\n|---|---|---|---|")
    for seed in range(a.seeds):
        run = trained(a.out / f"modern-{a.budget}-{seed}", data=a.data, budget=a.budget, seed=seed)
        at_end = seconds_and_scores(run)[-1]
        times.append(at_end[0])
        fids.append(final(run)["fid"])
        print(
            f"| modern, {a.budget}, seed {seed} | {at_end[0]:.0f} | {at_end[1]:,} | {fids[-1]:.2f} |",
            flush=True,
        )
    spread = f" ± {statistics.stdev(fids):.2f}" if len(fids) > 1 else ""
    print(f"| modern, {a.budget} | {statistics.mean(times):.0f} | | {statistics.mean(fids):.2f}{spread} |")
    if a.baseline:
        settings = {"precision": "auto", "scores.every": "1 epoch"}
        run = trained(
            a.out / "tutorial-dcgan",
            recipe="tutorial-dcgan",
            data=a.data,
            epochs=a.baseline,
            settings=settings,
        )
        best = float("inf")
        for seconds, images, fid in seconds_and_scores(run):
            mark = " (best so far)" if fid < best else ""
            best = min(best, fid)
            print(f"| tutorial-dcgan | {seconds:.0f} | {images:,} | {fid:.2f}{mark} |")
        print(f"| tutorial-dcgan, its best | | | {final(run)['fid']:.2f} |")


if __name__ == "__main__":
    main()

"""Time to score: the recipe drawn from the images against the classic one, in one command.

    GANVAS_DATA=... python benchmarks/speedrun.py [--budget 1m] [--seeds 3] [--baseline EPOCHS]

Trains the record with several seeds, then `tutorial-dcgan` in bf16 for so many of its 50 epochs (0 leaves
it out), and prints when each first came to which FID of 2,000 images, and the records' FID of 10,000 images
at the end. Times are of steps alone, their number times the median time of one, because both runs are scored
far more often than one would; finding the clusters comes on top (a few seconds, once). Runs that are there
and complete are not trained again; `--keras-epoch SECONDS` adds what Keras would take for the baseline's
epochs.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import NamedTuple

from ganvas.evaluation.history import read_evaluation, scored_steps
from ganvas.runs.run import Run
from runs import trained


class Mark(NamedTuple):
    """A score on the way."""

    seconds: float
    images: int
    fid: float


def marks(run: Run) -> list[Mark]:
    """The scores while training, oldest first."""
    lines = run.history()
    batch = run.recipe.batch_size
    step_seconds = batch / statistics.median(
        line["images_per_second"] for line in lines if "images_per_second" in line
    )
    return [Mark(s.step * step_seconds, s.step * batch, s.fid) for s in scored_steps(lines)]


def first_below(run: list[Mark], fid: float) -> Mark | None:
    """When it first had so low a score."""
    return next((mark for mark in run if mark.fid <= fid), None)


def final(run: Run) -> float:
    """The best checkpoint's FID of 10,000 images."""
    values: dict[str, float] = read_evaluation(run.directory.evaluation) or {}
    return values["fid"]


def curve(run: list[Mark]) -> str:
    """Scores in the order in which they came."""
    return ", ".join(f"{mark.fid:.3g} ({mark.seconds:.0f} s)" for mark in run)


def compared(runs: list[list[Mark]], classic: list[Mark], keras_epoch: float | None, epoch: float) -> None:
    """Print the times to the classic recipe's best score, to half of it and to a quarter."""
    least = min(classic, key=lambda mark: mark.fid)
    head = " | Keras, its epochs | ratio" if keras_epoch else ""
    print(f"\n| FID | auto, each seed | tutorial-dcgan | ratio{head} |")
    print(f"|---|---|---|---|{'---|---|' if keras_epoch else ''}")
    for share in (4, 2, 1, 0.5, 0.25):
        reached = [first_below(run, share * least.fid) for run in runs]
        there = [mark.seconds for mark in reached if mark is not None]
        each = ", ".join("not" if mark is None else f"{mark.seconds:.0f} s" for mark in reached)
        mark = first_below(classic, share * least.fid)
        slowest = max(there) if len(there) == len(runs) else None
        spent = classic[-1] if mark is None else mark
        more = "at least " if mark is None else ""
        cells = [f"{share * least.fid:.1f}", each]
        cells += ["never" if mark is None else f"{mark.seconds:.0f} s"]
        cells += [f"{more}{spent.seconds / slowest:.0f}" if slowest else ""]
        if keras_epoch:
            seconds = spent.images / epoch * keras_epoch
            cells += [f"{more}{seconds:.0f} s", f"{more}{seconds / slowest:.0f}" if slowest else ""]
        print("| " + " | ".join(cells) + " |")
    print("\nratio: of the slowest seed")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a name, looked for in GANVAS_DATA, or a path")
    parser.add_argument("--budget", default="1m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--baseline", type=int, default=50, metavar="EPOCHS")
    parser.add_argument("--every", default="400 steps", help="between two scores of the record")
    parser.add_argument(
        "--keras-epoch", type=float, metavar="SECONDS", help="of Keras's epoch, on this machine"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/speedrun"))
    a = parser.parse_args()
    fids, runs = [], []
    for seed in range(a.seeds):
        overrides = {"scores.interval": a.every}
        out = a.out / f"{Path(a.data).stem}-{a.budget}-{seed}"
        run = trained(out, data=a.data, budget=a.budget, seed=seed, overrides=overrides)
        runs.append(marks(run))
        fids.append(final(run))
        at_end = runs[-1][-1]
        print(
            f"auto, {a.budget}, seed {seed}: FID {fids[-1]:.2f} after {at_end.seconds:.0f} s and "
            f"{at_end.images:,} images; on the way {curve(runs[-1])}",
            flush=True,
        )
    spread = f" ± {statistics.stdev(fids):.2f}" if len(fids) > 1 else ""
    print(f"auto, {a.budget}: FID {statistics.mean(fids):.2f}{spread}, 10,000 images", flush=True)
    if a.baseline:
        overrides = {"precision": "auto", "scores.interval": "1 epoch"}
        out = a.out / f"{Path(a.data).stem}-tutorial-dcgan"
        run = trained(out, recipe="tutorial-dcgan", data=a.data, epochs=a.baseline, overrides=overrides)
        classic = marks(run)
        print(f"tutorial-dcgan: FID {final(run):.2f} at its best; each epoch {curve(classic)}")
        compared(runs, classic, a.keras_epoch, run.record.data.images)


if __name__ == "__main__":
    main()

"""The recipes at equal budgets, several seeds each, scored: the table of docs/scores.md.

    GANVAS_DATA=... python benchmarks/scores.py [--out runs/scores] [--seeds 3] [--recipes NAME ...]

Runs that are there and complete are not trained again. The classic recipes get as many steps (NAME=STEPS) as
take two minutes on two processor cores, so that a loaded machine changes the time and not the scores; the
others, as "mnist 1m --conditional", what `ganvas train` draws from the images. All of it takes four hours.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from ganvas.evaluation.history import read_evaluation
from ganvas.runs.evaluate import evaluate_run
from ganvas.runs.run import Run
from runs import trained as complete

STEPS = {"tutorial-dcgan": 500, "fashion-dcgan": 500, "keras-cnn": 260, "mlp": 3000, "tf1-dcgan": 660}
WAYS: dict[str, dict[str, Any]] = {  # of `ganvas train --data ...`, its recipe drawn from the images
    "1m --clusters 0": {"budget": "1m", "clusters": 0},
    "1m": {"budget": "1m"},
    "1m --conditional": {"budget": "1m", "conditional": True},
    "5m --clusters 0": {"budget": "5m", "clusters": 0},
    "5m": {"budget": "5m"},
    "20m": {"budget": "20m"},
}
AUTO = {
    f"{data} {way}": {"data": data, **how} for data in ("mnist", "fashion-mnist") for way, how in WAYS.items()
}
COLUMNS = (
    ("fid", "FID"), ("kid", "KID"), ("precision", "precision"), ("recall", "recall"), ("density", "density"),
    ("coverage", "coverage"), ("modes", "modes"), ("modes_kl", "KL"), ("vendi", "Vendi"),
    ("authenticity", "authenticity"), ("copies", "copies"),
)  # fmt: skip


def trained(recipe: str, steps: int, seed: int, folder: Path) -> tuple[Run, dict[str, Any]]:
    """A complete run and its evaluation, made where they are missing."""
    path = folder / f"{recipe}-{seed}".replace(" ", "-")
    if recipe in AUTO:
        run = complete(path, **AUTO[recipe], seed=seed)
    else:
        overrides = {"tensorboard": False, "precision": "auto"}
        run = complete(path, recipe=recipe, steps=steps, seed=seed, overrides=overrides)
    if not run.directory.evaluation.exists():
        evaluate_run(run)
    evaluation: dict[str, Any] = read_evaluation(run.directory.evaluation) or {}
    return run, evaluation


def row(recipe: str, runs: list[tuple[Run, dict[str, Any]]]) -> str:
    """Mean and deviation over seeds of every column."""
    cells = [f"`{recipe}`"]
    first, _ = runs[0]
    readings = [[line for line in run.history() if "seconds" in line][-1] for run, _ in runs]
    cells.append(f"{first.record.steps:,}")
    cells.append(f"{readings[0]['images_seen'] / 1e3:,.0f} k")
    for key, _ in COLUMNS:
        values = [float(found[key]) for _, found in runs if found.get(key) is not None]
        cells.append(mean_std(values) if values else "")
    return "| " + " | ".join(cells) + " |"


def mean_std(values: list[float]) -> str:
    """Mean ± deviation, in digits that fit the size."""
    mean = statistics.fmean(values)
    digits = 1 if abs(mean) >= 10 else 2 if abs(mean) >= 0.1 else 4
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def baseline_row(found: dict[str, Any]) -> str:
    """The row of real images."""
    cells = ["real test images", "", ""]
    for key, _ in COLUMNS:
        value = found.get(f"{key}_baseline")
        cells.append("" if value is None else mean_std([float(value)]))
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/scores"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=[*(f"{k}={v}" for k, v in STEPS.items()), *AUTO])
    a = parser.parse_args()
    budgets = {word.partition("=")[0]: int(word.partition("=")[2] or 500) for word in a.recipes}
    done: dict[str, list[tuple[Run, dict[str, Any]]]] = {recipe: [] for recipe in budgets}
    for seed in range(a.seeds):
        for recipe, steps in budgets.items():
            done[recipe].append(trained(recipe, steps, seed, a.out))
    by_data: dict[str, list[str]] = {}
    for recipe, runs in done.items():
        reference = runs[0][1]["protocol"]["text"]
        by_data.setdefault(reference, []).append(recipe)
    for reference, recipes in by_data.items():
        print(f"\n{reference}\n")
        print("| recipe | steps | images | " + " | ".join(title for _, title in COLUMNS) + " |")
        print("|" + "---|" * (3 + len(COLUMNS)))
        for recipe in recipes:
            print(row(recipe, done[recipe]))
        print(baseline_row(done[recipes[0]][0][1]))


if __name__ == "__main__":
    main()

"""Few images: with DiffAugment, with ADA, and without, on as many of a set's images as are asked for.

    GANVAS_DATA=... python benchmarks/few.py [--data mnist] [--counts 500 1000 5000] [--seeds 3] [--budget 1m]

The images are sampled from the training split, the same for all runs of a count. Each run's best checkpoint
gives 10,000 images, which are scored against the test split. Copies are measured against the images trained
on, with the test split as the held-out images. Runs that are complete are not trained again.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from ganvas import metrics
from ganvas.data import load_dataset
from ganvas.evaluation import Reference, load_reference
from ganvas.evaluation.score import compute_score
from ganvas.runs.run import Run
from runs import trained

WAYS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "diffaugment": {},
    "ada": {"affine": True, "target": 0.6},
}
GENERATED = 10_000


def subset(data: str, count: int, folder: Path) -> Path:
    """So many images of the training split, in a file that is made once."""
    path = folder / f"{Path(data).stem}-{count}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        whole = load_dataset(data)
        rows = np.random.default_rng(0).permutation(len(whole))[:count]
        part = path.with_name(f"{path.stem}.partial.npz")
        np.savez(part, images=whole.images[rows])
        part.replace(path)
    return path


def measured(run: Run, images: Path, reference: Reference) -> dict[str, Any]:
    """The row of one run."""
    features = reference.extractor(np.asarray(run.sample(GENERATED, seed=0)))
    score = compute_score(features, reference)
    seen = reference.extractor(load_dataset(images).images)
    memorized = metrics.memorization_scores(features, seen, reference.features)
    lines = run.history()
    return {
        "FID": score.fid.value,
        "KID": score.kid.value,
        "precision": score.precision.value,
        "recall": score.recall.value,
        "copies": memorized.copies.value,
        "C_T": memorized.copying,
        "augmented": [line["augment_probability"] for line in lines if "augment_probability" in line][-1:],
        "health": sorted({line["health"] for line in lines if "health" in line}),
        "best": (run.best_step or run.step) / run.step,
    }


def row(name: str, results: list[dict[str, Any]]) -> str:
    """A line of the table: mean ± deviation over the seeds."""

    def mean_std(key: str, digits: int) -> str:
        values = [f[key] for f in results]
        deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.{digits}f}{deviation}"

    adapted = [p for f in results for p in f["augmented"]]
    kinds = sorted({kind for f in results for kind in f["health"]})
    cells = [
        name,
        mean_std("FID", 2),
        mean_std("KID", 3),
        mean_std("precision", 2),
        mean_std("recall", 2),
        f"{100 * statistics.fmean(f['copies'] for f in results):.1f}%",
        mean_std("C_T", 0),
        f"{statistics.fmean(adapted):.2f}" if adapted else "",
        f"{100 * statistics.fmean(f['best'] for f in results):.0f}%",
        ", ".join(kinds),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Train what is missing, print the table row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a name, looked for in GANVAS_DATA")
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 1000, 5000])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--budget", default="1m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/few"))
    a = parser.parse_args()
    reference = load_reference(a.data, split="test")
    head = ["images", "augmentation", "FID", "KID", "precision", "recall", "copies", "C_T", "p", "best at"]
    print("| " + " | ".join([*head, "health checks"]) + " |\n|" + "---|" * (len(head) + 1))
    for count in a.counts:
        images = subset(a.data, count, a.out)
        for way in a.ways:
            results = []
            for seed in range(a.seeds):
                path = a.out / f"{images.stem}-{a.budget}-{way}-{seed}"
                run = trained(path, data=images, budget=a.budget, seed=seed, overrides={"augment": WAYS[way]})
                results.append(measured(run, images, reference))
            print(row(f"{count:,} | {way}", results), flush=True)


if __name__ == "__main__":
    main()

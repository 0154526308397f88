"""Objectives, penalties and more exchanged one at a time: the same networks, budget and seeds otherwise.

    GANVAS_DATA=... python benchmarks/ladder.py [--data mnist] [--steps 2000] [--seeds 3] [--rows NAME ...]

The base is the recipe of `ganvas train --budget 1m`, conditioned on no clusters, stopped after `--steps`
steps (its learning rates and average follow the length). Each row changes what its name says. Scored is the
end of each run, 10,000 images, as mean ± deviation over the seeds. Runs that are complete are not trained
again.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from ganvas.data import load_dataset
from ganvas.evaluation.history import read_evaluation
from ganvas.runs.evaluate import evaluate_run
from runs import trained

R1 = {"kind": "r1", "weight": 0.2, "interval": 8}
ROWS: dict[str, dict[str, Any]] = {
    "base: non-saturating, R1 0.2 every 8th step": {},
    "saturating": {"objective": "saturating"},
    "least squares": {"objective": "least_squares"},
    "hinge": {"objective": "hinge"},
    "relativistic": {"objective": "relativistic"},
    "relativistic, R1 and R2": {"objective": "relativistic", "penalties": [R1, {**R1, "kind": "r2"}]},
    "Wasserstein, gradient penalty 10": {
        "objective": "wasserstein",
        "penalties": [{"kind": "wgan_gp", "weight": 10}],
    },
    "no penalty": {"penalties": []},
    "no penalty, spectral norm": {"penalties": [], "discriminator.spectral_norm": True},
    "R1 every step": {"penalties": [{"kind": "r1", "weight": 0.2}]},
    "R1 and R2": {"penalties": [R1, {**R1, "kind": "r2"}]},
    "gradient penalty 10": {"penalties": [{"kind": "wgan_gp", "weight": 10}]},
    "DRAGAN 10": {"penalties": [{"kind": "dragan", "weight": 10}]},
    "no average": {"ema": None},
    "constant learning rates": {"generator_optimizer.schedule": None},
    "one learning rate for both, 1e-3": {"generator_optimizer.learning_rate": 1e-3},
    "DiffAugment": {"augment": {}},
    "conditioned on 100 clusters of the pixels": {"classes": 100, "condition_on": "clusters"},
    "conditioned on the labels": {"classes": None},  # as many as there are
}


def evaluated(name: str, seed: int, a: argparse.Namespace) -> dict[str, Any]:
    """The scores of a row's run, which is made where it is missing; `seconds` are of training."""
    folder = "".join(c if c.isalnum() else "-" for c in name)
    path = a.out / f"{Path(a.data).stem}-{a.steps}-steps" / f"{folder}-{seed}"
    overrides = {"scores": None, "health": "off", "classes": 0, **ROWS[name]}
    if overrides["classes"] is None:
        overrides["classes"] = load_dataset(a.data).num_classes
    run = trained(path, data=a.data, budget="1m", steps=a.steps, seed=seed, overrides=overrides)
    if not run.directory.evaluation.exists():
        evaluate_run(run)
    scores: dict[str, Any] = read_evaluation(run.directory.evaluation) or {}
    return {**scores, "seconds": [line["seconds"] for line in run.history() if "seconds" in line][-1]}


def mean_std(values: list[float], digits: int) -> str:
    """Mean ± deviation."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def main() -> None:
    """Train what is missing, print the table row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a name, looked for in GANVAS_DATA, or a path")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"))
    a = parser.parse_args()
    print("| | FID | each seed | precision | recall | seconds |\n|---|---|---|---|---|---|")
    for name in a.rows:
        scores = [evaluated(name, seed, a) for seed in range(a.seeds)]
        fids = [f["fid"] for f in scores]
        cells = [
            name,
            mean_std(fids, 2),
            ", ".join(f"{fid:.2f}" for fid in fids),
            mean_std([f["precision"] for f in scores], 2),
            mean_std([f["recall"] for f in scores], 2),
            f"{statistics.fmean(f['seconds'] for f in scores):.0f}",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

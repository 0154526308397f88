"""What a long run leaves in its directory, written by hand into a short one."""

import json

import numpy as np
from PIL import Image

PROTOCOL = "gv1-1a2b3c4d, 2,000 images against mnist train (60,000)"
EVALUATION = {
    "fid": 7.93, "fid_baseline": 1.84, "fid_stderr": 0.083, "fid_infinity": 7.41,
    "kid": 0.00413, "kid_baseline": 0.00012, "kid_stderr": 0.00031,
    "precision": 0.742, "precision_baseline": 0.801, "precision_stderr": 0.0041,
    "recall": 0.553, "recall_baseline": 0.79, "recall_stderr": 0.005,
    "density": 0.912, "density_baseline": 1.003, "coverage": 0.817, "coverage_baseline": 0.942,
    "modes": 2, "modes_total": 3, "modes_kl": 0.0213,
    "modes_histogram": {"cat": 0.75, "dog": 0.249, "eel": 0.001},
    "modes_expected": {"cat": 0.5, "dog": 0.25, "eel": 0.25}, "modes_missing": ["eel"],
    "vendi": 21.3, "vendi_baseline": 26.8, "authenticity": 0.71, "authenticity_baseline": 0.68,
    "copies": 0.0012, "copies_baseline": 0.0009, "copying": 1.24,
    "protocol": {"features": "gv1", "images": 10000, "text": "gv1 (1a2b3c4d), 10,000 images against mnist"},
    "subject": "runs/x, step 6", "step": 6,
}  # fmt: skip


def reading(step, **values):
    """A line of `metrics.jsonl`: 64 images and a tenth of a second a step."""
    return {
        "step": step, "epoch": step // 4, "images_seen": 64 * step, "seconds": step / 10,
        "images_per_second": 640.0, "seconds_per_epoch": 0.4,
        "discriminator_loss": 1.3, "generator_loss": 0.8, "real_probability": 0.6, "fake_probability": 0.4,
        **values,
    }  # fmt: skip


def score(step, fid, *, protocol=PROTOCOL, **values):
    """A scored step."""
    known = {"fid": fid, "precision": 0.5, "recall": 0.4, "density": 0.7, "coverage": 0.6}
    modes = {"modes": 2, "modes_total": 3}
    return {"step": step, "epoch": step // 4, "score": {**known, **modes, **values}, "protocol": protocol}


def health(step, kind, message):
    """A message of the health checks."""
    return {"step": step, "epoch": step // 4, "health": kind, "message": message}


def log(run, lines):
    """Write `metrics.jsonl`."""
    run.directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))


def evaluate(run, **changed):
    """Write `evaluation.json`; a value of None is left out."""
    values = {key: value for key, value in {**EVALUATION, **changed}.items() if value is not None}
    (run.path / "evaluation.json").write_text(json.dumps({"format": 1, "evaluations": [values]}))


def grids(run, steps, side=24, seed=0):
    """Replace the sample grids by noise, each its own."""
    run.directory.samples.mkdir(exist_ok=True)
    for file in run.directory.samples.iterdir():
        file.unlink()
    rng = np.random.default_rng(seed)
    for step in steps:
        noise = rng.integers(0, 256, (side, side), np.uint8)
        Image.fromarray(noise).save(run.directory.sample_file(step))


def fill(run, fids=(90.0, 30.0, 12.0, 8.0, 9.5)):
    """A run with all there can be."""
    lines = [reading(step, generator_loss=1 + step % 7 / 10) for step in range(1, 201)]
    lines += [score(40 * (i + 1), fid) for i, fid in enumerate(fids)]
    lines += [health(90, "collapse", "Only 2 of 3 classes are left."), health(95, "discriminator", "D wins.")]
    log(run, lines)
    evaluate(run)
    grids(run, range(0, 210, 10))
    return run

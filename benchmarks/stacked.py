"""Modes on stacked MNIST by PacGAN's protocol: how many of the 1,000 a generator generates, and how evenly.

    python scripts/stack_mnist.py stacked.npz
    python benchmarks/stacked.py RUN ... [--data stacked.npz]

26,000 images of each run, each channel classified by gv1's MNIST classifier; a mode counts if one image
falls into it, KL is against equal frequencies, in nats (Lin et al. 2018, arXiv 1712.04086). `--data` scores
the set itself in the same way: the baseline.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganvas import metrics
from ganvas.data import load_dataset
from ganvas.evaluation import load_reference
from ganvas.runs.run import Run
from ganvas.utils.images import ImageArray


def triples(images: ImageArray) -> Tensor:
    """The digits of each channel, int64 [N, 3]."""
    reference = load_reference("mnist")
    classifier = reference.classifier
    assert classifier is not None
    channels = (np.ascontiguousarray(images[:, i : i + 1]) for i in range(3))
    return torch.stack([classifier(reference.extractor(channel)) for channel in channels], 1)


def line(name: str, images: ImageArray) -> str:
    """A row of the table."""
    modes = metrics.stacked_modes(triples(images))
    return f"| {name} | {len(images):,} | {modes.covered} | {modes.kl:.3f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, help="run directories, trained on stacked MNIST")
    parser.add_argument("--data", type=Path, help="the .npz that scripts/stack_mnist.py made")
    parser.add_argument("--step", default=None, help="a checkpoint's step, best or newest")
    a = parser.parse_args()
    print("| | images | modes | KL |\n|---|---|---|---|")
    if a.data:
        print(line("the set itself", load_dataset(a.data).images[: metrics.STACKED_SAMPLES]), flush=True)
    for path in a.runs:
        run = Run.open(path)
        step = int(a.step) if str(a.step).isdecimal() else a.step
        print(line(str(path), np.asarray(run.sample(metrics.STACKED_SAMPLES, step=step))), flush=True)


if __name__ == "__main__":
    main()

"""What each score means, in a few words: for the pages, and for whoever prints a table. Values only."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """A score: its key in `evaluation.json`, its name for a reader, which way is better, what it says."""

    key: str
    title: str
    better: Literal["lower", "higher", "nearer 0"]
    meaning: str


METRICS: tuple[Metric, ...] = (
    Metric("fid", "FID", "lower", "how far the generated images are from the real ones, as a feature "
           "network sees both; the one number to watch"),
    Metric("fid_infinity", "FID∞", "lower", "FID as it would be with endlessly many images"),
    Metric("kid", "KID", "lower", "the same question asked another way, fair to small samples"),
    Metric("precision", "Precision", "higher", "quality: the share of generated images that could be real"),
    Metric("recall", "Recall", "higher", "variety: the share of real images it could have made"),
    Metric("density", "Density", "higher", "quality: how thickly real images lie around each generated one; "
           "real images get about 1"),
    Metric("coverage", "Coverage", "higher", "variety: the share of real images with a generated one nearby"),
    Metric("modes", "Modes", "higher", "how many of the classes the generator draws at all"),
    Metric("modes_kl", "Unevenness of modes", "lower", "whether it draws each class as often as it really "
           "comes; 0 is exactly as often"),
    Metric("cas", "Classifier", "higher", "the share of other real images that a classifier tells right "
           "which has learned from generated ones alone"),
    Metric("vendi", "Vendi score", "higher", "how many truly different images there are among the samples"),
    Metric("authenticity", "Authenticity", "higher", "the share of generated images that are more than a "
           "training image slightly changed"),
    Metric("copies", "Copies", "lower", "the share of generated images nearer to a training image than "
           "99% of unseen real images are; 0.01 is usual"),
    Metric("copying", "Copying test", "nearer 0", "below about −3 the generated images lie nearer to the "
           "training images than unseen real ones do: it copies; above 3 it strays from them"),
)  # fmt: skip

COMPARED = ("fid", "kid", "precision", "recall", "density", "coverage", "modes")
"""The scores that a comparison of runs shows."""

FLOOR = "what real images get that were kept out of training: as good as can be expected"
"""What the column of floors says."""

"""Metrics: pure functions from features, classes or images to numbers.

Features are float32 [N, D] of any network; the file of each score names its paper. A score depends on N and
on the network: print the real-data baseline beside it, the score of real samples against other real ones.
"""

from ganvas.metrics.cas import classification_accuracy
from ganvas.metrics.common import Estimate
from ganvas.metrics.frechet import Moments, fid, fid_infinity, frechet_distance, moments
from ganvas.metrics.kernel import kid
from ganvas.metrics.knn import nearest_neighbors
from ganvas.metrics.manifold import Manifold, density_coverage, manifold_scores, precision_recall
from ganvas.metrics.memorization import Memorization, memorization_scores
from ganvas.metrics.mode_coverage import STACKED_SAMPLES, Modes, mode_coverage, stacked_modes
from ganvas.metrics.vendi import vendi_score

__all__ = [
    "STACKED_SAMPLES",
    "Estimate",
    "Manifold",
    "Memorization",
    "Modes",
    "Moments",
    "classification_accuracy",
    "density_coverage",
    "fid",
    "fid_infinity",
    "frechet_distance",
    "kid",
    "manifold_scores",
    "memorization_scores",
    "mode_coverage",
    "moments",
    "nearest_neighbors",
    "precision_recall",
    "stacked_modes",
    "vendi_score",
]

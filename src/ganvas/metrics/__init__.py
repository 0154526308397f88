"""Metrics: pure functions from features, classes or images to numbers.

Features are float32 [N, D], of whatever network; every score says in its file which paper it follows.
A score depends on N and on the network: print beside it what real samples score against real ones.
"""

from ganvas.metrics.cas import classification_accuracy
from ganvas.metrics.estimate import Estimate
from ganvas.metrics.frechet import Moments, fid, fid_infinity, frechet_distance, moments
from ganvas.metrics.kernel import kid
from ganvas.metrics.manifold import Manifold, density_coverage, manifold, precision_recall
from ganvas.metrics.memorisation import Memorisation, memorisation
from ganvas.metrics.modes import STACKED_SAMPLES, Modes, modes, stacked_modes
from ganvas.metrics.neighbours import nearest
from ganvas.metrics.vendi import vendi_score

__all__ = [
    "STACKED_SAMPLES",
    "Estimate",
    "Manifold",
    "Memorisation",
    "Modes",
    "Moments",
    "classification_accuracy",
    "density_coverage",
    "fid",
    "fid_infinity",
    "frechet_distance",
    "kid",
    "manifold",
    "memorisation",
    "modes",
    "moments",
    "nearest",
    "precision_recall",
    "stacked_modes",
    "vendi_score",
]

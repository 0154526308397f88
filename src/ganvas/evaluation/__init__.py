"""Scores of images, with their protocol, a real-data baseline and a standard error.

A score without its protocol means nothing: Fréchet distances of two feature networks, or of two numbers of
images, cannot be compared. Here a score, the protocol and the baseline travel together.
"""

from ganvas.evaluation.protocol import Protocol, require_same
from ganvas.evaluation.reference import Reference, load_reference
from ganvas.evaluation.score import (
    Evaluation,
    Score,
    classification_accuracy_score,
    evaluate_features,
)

__all__ = [
    "Evaluation",
    "Protocol",
    "Reference",
    "Score",
    "classification_accuracy_score",
    "evaluate_features",
    "load_reference",
    "require_same",
]

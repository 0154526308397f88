"""Scores: how good images are, with the protocol they were taken by, a floor and a spread.

A score without its protocol means nothing: Fréchet distances of two feature networks, or of two numbers of
images, cannot be compared. Here a score, the protocol and the floor travel together.
"""

from ganvas.scores.accuracy import class_accuracy
from ganvas.scores.protocol import Protocol, require_same
from ganvas.scores.reference import Reference, load_reference
from ganvas.scores.score import Evaluation, Score, evaluate

__all__ = [
    "Evaluation",
    "Protocol",
    "Reference",
    "Score",
    "class_accuracy",
    "evaluate",
    "load_reference",
    "require_same",
]

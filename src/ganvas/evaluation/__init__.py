"""Scores of images, with their protocol, a real-data baseline and a standard error.

A score without its protocol means nothing: Fréchet distances of two feature networks, or of two numbers of
images, cannot be compared. Here a score, the protocol and the baseline travel together.

Names are loaded when first used, so that reading a run's history (`ganvas.evaluation.history`) imports no
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganvas.evaluation.protocol import Protocol as Protocol
    from ganvas.evaluation.protocol import require_same as require_same
    from ganvas.evaluation.reference import Reference as Reference
    from ganvas.evaluation.reference import load_reference as load_reference
    from ganvas.evaluation.score import Evaluation as Evaluation
    from ganvas.evaluation.score import Score as Score
    from ganvas.evaluation.score import classification_accuracy_score as classification_accuracy_score
    from ganvas.evaluation.score import evaluate_features as evaluate_features

_MODULES = {
    "Evaluation": "score",
    "Protocol": "protocol",
    "Reference": "reference",
    "Score": "score",
    "classification_accuracy_score": "score",
    "evaluate_features": "score",
    "load_reference": "reference",
    "require_same": "protocol",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"ganvas.evaluation.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'ganvas.evaluation' has no attribute {name!r}")

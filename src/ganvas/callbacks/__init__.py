"""Callbacks: code that is called while a run trains. None changes the bits of training."""

from ganvas.callbacks.base import (
    CALLBACKS,
    Callback,
    CallbackList,
    LogRecord,
    ScoreRecord,
    TrainingContext,
    load_callback,
)

__all__ = [
    "CALLBACKS",
    "Callback",
    "CallbackList",
    "LogRecord",
    "ScoreRecord",
    "TrainingContext",
    "load_callback",
]

"""Runs side by side, by their directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganvas.report import Comparison
from ganvas.report import compare as compare_opened
from ganvas.runs.run import Run


def compare(runs: Sequence[Run | str | Path]) -> Comparison:
    """Lay runs side by side.

    Args:
        runs: run directories or opened runs, at least one.

    Raises:
        RunError: a path is no run.
        UserError: no runs, one named twice, or scores that were taken in different ways.
    """
    return compare_opened([run if isinstance(run, Run) else Run.open(run) for run in runs])

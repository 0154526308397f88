"""What the benchmarks that train have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ganvas
from ganvas.runs.run import Run


def trained(path: Path, **how: Any) -> Run:
    """A complete run at `path`, made by `ganvas.train(**how)` where it is missing, else finished."""
    if not (path / "run.json").exists():
        return ganvas.train(out=path, quiet=True, **how)
    run = Run.open(path)
    return run if run.step >= run.record.steps else ganvas.resume(path, quiet=True)

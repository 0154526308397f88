"""ganvas: train, measure, explore and ship GANs for small images.

    import ganvas
    run = ganvas.train("mlp", data="mnist-5k", out="runs/mlp", steps=1000)
    run.sample(16, seed=0).save("digits.png")

Names are loaded when first used: importing ganvas imports neither torch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganvas.data import ImageSet as ImageSet
    from ganvas.data import load as load
    from ganvas.errors import GanvasError as GanvasError
    from ganvas.evaluation import evaluate as evaluate
    from ganvas.launch import resume as resume
    from ganvas.launch import train as train
    from ganvas.recipe import Recipe as Recipe
    from ganvas.run import Run as Run

__version__ = "0.1.0"

_PLACES = {
    "GanvasError": "ganvas.errors",
    "ImageSet": "ganvas.data",
    "Recipe": "ganvas.recipe",
    "Run": "ganvas.run",
    "evaluate": "ganvas.evaluation",
    "load": "ganvas.data",
    "resume": "ganvas.launch",
    "train": "ganvas.launch",
}

__all__ = ["GanvasError", "ImageSet", "Recipe", "Run", "evaluate", "load", "open", "resume", "train"]


def open(path: Any) -> Run:  # noqa: A001 - ganvas.open("runs/x") reads as it should
    """Open a run directory; see `ganvas.Run`."""
    from ganvas.run import Run

    return Run.open(path)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'ganvas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

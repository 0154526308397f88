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
    from ganvas import register as register
    from ganvas.data import ImageSet as ImageSet
    from ganvas.data import load_dataset as load_dataset
    from ganvas.errors import GanvasError as GanvasError
    from ganvas.recipes.schema import Recipe as Recipe
    from ganvas.runs.evaluate import evaluate as evaluate
    from ganvas.runs.fork import fork as fork
    from ganvas.runs.resume import resume as resume
    from ganvas.runs.run import Run as Run
    from ganvas.runs.run import open_run as open_run
    from ganvas.runs.summary import compare as compare
    from ganvas.runs.train import plan as plan
    from ganvas.runs.train import train as train

__version__ = "0.1.0"

_MODULES = {
    "GanvasError": "ganvas.errors",
    "ImageSet": "ganvas.data",
    "Recipe": "ganvas.recipes.schema",
    "Run": "ganvas.runs.run",
    "compare": "ganvas.runs.summary",
    "evaluate": "ganvas.runs.evaluate",
    "fork": "ganvas.runs.fork",
    "load_dataset": "ganvas.data",
    "open_run": "ganvas.runs.run",
    "plan": "ganvas.runs.train",
    "resume": "ganvas.runs.resume",
    "train": "ganvas.runs.train",
}

__all__ = [
    "GanvasError", "ImageSet", "Recipe", "Run", "compare", "evaluate", "fork", "load_dataset", "open_run",
    "plan", "register", "resume", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "register":
        return importlib.import_module("ganvas.register")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'ganvas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

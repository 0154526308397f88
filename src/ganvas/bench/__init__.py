"""`ganvas bench`: how fast a recipe trains and samples here, and how near that is to the machine's limit."""

from ganvas.bench.bench import Bench, bench

__all__ = ["Bench", "bench"]

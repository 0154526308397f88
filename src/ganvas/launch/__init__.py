"""`train` and `resume`: from a recipe and a data set to a run directory, and on from there."""

from ganvas.launch.resuming import resume
from ganvas.launch.starting import train

__all__ = ["resume", "train"]

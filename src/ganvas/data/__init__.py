"""Where images come from: sets known by name, and a user's own files and folders.

A reader (idx, npy, npz, album, cifar) looks at a file and returns an `ImageStream`; joining,
transposing, fitting and verifying wrap it (stream, fit); `gather` reads it into memory or a memory
map; `load` ties them together. `catalog` holds the known sets as values.
"""

from ganvas.data.catalog import NAMES
from ganvas.data.describe import Description, describe
from ganvas.data.imageset import ImageSet
from ganvas.data.judged import load_pictures
from ganvas.data.load import load

__all__ = ["NAMES", "Description", "ImageSet", "describe", "load", "load_pictures"]

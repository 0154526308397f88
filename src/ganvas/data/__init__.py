"""Data sets: published sets by name, and the files and folders of the user.

A reader (idx, numpy_files, image_folder, cifar) inspects a file and returns an `ImageStream`; concatenating,
transposing, resizing and verifying wrap it (image_stream, resize); `materialize` reads it into memory or a
memory map; `load` combines them. `published_sets` describes the
published sets, `published_files` searches for them on this machine.
"""

from ganvas.data.description import Description, describe_dataset
from ganvas.data.image_folder import load_images
from ganvas.data.image_set import ImageSet
from ganvas.data.load import load_dataset
from ganvas.data.published_sets import DATASET_NAMES

__all__ = ["DATASET_NAMES", "Description", "ImageSet", "describe_dataset", "load_dataset", "load_images"]

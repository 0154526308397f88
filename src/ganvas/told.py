"""What the players are told of the pictures: their labels, or the clusters that they are sorted into.

The clusters are found once, when a run begins, and lie in the run directory as `clusters.safetensors`: a
resumed run is told the same, on whatever machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ganvas.data import ImageSet
from ganvas.data.clusters import Labels, clusters, sorted_into
from ganvas.errors import RunError
from ganvas.files import write_bytes
from ganvas.randomness import Stream, derived_seed
from ganvas.recipe import Recipe
from ganvas.rundir import Clusters, RunDirectory, RunRecord


def told(images: ImageSet, recipe: Recipe, seed: int) -> ImageSet:
    """The set with the labels that the players are told, sorted into clusters where the recipe says so.

    Raises:
        UserError: more clusters than pictures.
    """
    if not recipe.told_clusters:
        return images
    labels = clusters(images, recipe.classes, derived_seed(seed, Stream.CLUSTERS))
    return sorted_into(images, labels, recipe.classes)


def told_again(directory: RunDirectory, record: RunRecord, images: ImageSet, *, began: bool) -> ImageSet:
    """The same for a run that goes on: what it was told before.

    Args:
        directory: of the run.
        record: of the run.
        images: its set.
        began: whether it has a checkpoint; one killed before its first is told anew.

    Raises:
        RunError: the file is not there, or not what was written.
    """
    if record.clusters is None:
        return images
    try:
        labels = _read(directory.clusters, record.clusters.sha256)
    except RunError as error:
        if began:
            raise RunError(
                f"{error}: it says which cluster each picture is in, so that the run cannot go on without; "
                f"restore it, or train a new run"
            ) from None
        again = told(images, record.recipe, record.seed)
        write(directory, again)
        return again
    return sorted_into(images, labels, record.recipe.classes)


def recorded(images: ImageSet, recipe: Recipe) -> Clusters | None:
    """What `run.json` says of the clusters, where some are told."""
    if not recipe.told_clusters:
        return None
    assert images.labels is not None
    counts = np.bincount(images.labels, minlength=recipe.classes).tolist()
    return Clusters(counts=tuple(counts), sha256=hashlib.sha256(_content(images.labels)).hexdigest())


def write(directory: RunDirectory, images: ImageSet) -> None:
    """Put the clusters into the run directory."""
    assert images.labels is not None
    write_bytes(directory.clusters, _content(images.labels), durable=True)


def _read(file: Path, sha256: str) -> Labels:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(f"{file} is damaged, run.json has another hash of it")
    try:
        return safetensors.numpy.load(content)["labels"]
    except (KeyError, safetensors.SafetensorError):
        raise RunError(f"{file} holds no labels") from None


def _content(labels: Labels) -> bytes:
    return safetensors.numpy.save({"labels": labels.astype(np.int32)})

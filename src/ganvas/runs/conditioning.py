"""What a run is conditioned on: the images' labels, or clusters of their pixels.

The clusters are found once, when a run begins, and lie in the run directory as `clusters.safetensors`: a
resumed run is conditioned on the same, on whatever machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ganvas.data import ImageSet
from ganvas.data.clusters import Labels, with_cluster_labels
from ganvas.errors import DataError, RunError
from ganvas.recipes.schema import Recipe
from ganvas.runs.directory import ClusterRecord, RunDirectory, RunRecord
from ganvas.training.conditioning import condition
from ganvas.utils.io import write_bytes


def restore_conditioning(
    directory: RunDirectory, record: RunRecord, images: ImageSet, *, began: bool
) -> ImageSet:
    """The labels or clusters that a resumed run was conditioned on before.

    Args:
        directory: of the run.
        record: of the run.
        images: its set.
        began: whether it has a checkpoint; where it has none, clusters that cannot be read are found anew.

    Raises:
        RunError: the file is not there, or not what was written.
    """
    if record.clusters is None:
        return images
    file = directory.clusters
    try:
        return with_cluster_labels(images, _read(file, record.clusters.sha256), record.class_names)
    except (RunError, DataError) as error:
        if began:
            what = error if isinstance(error, RunError) else f"{file} is damaged: {error}"
            raise RunError(
                f"{what}; it says which cluster each image is in, and the run cannot go on without: "
                f"restore it, or train a new run"
            ) from None
        again = condition(images, record.recipe, record.seed)
        write_clusters(directory, again)
        return again


def cluster_record(images: ImageSet, recipe: Recipe) -> ClusterRecord | None:
    """What `run.json` says of the clusters, in a run conditioned on them."""
    if not recipe.conditioned_on_clusters:
        return None
    assert images.labels is not None
    counts = np.bincount(images.labels, minlength=recipe.classes).tolist()
    return ClusterRecord(counts=tuple(counts), sha256=_digest(images.labels))


def write_clusters(directory: RunDirectory, images: ImageSet) -> None:
    """Put the clusters into the run directory."""
    assert images.labels is not None
    content = safetensors.numpy.save({"labels": images.labels.astype(np.int32)})
    write_bytes(directory.clusters, content, durable=True)


def _read(file: Path, sha256: str) -> Labels:
    try:
        labels = safetensors.numpy.load(file.read_bytes())["labels"]
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except (KeyError, safetensors.SafetensorError):
        raise RunError(f"{file} is damaged: it holds no labels") from None
    if labels.dtype != np.int32 or labels.ndim != 1:
        raise RunError(
            f"{file} is damaged: expected labels int32 [N], got {labels.dtype} {list(labels.shape)}"
        )
    if _digest(labels) != sha256:
        raise RunError(f"{file} is damaged: run.json has another hash of its labels")
    return labels.astype(np.int64)


def _digest(labels: Labels) -> str:
    """Of the values, not of the file: other versions of its library may write other bytes."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i4").data).hexdigest()

"""What a run is conditioned on: the images' labels, or clusters of their pixels.

The clusters are found once, when a run begins, and lie in the run directory as `clusters.safetensors`: a
resumed run is conditioned on the same, on whatever machine.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ganvas.data import ImageSet
from ganvas.data.clusters import Labels
from ganvas.errors import RunError, UserError, did_you_mean
from ganvas.recipes.schema import Recipe
from ganvas.runs.directory import ClusterRecord, RunDirectory, RunRecord
from ganvas.training.conditioning import conditioning_labels
from ganvas.utils.io import read_regular, write_bytes

_MAX_HEADER_BYTES = 2**20


def restore_conditioning(
    directory: RunDirectory, record: RunRecord, images: ImageSet, *, began: bool
) -> Labels | None:
    """The labels int64 [N] that a resumed run was conditioned on before; None where it was not.

    Args:
        directory: of the run.
        record: of the run.
        images: its set, of N images.
        began: whether it has a checkpoint; where it has none, unreadable clusters are computed again.

    Raises:
        RunError: the file is not there, or not what was written.
    """
    if record.clusters is None:
        return conditioning_labels(images, record.recipe, record.seed)
    try:
        return _read(directory.clusters, record.clusters, len(images))
    except RunError as error:
        if began:
            raise RunError(
                f"{error}; it says which cluster each image is in, and the run cannot continue without it: "
                f"restore it, or train a new run"
            ) from None
        labels = conditioning_labels(images, record.recipe, record.seed)
        assert labels is not None
        write_clusters(directory, labels)
        return labels


def cluster_record(labels: Labels | None, recipe: Recipe) -> ClusterRecord | None:
    """What `run.json` says of the clusters `labels`; None in a run not conditioned on clusters."""
    if not recipe.conditioned_on_clusters:
        return None
    assert labels is not None
    counts = np.bincount(labels, minlength=recipe.classes).tolist()
    return ClusterRecord(counts=tuple(counts), sha256=_digest(labels))


def class_number(record: RunRecord, class_: str | int, run: str) -> int:
    """The number of the class that `class_` names, or is; `run` is the run's path, for error lines.

    Raises:
        UserError: a run without classes, no such class, or one without images.
    """
    names = record.class_names
    if not record.recipe.classes:
        raise UserError(
            f"class {class_}: {run} is not conditional; to ask for a class, train with the option conditional"
        )
    if record.recipe.conditioned_on_clusters and str(class_) not in names:
        raise UserError(
            f"class {class_}: {run} is conditioned on clusters of the pixels, not on classes; train with the "
            f"option conditional for these, or take one of {names[0]} to {names[-1]}"
        )
    numbers_are_names = any(name.isdecimal() for name in names)  # then 1 is a name, not a number
    if str(class_) in names:
        number = names.index(str(class_))
    elif not numbers_are_names and re.fullmatch("[0-9]{1,6}", str(class_)) and int(class_) < len(names):
        number = int(class_)
    else:
        raise UserError(f"class {class_}: {did_you_mean(str(class_), names)}")
    if not record.class_counts[number]:
        raise UserError(f"class {class_}: there was no image of it to learn from")
    return number


def write_clusters(directory: RunDirectory, labels: Labels) -> None:
    """Write the cluster of each image, int64 [N], into the run directory."""
    content = safetensors.numpy.save({"labels": labels.astype(np.int32)})
    write_bytes(directory.clusters, content, durable=True)


def _read(file: Path, record: ClusterRecord, count: int) -> Labels:
    try:
        content = read_regular(file, limit=4 * count + _MAX_HEADER_BYTES, follow_links=False)
        labels = safetensors.numpy.load(content)["labels"]
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except (KeyError, safetensors.SafetensorError):
        raise RunError(f"{file} is damaged: it holds no labels") from None
    if labels.dtype != np.int32 or labels.shape != (count,):
        raise RunError(
            f"{file} is damaged: expected one label per image, int32 [{count}], got {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if _digest(labels) != record.sha256:
        raise RunError(f"{file} is damaged: run.json has another hash of its labels")
    if labels.min() < 0 or np.bincount(labels, minlength=len(record.counts)).tolist() != list(record.counts):
        raise RunError(f"{file} is damaged: run.json has other numbers of images in the clusters")
    return labels.astype(np.int64)


def _digest(labels: Labels) -> str:
    """Of the values, not of the file: other versions of its library may write other bytes."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i4").data).hexdigest()

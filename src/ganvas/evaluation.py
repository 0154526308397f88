"""`ganvas evaluate`: score a run's generator, or any images, against real ones."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas import memory, metrics, scores
from ganvas.data import load
from ganvas.data.imageset import in_chunks
from ganvas.errors import DataError, GanvasError, UserError, printable
from ganvas.files import write_bytes, write_json
from ganvas.images import Pixels, enlarged, grid, png_bytes, to_picture
from ganvas.metrics import Estimate
from ganvas.report import Extras, report
from ganvas.report.meanings import METRICS
from ganvas.run import Run, Step
from ganvas.scores import Evaluation, Reference, class_accuracy, load_reference
from ganvas.scores.score import FEWEST

REPORTED = 1_000  # images drawn for a report's nearest neighbours
MOST = 100_000  # images scored: beyond that nothing changes but the time


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, of what, and the images with their features."""

    evaluation: Evaluation
    reference: Reference
    images: Pixels
    features: Tensor
    subject: str
    step: int | None
    seconds: float
    notes: tuple[str, ...] = ()
    accuracy: tuple[Estimate, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """`Evaluation.as_json` with `subject`, `step` and `seconds`."""
        step = {} if self.step is None else {"step": self.step}
        cas = {}
        if self.accuracy is not None:
            (value, spread), floor = self.accuracy
            cas = {"cas": round(value, 6), "cas_spread": round(spread, 6), "cas_floor": round(floor, 6)}
        return {
            **self.evaluation.as_json(), **cas,
            "subject": self.subject, **step, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The table that people read."""
        values, protocol = self.as_json(), self.evaluation.protocol
        rows = [("", "this", "±", "floor", "")]
        for metric in METRICS:
            key, title, better = metric.key, metric.title, metric.better
            if values.get(key) is None:
                continue
            spread, real = values.get(f"{key}_spread"), values.get(f"{key}_floor")
            rows.append(
                (
                    title, _number(values[key]), "" if spread is None else _number(spread),
                    "" if real is None else _number(real), f"{better} is better",
                )
            )  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        table = [
            f"{t:<{widths[0]}}  {v:>{widths[1]}}  {s:>{widths[2]}}  {f:>{widths[3]}}  {b}".rstrip()
            for t, v, s, f, b in rows
        ]
        return [
            self.subject,
            protocol.text,
            *table,
            *self._mode_lines(values),
            f"floor: {protocol.unseen_images:,} real images ({protocol.unseen}), scored in the same way; "
            f"±: standard error",
        ]

    def _mode_lines(self, values: dict[str, Any]) -> list[str]:
        missing = [
            f"{printable(name)} ({values['modes_histogram'][name]:.1%} of the images, "
            f"{values['modes_expected'][name]:.1%} of the real ones)"
            for name in values.get("modes_missing", ())
        ]
        return [f"missing: {'; '.join(missing)}"] if missing else []


def evaluate(subject: Run | str | Path, **how: Any) -> Evaluated:
    """Score a run's generator or a path's images; `how` is `evaluate_run`'s or `evaluate_images`'s.

    >>> ganvas.evaluate("runs/first", count=2000).evaluation.score.fid  # doctest: +SKIP
    """
    if isinstance(subject, Run):
        return evaluate_run(subject, **how)
    if (Path(subject).expanduser() / "run.json").exists():
        return evaluate_run(Run.open(subject), **how)
    return evaluate_images(subject, **how)


def evaluate_run(
    run: Run,
    *,
    data: str | Path | None = None,
    count: int = 10_000,
    seed: int = 0,
    step: Step = None,
    ema: bool = True,
    features: str | None = None,
) -> Evaluated:
    """Score `count` images of a run's generator.

    `RUN/evaluation.json` is written where nothing but the number and seed of the images was asked for: runs
    are compared by it.

    Args:
        run: the run; its best checkpoint by score is taken unless `step` says otherwise.
        data: other real images than those it was trained on, or where they lie now.
        count: how many images are drawn and scored.
        seed: of the images.
        step: a checkpoint's step, "best" or "newest".
        ema: the averaged generator, where the run has one.
        features: the feature network; see `ganvas.features`.

    Raises:
        UserError: too few images, no checkpoint, the real images are not to be had.
    """
    _check_count(count)
    taken = run.chosen_step(step)
    began = time.perf_counter()
    reference = reference_of(run, data, features=features)
    sampled = run.sample(count, seed=seed, step=taken, ema=ema)
    images = np.asarray(sampled)
    notes: tuple[str, ...] = ()
    if run.record.data.split == "all" and data is None:
        notes = (
            "the run was trained on the test split, too: of copying, only that of the training split shows",
        )
    found = _evaluated(images, reference, f"{run.path}, step {taken}", taken, began, notes)
    if sampled.labels is not None and reference.images.class_names == run.record.data.class_names:
        accuracy = class_accuracy(images, sampled.labels, reference)
        found = dataclasses.replace(found, accuracy=accuracy, seconds=time.perf_counter() - began)
    if (data, step, ema, features) == (None, None, True, None):  # the question that runs are compared by
        write_json(run.directory.evaluation, found.as_json())
    return found


def reference_of(run: Run, data: str | Path | None = None, *, features: str | None = None) -> Reference:
    """The real images of a run: what it was trained on, or others of the same shape.

    Raises:
        DataError: they are not to be had, are others than the run was trained on, or of another shape.
    """
    known = run.record.data
    reference = load_reference(
        known.requested if data is None else data,
        split=known.split if data is None else "train",
        features=features,
        size=known.size,
        fit=known.fit,
    )
    if reference.images.image_shape != known.image_shape:
        raise DataError(
            f"{reference.name}: expected images of shape {known.image_shape} (channels, height, width) as "
            f"{run.path} makes, got {reference.images.image_shape}; name other real images with --data"
        )
    whole = known.split != "all" or known.images == len(reference.features)  # else it is a part of the run's
    if data is None and whole and reference.fingerprint != known.fingerprint:
        raise DataError(
            f"{known.requested} holds other images than {run.path} was trained on (fingerprint "
            f"{reference.fingerprint[:12]}, expected {known.fingerprint[:12]}); name the right ones: --data"
        )
    return reference


def evaluate_images(
    path: str | Path,
    *,
    data: str | Path | None = None,
    count: int = 10_000,
    size: int | None = None,
    fit: str | None = None,
    features: str | None = None,
    memory_share: float = memory.SHARE,
) -> Evaluated:
    """Score the images in a folder, .npz, .npy or .zip, whoever made them.

    Args:
        path: the images; of more than `count`, so many are drawn.
        data: the real images to hold them against; MNIST where None and they are of its size.
        count: how many are scored at most.
        size: side that both are brought to.
        fit: how.
        features: the feature network.
        memory_share: see `ganvas.load`.

    Raises:
        DataError: no images there, fewer than 24, or of another size or colour than the real ones.
    """
    _check_count(count)
    began = time.perf_counter()
    found = load(Path(path), split="all", size=size, fit=fit, memory_share=memory_share)
    if len(found) < FEWEST:
        raise DataError(f"{path}: expected at least {FEWEST} images to score, got {len(found)}")
    if data is None and found.image_shape != (1, 28, 28):
        raise UserError(f"{path}: name the real images that it is to be held against: --data NAME or PATH")
    reference = load_reference(data, features=features, size=size, fit=fit, memory_share=memory_share)
    if reference.images.image_shape != found.image_shape:
        raise DataError(
            f"{path} has images of shape {found.image_shape} (channels, height, width), {reference.name} of "
            f"{reference.images.image_shape}: bring both to one size with --size N --fit crop|pad|resize"
        )
    images = found.images
    if len(images) > count:
        images = images[np.sort(np.random.default_rng(0).choice(len(images), count, replace=False))]
    notes = [] if data is not None else [f"held against {reference.name}; --data names other real images"]
    if len(images) < count:
        notes.append(
            f"{len(images):,} images, not {count:,}: scores of other numbers of images cannot be compared"
        )
    return _evaluated(np.ascontiguousarray(images), reference, str(path), None, began, tuple(notes))


@dataclass(frozen=True)
class Neighbours:
    """Images that lie closest to a training image, and what lies nearest to them.

    Attributes:
        images: uint8 [P, C, H, W], the closest first, by features.
        by_features: the training images nearest by features, uint8 [P, K, C, H, W].
        by_pixels: the same by pixels.
        distances: by features, [P, K].
    """

    images: Pixels
    by_features: Pixels
    by_pixels: Pixels
    distances: list[list[float]]

    def sheet(self) -> Pixels:
        """Row by row: the image, its nearest by features, its nearest by pixels; uint8 [C, H, W].

        What copies shows here as twins.
        """
        blank = np.zeros_like(self.images[:, None])
        rows = np.concatenate([self.images[:, None], blank, self.by_features, blank, self.by_pixels], axis=1)
        return grid(rows.reshape(-1, *self.images.shape[1:]), rows.shape[1])

    def save(self, path: Path) -> None:
        """Write the sheet as a PNG."""
        write_bytes(path, png_bytes(enlarged(to_picture(self.sheet()), 280)))


def neighbours(found: Evaluated, count: int = 10, nearest: int = 3) -> Neighbours:
    """The `count` images of an evaluation closest to training images, with their neighbours."""
    real = found.reference
    closest = metrics.nearest(found.features, real.features, 1)[0][:, 0].argsort()[:count]
    distances, index = metrics.nearest(found.features[closest], real.features, nearest)
    images = found.images[closest.numpy()]
    by_pixels = _nearest_by_pixels(images, real.images.images, nearest)
    return Neighbours(
        images, real.images.images[index.numpy()], real.images.images[by_pixels], distances.tolist()
    )


def extras_of(found: Evaluated) -> Extras:
    """What a report shows of an evaluation beside its numbers: nearest training images."""
    near = neighbours(found)
    score, floor = found.evaluation.score, found.evaluation.floor
    note = (
        f"the {len(near.images)} of {len(found.images):,} images that lie closest to a training image. "
        f"{score.copies.value:.1%} of all lie closer to one than 99% of unseen real images do; of unseen "
        f"real images themselves, {floor['copies']:.1%}"
    )
    rows = [
        (image, list(real), distances)
        for image, real, distances in zip(near.images, near.by_features, near.distances, strict=True)
    ]
    return Extras(neighbours=rows, neighbour_note=note)


def reported(run: Run, out: Path | None = None) -> tuple[Path, str]:
    """Write a run's report with its nearest training images; return its path, and why they are left out.

    Raises:
        RunError: as `Run.open`.
    """
    try:
        taken = run.chosen_step()
        reference = reference_of(run)
        images = np.asarray(run.sample(REPORTED, step=taken))
        found = _evaluated(images, reference, str(run.path), taken, time.perf_counter())
    except GanvasError as error:
        return report(run, out), f"nearest training images are left out: {error}"
    return report(run, out, extras=extras_of(found)), ""


def _nearest_by_pixels(images: Pixels, real: Pixels, nearest: int) -> NDArray[np.int64]:
    """Indices [P, nearest] of the reals with the least squared difference, piece by piece."""
    flat = torch.from_numpy(images).flatten(1).float()
    parts = []
    for part in in_chunks(real):
        other = torch.from_numpy(np.ascontiguousarray(part)).flatten(1).float()
        parts.append(other.square().sum(1) - 2 * flat @ other.T)  # the images' own squares are constant
    found: NDArray[np.int64] = torch.cat(parts, 1).topk(nearest, largest=False).indices.numpy()
    return found


def _evaluated(
    images: Pixels,
    reference: Reference,
    subject: str,
    step: int | None,
    began: float,
    notes: tuple[str, ...] = (),
) -> Evaluated:
    features = reference.extractor(images)
    evaluation = scores.evaluate(features, reference)
    seconds = time.perf_counter() - began
    return Evaluated(evaluation, reference, images, features, subject, step, seconds, notes)


def _check_count(count: int) -> None:
    if not FEWEST <= count <= MOST:
        raise UserError(f"--n {count}: expected {FEWEST} to {MOST:,} images")


def _number(value: float) -> str:
    """Three digits that matter, no exponents for what is near 1."""
    if isinstance(value, int):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.4f}"

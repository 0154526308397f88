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

from ganvas import metrics
from ganvas.data import ImageSet, load_dataset
from ganvas.data.image_set import iter_chunks
from ganvas.errors import DataError, GanvasError, UserError, printable
from ganvas.evaluation import (
    Evaluation,
    Reference,
    classification_accuracy_score,
    evaluate_features,
    load_reference,
)
from ganvas.evaluation.history import add_evaluation
from ganvas.evaluation.metric_info import metric_infos
from ganvas.evaluation.score import MIN_IMAGES
from ganvas.metrics import Estimate
from ganvas.report import Extras, report
from ganvas.runs.run import Run, StepChoice
from ganvas.utils import memory
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil, upscale
from ganvas.utils.io import write_bytes

REPORT_IMAGES = 1_000  # images drawn for a report's nearest neighbors
MAX_IMAGES = 100_000  # images scored: beyond that nothing changes but the time


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation, of what, and the images with their features."""

    evaluation: Evaluation
    reference: Reference
    images: ImageArray
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
            (value, stderr), baseline = self.accuracy
            cas = {"cas": round(value, 6), "cas_stderr": round(stderr, 6), "cas_baseline": round(baseline, 6)}
        return {
            **self.evaluation.as_json(), **cas,
            "subject": self.subject, **step, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The table that people read."""
        values, protocol = self.as_json(), self.evaluation.protocol
        rows = [("", "this", "±", "baseline", "")]
        for metric in metric_infos():
            key, title, better = metric.key, metric.title, metric.better
            if values.get(key) is None:
                continue
            stderr, real = values.get(f"{key}_stderr"), values.get(f"{key}_baseline")
            rows.append(
                (
                    title, _number(values[key]), "" if stderr is None else _number(stderr),
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
            f"baseline: {protocol.held_out_images:,} real images ({protocol.held_out}), scored the same way; "
            f"±: standard error",
        ]

    def _mode_lines(self, values: dict[str, Any]) -> list[str]:
        missing = [
            f"{printable(name)} ({values['modes_histogram'][name]:.1%} of the images, "
            f"{values['modes_expected'][name]:.1%} of the real ones)"
            for name in values.get("modes_missing", ())
        ]
        return [f"missing: {'; '.join(missing)}"] if missing else []


def evaluate(
    subject: Run | str | Path,
    *,
    data: str | Path | None = None,
    count: int = 10_000,
    seed: int = 0,
    step: StepChoice = None,
    ema: bool = True,
    features: str | None = None,
    size: int | None = None,
    resize: str | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
) -> EvaluationResult:
    """Score a run's generator, or the images of a path, against real images.

    Args:
        subject: a run or its directory; or a folder or .zip of images, a .npz or a .npy.
        data: the real images; what the run was trained on where None.
        count: how many images are scored.
        seed: of the images that a run's generator makes.
        step: of a run: a checkpoint's step, "best" or "newest".
        ema: of a run: the averaged generator, where it has one.
        features: the feature network; see `ganvas.features`.
        size: of a path: side that its images and the real ones are resized to.
        resize: how: "crop", "pad" or "resize".
        mmap_threshold: see `ganvas.load_dataset`.

    Raises:
        UserError: too few images, no checkpoint, options of a run for a path or the other way round.

    >>> ganvas.evaluate("runs/first", count=2000).evaluation.score.fid  # doctest: +SKIP
    """
    if isinstance(subject, Run) or (Path(subject).expanduser() / "run.json").exists():
        if size is not None or resize is not None:
            raise UserError("size and resize are for the images of a path: a run has its own size")
        run = subject if isinstance(subject, Run) else Run.open(subject)
        return evaluate_run(run, data=data, count=count, seed=seed, step=step, ema=ema, features=features)
    if step is not None:
        raise UserError(f"step is for a run, and {subject} is none (no run.json there)")
    return evaluate_images(
        subject, data=data, count=count, size=size, resize=resize, features=features,
        mmap_threshold=mmap_threshold,
    )  # fmt: skip


def evaluate_run(
    run: Run,
    *,
    data: str | Path | None = None,
    count: int = 10_000,
    seed: int = 0,
    step: StepChoice = None,
    ema: bool = True,
    features: str | None = None,
    images: ImageSet | None = None,
) -> EvaluationResult:
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
        images: what the run was trained on, if it is loaded already.

    Raises:
        UserError: too few images, no checkpoint, the real images are not to be had.
    """
    _check_count(count)
    taken = run.resolve_step(step)
    began = time.perf_counter()
    reference = reference_of(run, data, features=features, images=images)
    sampled = run.sample(count, seed=seed, step=taken, ema=ema)
    pixels = np.asarray(sampled)
    notes: tuple[str, ...] = ()
    if run.record.data.split == "all" and data is None:
        notes = (
            "the run was trained on the test split, too: of copying, only that of the training split shows",
        )
    result = _evaluated(pixels, reference, f"{run.path}, step {taken}", taken, began, notes)
    if sampled.labels is not None and reference.images.class_names == run.record.data.class_names:
        accuracy = classification_accuracy_score(pixels, sampled.labels, reference)
        result = dataclasses.replace(result, accuracy=accuracy, seconds=time.perf_counter() - began)
    if (data, step, ema, features) == (None, None, True, None):  # the question that runs are compared by
        add_evaluation(run.directory.evaluation, result.as_json())
    return result


def reference_of(
    run: Run,
    data: str | Path | None = None,
    *,
    features: str | None = None,
    images: ImageSet | None = None,
) -> Reference:
    """The real images of a run: what it was trained on, or others of the same shape.

    Raises:
        DataError: they are not to be had, are others than the run was trained on, or of another shape.
    """
    known = run.record.data
    reference = load_reference(
        known.requested if data is None else data,
        split=known.split if data is None else "train",
        images=images if data is None and known.split != "all" else None,
        features=features,
        size=known.size,
        resize=known.resize,
    )
    if reference.images.image_shape != known.image_shape:
        raise DataError(
            f"{reference.name}: expected images of shape {known.image_shape} (channels, height, width) as "
            f"{run.path} makes, got {reference.images.image_shape}; give other real images as data"
        )
    whole = known.split != "all" or known.images == len(reference.features)  # else it is a part of the run's
    if data is None and whole and reference.fingerprint != known.fingerprint:
        raise DataError(
            f"{known.requested} holds other images than {run.path} was trained on (fingerprint "
            f"{reference.fingerprint[:12]}, expected {known.fingerprint[:12]}); give the right ones as data"
        )
    return reference


def evaluate_images(
    path: str | Path,
    *,
    data: str | Path | None = None,
    count: int = 10_000,
    size: int | None = None,
    resize: str | None = None,
    features: str | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
) -> EvaluationResult:
    """Score the images in a folder, .npz, .npy or .zip, whoever made them.

    Args:
        path: the images; of more than `count`, so many are drawn.
        data: the real images to hold them against; MNIST where None and they are of its size.
        count: how many are scored at most.
        size: side that both are resized to, in pixels.
        resize: how: "crop", "pad" or "resize".
        features: the feature network.
        mmap_threshold: see `ganvas.load_dataset`.

    Raises:
        DataError: no images there, fewer than 24, or of another size or color than the real ones.
    """
    _check_count(count)
    began = time.perf_counter()
    loaded = load_dataset(Path(path), split="all", size=size, resize=resize, mmap_threshold=mmap_threshold)
    if len(loaded) < MIN_IMAGES:
        raise DataError(f"{path}: expected at least {MIN_IMAGES} images to score, got {len(loaded)}")
    if data is None and loaded.image_shape != (1, 28, 28):
        raise UserError(f"{path}: give the real images to compare with as data, a name or a path")
    reference = load_reference(
        data, features=features, size=size, resize=resize, mmap_threshold=mmap_threshold
    )
    if reference.images.image_shape != loaded.image_shape:
        raise DataError(
            f"{path} has images of shape {loaded.image_shape} (channels, height, width), {reference.name} of "
            f"{reference.images.image_shape}: give a size for both, and resize (crop, pad or resize)"
        )
    images = loaded.images
    if len(images) > count:
        images = images[np.sort(np.random.default_rng(0).choice(len(images), count, replace=False))]
    notes = [] if data is not None else [f"compared with {reference.name}; data names other real images"]
    if len(images) < count:
        notes.append(
            f"{len(images):,} images, not {count:,}: scores of other numbers of images cannot be compared"
        )
    return _evaluated(np.ascontiguousarray(images), reference, str(path), None, began, tuple(notes))


@dataclass(frozen=True)
class TrainingNeighbors:
    """Images that lie closest to a training image, and what lies nearest to them.

    Attributes:
        images: uint8 [P, C, H, W], the closest first, by features.
        by_features: the training images nearest by features, uint8 [P, K, C, H, W].
        by_pixels: the same by pixels.
        distances: by features, [P, K].
    """

    images: ImageArray
    by_features: ImageArray
    by_pixels: ImageArray
    distances: list[list[float]]

    def sheet(self) -> ImageArray:
        """Row by row: the image, its nearest by features, its nearest by pixels; uint8 [C, H, W].

        What copies shows here as twins.
        """
        blank = np.zeros_like(self.images[:, None])
        rows = np.concatenate([self.images[:, None], blank, self.by_features, blank, self.by_pixels], axis=1)
        return make_grid(rows.reshape(-1, *self.images.shape[1:]), rows.shape[1])

    def save(self, path: Path) -> None:
        """Write the sheet as a PNG."""
        write_bytes(path, encode_png(upscale(to_pil(self.sheet()), 280)))


def nearest_training_images(result: EvaluationResult, count: int = 10, nearest: int = 3) -> TrainingNeighbors:
    """The `count` images of an evaluation closest to training images, with their neighbors."""
    real = result.reference
    closest = metrics.nearest_neighbors(result.features, real.features, 1)[0][:, 0].argsort()[:count]
    distances, index = metrics.nearest_neighbors(result.features[closest], real.features, nearest)
    images = result.images[closest.numpy()]
    by_pixels = _nearest_by_pixels(images, real.images.images, nearest)
    return TrainingNeighbors(
        images, real.images.images[index.numpy()], real.images.images[by_pixels], distances.tolist()
    )


def report_extras(result: EvaluationResult) -> Extras:
    """What a report shows of an evaluation beside its numbers: nearest training images."""
    near = nearest_training_images(result)
    score, baseline = result.evaluation.score, result.evaluation.baseline
    note = (
        f"the {len(near.images)} of {len(result.images):,} images that lie closest to a training image. "
        f"{score.copies.value:.1%} of all lie closer to one than 99% of held-out real images do; of held-out "
        f"real images themselves, {baseline['copies']:.1%}"
    )
    rows = [
        (image, list(real), distances)
        for image, real, distances in zip(near.images, near.by_features, near.distances, strict=True)
    ]
    return Extras(neighbors=rows, neighbor_note=note)


def write_report(run: Run, out: Path | None = None) -> tuple[Path, str]:
    """Write a run's report with its nearest training images; return its path, and why they are left out.

    Raises:
        RunError: as `Run.open`.
    """
    try:
        taken = run.resolve_step()
        reference = reference_of(run)
        images = np.asarray(run.sample(REPORT_IMAGES, step=taken))
        result = _evaluated(images, reference, str(run.path), taken, time.perf_counter())
    except GanvasError as error:
        return report(run, out), f"nearest training images are left out: {error}"
    return report(run, out, extras=report_extras(result)), ""


def _nearest_by_pixels(images: ImageArray, real: ImageArray, nearest: int) -> NDArray[np.int64]:
    """Indices [P, nearest] of the reals with the least squared difference, piece by piece."""
    flat = torch.from_numpy(images).flatten(1).float()
    parts = []
    for part in iter_chunks(real):
        other = torch.from_numpy(np.ascontiguousarray(part)).flatten(1).float()
        parts.append(other.square().sum(1) - 2 * flat @ other.T)  # the images' own squares are constant
    result: NDArray[np.int64] = torch.cat(parts, 1).topk(nearest, largest=False).indices.numpy()
    return result


def _evaluated(
    images: ImageArray,
    reference: Reference,
    subject: str,
    step: int | None,
    began: float,
    notes: tuple[str, ...] = (),
) -> EvaluationResult:
    features = reference.extractor(images)
    evaluation = evaluate_features(features, reference)
    seconds = time.perf_counter() - began
    return EvaluationResult(evaluation, reference, images, features, subject, step, seconds, notes)


def _check_count(count: int) -> None:
    if not MIN_IMAGES <= count <= MAX_IMAGES:
        raise UserError(f"count {count}: expected {MIN_IMAGES} to {MAX_IMAGES:,} images")


def _number(value: float) -> str:
    """Three digits that matter, no exponents for what is near 1."""
    if isinstance(value, int):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.4f}"

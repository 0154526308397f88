"""`ganvas evaluate`: score a run's generator, or any images, against real ones."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganvas.data import ImageSet, load_dataset
from ganvas.errors import DataError, GanvasError, StorageError, UserError, printable, shorten
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
from ganvas.runs.neighbors import nearest_training_images, report_extras
from ganvas.runs.networks import StepChoice
from ganvas.runs.run import Run
from ganvas.utils import memory
from ganvas.utils.images import ImageArray
from ganvas.utils.io import write_json

REPORT_IMAGES = 1_000  # images drawn for a report's nearest neighbors
MISSING_MODES = 20  # named in the output
MAX_IMAGES = 100_000  # images scored: beyond that nothing changes but the time


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation, of what, and the images with their features.

    Attributes:
        evaluation: the scores, their real-data baseline and protocol.
        reference: the real images that it was compared with.
        images: uint8 [N, C, H, W].
        features: of the images, float32 [N, D].
        subject: what was scored, in words.
        step: the checkpoint, of a run.
        seconds: it took.
        notes: what the user should know, a line each.
        accuracy: the classification accuracy score and that of real images, of a conditional run.
        files: what was written to the run's directory.
        unsaved: why its scores could not be kept there, in a line.
    """

    evaluation: Evaluation
    reference: Reference
    images: ImageArray
    features: Tensor
    subject: str
    step: int | None
    seconds: float
    notes: tuple[str, ...] = ()
    accuracy: tuple[Estimate, float] | None = None
    files: tuple[Path, ...] = ()
    unsaved: str = ""

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

    def save(self, out: str | Path) -> Path:
        """Write `as_json()` to `out`, a .json file, and return it.

        Raises:
            UserError: another kind of file.
            StorageError: the disk is full or not writable.
        """
        path = Path(out).expanduser()
        if path.suffix.lower() != ".json":
            raise UserError(f"out {path}: expected a .json")
        write_json(path, self.as_json())
        return path

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
        names = values.get("modes_missing", ())
        missing = [
            f"{printable(shorten(name))} ({values['modes_histogram'][name]:.1%} of the images, "
            f"{values['modes_expected'][name]:.1%} of the real ones)"
            for name in names[:MISSING_MODES]
        ]
        more = f"; and {len(names) - MISSING_MODES:,} more" if len(names) > MISSING_MODES else ""
        return [f"missing: {'; '.join(missing)}{more}"] if missing else []


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

    Where nothing but the number and seed of a run's images was asked for, the scores are kept in the run
    (`evaluation.json`, `neighbors.png`, `report.html`): runs are compared by them. Where that fails, as in a
    directory that may not be written, they are returned all the same, and `unsaved` says why.

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
    if isinstance(subject, Run) or os.path.lexists(Path(subject).expanduser() / "run.json"):
        if size is not None or resize is not None:
            raise UserError("size and resize are for the images of a path: a run has its own size")
        run = subject if isinstance(subject, Run) else Run.open(subject)
        result = evaluate_run(run, data=data, count=count, seed=seed, step=step, ema=ema, features=features)
        if (data, step, ema, features) != (None, None, True, None):
            note = f"{run.directory.evaluation} stays as it is: it is for the run's own data and features"
            return dataclasses.replace(result, notes=(*result.notes, note))
        try:
            page = report(run, extras=save_evaluation(run, result))
        except StorageError as error:  # the work is done: the scores must not be lost
            unsaved = f"the scores were not kept in the run: {error}, or keep them in a file of yours (out)"
            return dataclasses.replace(result, unsaved=unsaved)
        return dataclasses.replace(result, files=(run.directory.evaluation, run.directory.neighbors, page))
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
    """Score `count` images of a run's generator; nothing is written.

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
    notes = tuple(run.notes)
    if run.record.data.split == "all" and data is None:
        notes += (
            "the run was trained on the test split, too: of copying, only that of the training split shows",
        )
    result = _evaluated(pixels, reference, f"{run.path}, step {taken}", taken, began, notes)
    if sampled.labels is not None and reference.images.class_names == run.record.data.class_names:
        accuracy = classification_accuracy_score(pixels, sampled.labels, reference)
        result = dataclasses.replace(result, accuracy=accuracy, seconds=time.perf_counter() - began)
    return result


def save_evaluation(run: Run, result: EvaluationResult) -> Extras:
    """Keep an evaluation in its run (`evaluation.json`, `neighbors.png`); return what the report adds to it.

    Raises:
        StorageError: the disk is full or not writable.
    """
    add_evaluation(run.directory.evaluation, result.as_json())
    near = nearest_training_images(result)
    near.save(run.directory.neighbors)
    return report_extras(result, near)


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
    return report(run, out, extras=report_extras(result, nearest_training_images(result))), ""


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

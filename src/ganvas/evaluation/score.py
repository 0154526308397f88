"""`Score`: all that is measured on a number of images, and `Evaluation`: a score with its baseline.

Beside them the classification accuracy score, which needs the labels of the images.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganvas import metrics
from ganvas.data import ImageSet
from ganvas.errors import UserError
from ganvas.evaluation.metric_info import CustomMetric, custom_metrics
from ganvas.evaluation.protocol import Protocol
from ganvas.evaluation.reference import MAX_MANIFOLD_IMAGES, Labels, Reference, subset
from ganvas.features.cache import TensorSpec, cached_tensor
from ganvas.metrics import Estimate, Modes
from ganvas.registry import foreign_code
from ganvas.utils.images import ImageArray

MIN_IMAGES = 24  # images without which no score means anything
CAS_EPOCHS = 5  # of the classifier that is trained on generated images


@dataclass(frozen=True)
class Score:
    """What is measured; see `ganvas.metrics` for each. `Estimate` is a value and its standard error."""

    fid: Estimate
    fid_infinity: float
    kid: Estimate
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    vendi: float
    authenticity: Estimate
    copies: Estimate
    copying: float
    modes: Modes | None
    custom: Mapping[str, Estimate] = field(default_factory=dict)

    def flat(self) -> dict[str, float | int | None]:
        """Values by name, standard errors as `<name>_stderr`: what is logged, printed and compared."""
        result: dict[str, float | int | None] = {}
        for name, value in vars(self).items():
            if isinstance(value, Estimate):
                result[name], result[f"{name}_stderr"] = value.value, value.stderr
            elif isinstance(value, float):
                result[name] = value
        for name, estimate in self.custom.items():
            result[name], result[f"{name}_stderr"] = estimate.value, estimate.stderr
        modes = self.modes
        result["modes"] = None if modes is None else modes.covered
        result["modes_total"] = None if modes is None else len(modes.histogram)
        result["modes_kl"] = None if modes is None else modes.kl
        return {k: _rounded(v) for k, v in result.items()}


@dataclass(frozen=True)
class Evaluation:
    """A score, the baseline that real images reach in the same way, and how both were taken."""

    score: Score
    baseline: Mapping[str, float | int | None]
    protocol: Protocol
    class_names: tuple[str, ...]
    expected: tuple[float, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the classes that the images lack."""
        modes = self.score.modes
        return () if modes is None else tuple(self.class_names[i] for i in modes.missing)

    def as_json(self) -> dict[str, Any]:
        """One flat object: `fid`, `fid_stderr`, `fid_baseline`, ..., `modes_histogram`, `protocol`."""
        values: dict[str, Any] = dict(self.score.flat())
        values |= {
            f"{k}_baseline": v for k, v in self.baseline.items() if not k.endswith(("_stderr", "_total"))
        }
        if self.score.modes is not None:
            fractions = [round(fraction, 6) for fraction in self.score.modes.histogram]
            values["modes_histogram"] = dict(zip(self.class_names, fractions, strict=True))
            expected = [round(fraction, 6) for fraction in self.expected]
            values["modes_expected"] = dict(zip(self.class_names, expected, strict=True))
            values["modes_missing"] = list(self.missing)
        values["protocol"] = self.protocol.as_json()
        return values


def evaluate_features(features: Tensor, reference: Reference) -> Evaluation:
    """Score images by their features float32 [N, D] against `reference`, N at least 24."""
    result = reference.classifier
    return Evaluation(
        score=compute_score(features, reference),
        baseline=real_data_baseline(reference, len(features)),
        protocol=reference.protocol(len(features)),
        class_names=() if result is None else result.class_names,
        expected=() if result is None else tuple(result.expected),
    )


def compute_score(features: Tensor, reference: Reference) -> Score:
    """Everything in `ganvas.metrics` that needs no labels of the images, on features [N, D]."""
    memorized = metrics.memorization_scores(
        features,
        reference.train_features,
        reference.held_out,
        train_nearest=reference.train_nearest,
        held_out_nearest=reference.held_out_nearest,
        centers=reference.centers,
    )
    score = _score(features, reference, reference.features, reference.moments, memorized)
    return dataclasses.replace(score, custom=_custom(features, reference.features))


def real_data_baseline(reference: Reference, images: int) -> dict[str, float | int | None]:
    """What so many real images held out from training reach, by name as `Score.flat`; cached.

    Where there are fewer held-out images than `images`, it is what all of them reach.
    """

    def compute() -> Tensor:
        """The baseline's values as JSON in UTF-8: uint8 [B]."""
        held_out = subset(reference.held_out, images)
        # Copying is measured on one half against the other: a sample cannot be its own reference.
        memorized = metrics.memorization_scores(
            reference.held_out[::2],
            reference.train_features,
            reference.held_out[1::2],
            train_nearest=reference.train_nearest,
            held_out_nearest=reference.held_out_nearest[1::2],
            centers=reference.centers,
        )
        values = _score(held_out, reference, reference.train_features, reference.train_moments, memorized)
        text = json.dumps(values.flat()).encode()
        return torch.frombuffer(bytearray(text), dtype=torch.uint8)

    name = reference.key(f"baseline-{reference.held_out_name}-{images}")
    stored = cached_tensor(name, TensorSpec((None,), torch.uint8), compute)
    values: dict[str, float | int | None] = json.loads(bytes(stored.tolist()))
    # Registered metrics are computed anew: their code may have changed since.
    for metric, estimate in _custom(subset(reference.held_out, images), reference.train_features).items():
        values[metric], values[f"{metric}_stderr"] = _rounded(estimate.value), _rounded(estimate.stderr)
    return values


def classification_accuracy_score(
    images: ImageArray, labels: Labels, reference: Reference
) -> tuple[Estimate, float] | None:
    """The classification accuracy score of labeled images, and what as many real images reach.

    Args:
        images: uint8 [N, C, H, W], generated.
        labels: int64 [N], the classes that were asked for.
        reference: the real images: the classifier is tested on its held-out ones.

    Returns:
        The accuracy with its standard error over the test images, and the baseline, both of as many images as
        there are of the scarcer kind; None where the real images have no labels, or the held_out ones other
        classes. Without a test split the test images are a half of the set, which the generator has seen.
    """
    real, held_out = reference.images, reference.held_out_images
    if held_out is None:  # no test split: the halves that the baselines are taken on
        order = reference.halves
        real, held_out = _part(real, order[::2]), _part(real, order[1::2])
    if real.labels is None or held_out.labels is None or real.class_names != held_out.class_names:
        return None

    count = min(len(images), len(real))  # of either kind as many: more of one would teach more

    def accuracy(inputs: ImageArray, targets: Labels) -> float:
        """Train the classifier on uint8 [N, C, H, W]; return its accuracy on held-out images, 0 to 1."""
        assert held_out.labels is not None
        return metrics.classification_accuracy(
            torch.from_numpy(np.array(inputs)),
            torch.from_numpy(np.array(targets)),
            torch.from_numpy(np.array(held_out.images)),
            torch.from_numpy(np.array(held_out.labels)),
            classes=real.num_classes,
            epochs=CAS_EPOCHS,
        )

    def baseline() -> Tensor:
        """The accuracy that `count` real images reach: float64 scalar."""
        assert real.labels is not None
        rows = np.sort(np.random.default_rng(0).permutation(len(real))[:count])
        return torch.tensor(accuracy(real.images[rows], real.labels[rows]), dtype=torch.float64)

    accuracy_of_fakes = accuracy(images[:count], labels[:count])
    stderr = math.sqrt(accuracy_of_fakes * (1 - accuracy_of_fakes) / len(held_out))
    name = reference.key(f"class-accuracy-{reference.held_out_name}-{count}-{CAS_EPOCHS}")
    return Estimate(accuracy_of_fakes, stderr), float(
        cached_tensor(name, TensorSpec((), torch.float64), baseline)
    )


def _score(
    fake: Tensor,
    reference: Reference,
    real: Tensor,
    moments: metrics.Moments,
    memorized: metrics.Memorization,
) -> Score:
    reals = subset(real, MAX_MANIFOLD_IMAGES)
    # The radii are kept for the whole reference; its halves are only needed for the baseline, which is kept.
    radii = reference.radii if real is reference.features else None
    neighbors = metrics.manifold_scores(fake, reals, real_radii=radii)
    result = reference.classifier
    return Score(
        fid=metrics.fid(fake, moments),
        fid_infinity=metrics.fid_infinity(fake, moments),
        kid=metrics.kid(fake, real),
        precision=neighbors.precision,
        recall=neighbors.recall,
        density=neighbors.density,
        coverage=neighbors.coverage,
        vendi=metrics.vendi_score(fake),
        authenticity=memorized.authenticity,
        copies=memorized.copies,
        copying=memorized.copying,
        modes=None
        if result is None
        else metrics.mode_coverage(result(fake), len(result.class_names), result.expected.tolist()),
    )


def _custom(fake: Tensor, real: Tensor) -> dict[str, Estimate]:
    """The registered metrics of fakes [N, D] against reals [M, D].

    Raises:
        UserError: one fails, or gives something else than a number or an `Estimate`.
    """
    return {metric.info.key: _estimate(metric, fake, real) for metric in custom_metrics()}


def _estimate(metric: CustomMetric, fake: Tensor, real: Tensor) -> Estimate:
    name = metric.info.key
    with foreign_code(f"metric {name}"):
        value = metric.function(fake, real)
        value, stderr = value if isinstance(value, Estimate) else (value, math.nan)
        numbers = [x.item() if isinstance(x, Tensor) and x.numel() == 1 else x for x in (value, stderr)]
        if all(isinstance(x, int | float) for x in numbers):
            return Estimate(*map(float, numbers))
    raise UserError(f"metric {name}: expected a number or an Estimate, got {type(value).__name__}")


def _part(images: ImageSet, rows: Labels) -> ImageSet:
    labels = None if images.labels is None else images.labels[rows]
    return ImageSet(images.name, images.images[rows], labels, images.class_names, images.source)


def _rounded(value: float | int | None) -> float | int | None:
    """Six digits behind the point; what is not a number is None, as JSON needs it."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value

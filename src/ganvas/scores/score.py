"""`Score`: all that is measured on a number of images, and `Evaluation`: a score with its floor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.metrics import Estimate, Modes
from ganvas.scores.cache import kept
from ganvas.scores.protocol import Protocol
from ganvas.scores.reference import MANIFOLD_MOST, Reference, drawn

FEWEST = 24  # images without which no score means anything


@dataclass(frozen=True)
class Score:
    """What is measured; see `ganvas.metrics` for each. `Estimate` is a value and its spread."""

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

    def flat(self) -> dict[str, float | int | None]:
        """Values by name, spreads as `<name>_spread`: what is logged, printed and compared."""
        found: dict[str, float | int | None] = {}
        for name, value in vars(self).items():
            if isinstance(value, Estimate):
                found[name], found[f"{name}_spread"] = value.value, value.spread
            elif isinstance(value, float):
                found[name] = value
        modes = self.modes
        found["modes"] = None if modes is None else modes.covered
        found["modes_total"] = None if modes is None else len(modes.histogram)
        found["modes_kl"] = None if modes is None else modes.kl
        return {k: _rounded(v) for k, v in found.items()}


@dataclass(frozen=True)
class Evaluation:
    """A score, the floor that real images reach in the same way, and how both were taken."""

    score: Score
    floor: Mapping[str, float | int | None]
    protocol: Protocol
    class_names: tuple[str, ...]
    expected: tuple[float, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the classes that the images lack."""
        modes = self.score.modes
        return () if modes is None else tuple(self.class_names[i] for i in modes.missing)

    def as_json(self) -> dict[str, Any]:
        """One flat object: `fid`, `fid_spread`, `fid_floor`, ..., `modes_histogram`, `protocol`."""
        values: dict[str, Any] = dict(self.score.flat())
        values |= {f"{k}_floor": v for k, v in self.floor.items() if not k.endswith(("_spread", "_total"))}
        if self.score.modes is not None:
            shares = [round(share, 6) for share in self.score.modes.histogram]
            values["modes_histogram"] = dict(zip(self.class_names, shares, strict=True))
            expected = [round(share, 6) for share in self.expected]
            values["modes_expected"] = dict(zip(self.class_names, expected, strict=True))
            values["modes_missing"] = list(self.missing)
        values["protocol"] = self.protocol.as_json()
        return values


def evaluate(features: Tensor, reference: Reference) -> Evaluation:
    """Score images by their features float32 [N, D] against `reference`, N at least 24."""
    found = reference.classifier
    return Evaluation(
        score=score(features, reference),
        floor=floor(reference, len(features)),
        protocol=reference.protocol(len(features)),
        class_names=() if found is None else found.class_names,
        expected=() if found is None else tuple(found.expected),
    )


def score(features: Tensor, reference: Reference) -> Score:
    """Everything in `ganvas.metrics` that needs no labels of the images, on features [N, D]."""
    memorised = metrics.memorisation(
        features,
        reference.seen,
        reference.unseen,
        train_nearest=reference.seen_nearest,
        unseen_nearest=reference.unseen_nearest,
        centres=reference.centres,
    )
    return _score(features, reference, reference.features, reference.moments, memorised)


def floor(reference: Reference, images: int) -> dict[str, float | int | None]:
    """What so many real images that training has not seen reach, by name as `Score.flat`; cached.

    Where there are fewer unseen images than `images`, it is what all of them reach.
    """

    def compute() -> dict[str, Tensor]:
        unseen = drawn(reference.unseen, images)
        # Copying is judged on one half of them by the other: a sample is no judge of itself.
        memorised = metrics.memorisation(
            reference.unseen[::2],
            reference.seen,
            reference.unseen[1::2],
            train_nearest=reference.seen_nearest,
            unseen_nearest=reference.unseen_nearest[1::2],
            centres=reference.centres,
        )
        values = _score(unseen, reference, reference.seen, reference.seen_moments, memorised)
        text = json.dumps(values.flat()).encode()
        return {"json": torch.frombuffer(bytearray(text), dtype=torch.uint8)}

    stored = kept(reference.key(f"floor-{reference.unseen_name}-{images}"), compute)["json"]
    values: dict[str, float | int | None] = json.loads(bytes(stored.tolist()))
    return values


def _score(
    fake: Tensor,
    reference: Reference,
    real: Tensor,
    moments: metrics.Moments,
    memorised: metrics.Memorisation,
) -> Score:
    reals = drawn(real, MANIFOLD_MOST)
    # The radii are kept for the whole reference; its halves are only needed for the floor, which is kept.
    radii = reference.radii if real is reference.features else None
    neighbours = metrics.manifold(fake, reals, real_radii=radii)
    found = reference.classifier
    return Score(
        fid=metrics.fid(fake, moments),
        fid_infinity=metrics.fid_infinity(fake, moments),
        kid=metrics.kid(fake, real),
        precision=neighbours.precision,
        recall=neighbours.recall,
        density=neighbours.density,
        coverage=neighbours.coverage,
        vendi=metrics.vendi_score(fake),
        authenticity=memorised.authenticity,
        copies=memorised.copies,
        copying=memorised.copying,
        modes=None
        if found is None
        else metrics.modes(found(fake), len(found.class_names), found.expected.tolist()),
    )


def _rounded(value: float | int | None) -> float | int | None:
    """Six digits behind the point; what is not a number is None, as JSON needs it."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value

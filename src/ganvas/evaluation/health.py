"""Health checks: one plain sentence with its numbers when training goes wrong.

It looks at what is logged anyway, so that a resumed run's checks have the same history. The
thresholds are rules of thumb, given beside each rule; the messages give the numbers to judge by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ganvas.evaluation.history import ScoredStep, best_scored_step, finite_numbers, scored_steps

ACCURACY = 0.98  # D is right on so many of both kinds: G learns little from it
IMPROVED = 0.95  # a new best must be so much of the old one to count as an improvement
WORSE = 1.5  # times the best Fréchet distance, in two scores running: swings come and go
ALIKE = 0.5  # Vendi score as a fraction of what it was, or of real images'
LEARNED = 5  # scores after which a generator that never drew more has had its time
# Fraction of copies, and twice what held-out images show: where these are few, a tenth by chance. A generator
# that keeps to the most usual images reaches 8% without copying any.
COPIES = 0.1
RECALLED = 1_000  # scores of a log: each is compared with all before it, which takes days for a million


class HealthIssue(NamedTuple):
    """What is wrong ("discriminator", "collapse", "worse" or "copying"), and a message."""

    kind: str
    message: str


@dataclass
class HealthMonitor:
    """Looks at a run's log lines one after the other.

    Args:
        run: the run directory as it is typed.
        baseline: real images' values by name; see `ganvas.evaluation.score.real_data_baseline`.
    """

    run: str
    baseline: Mapping[str, Any]
    _readings: list[Mapping[str, Any]] = field(default_factory=list)
    _scores: list[ScoredStep] = field(default_factory=list)
    _reported: set[str] = field(default_factory=set)

    def recall(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Look at what an earlier process logged, the last `RECALLED` scores, without reporting anything."""
        known = list(lines)
        scored = [i for i, line in enumerate(known) if "score" in line]
        for line in known[scored[-RECALLED] if len(scored) > RECALLED else 0 :]:
            if "score" in line:
                self.look(line)
            else:
                self.read(line)

    def read(self, reading: Mapping[str, Any]) -> None:
        """Take note of a logged step's terms."""
        result = finite_numbers(reading)
        if "real_accuracy" in result and "fake_accuracy" in result:
            self._readings.append(result)

    def look(self, line: Mapping[str, Any]) -> list[HealthIssue]:
        """Return the issues of a scored line; a reported one is not repeated until it has passed."""
        scored = scored_steps([line])
        readings, self._readings = self._readings, []
        if not scored:
            return []
        self._scores += scored
        history = [entry for entry in self._scores if entry.protocol == scored[0].protocol]
        result = [
            issue
            for issue in (
                _discriminator(history, readings),
                self._collapse(history),
                self._worse(history),
                self._copying(history),
            )
            if issue is not None
        ]
        new = [issue for issue in result if issue.kind not in self._reported]
        self._reported = {issue.kind for issue in result}
        return new

    def _collapse(self, history: list[ScoredStep]) -> HealthIssue | None:
        """Modes lost or images alike, against what this run had; late in a run, against what is real.

        A generator that has just become better has not collapsed, whatever it still lacks.
        """
        now, before = history[-1].score, history[:-1]
        top = best_scored_step(before)
        if top is None or history[-1].fid < IMPROVED * top.fid:
            return None
        late = len(history) >= LEARNED
        signs = []
        modes, total = now.get("modes"), now.get("modes_total")
        if modes is not None and total:
            most = max(before, key=lambda s: s.score.get("modes") or 0)
            had = most.score.get("modes") or 0
            if had - modes >= max(2, 0.1 * total):
                signs.append(f"it draws {modes} of {total} classes, at epoch {most.epoch} it drew {had}")
            elif late and modes <= total / 2:
                signs.append(f"it draws {modes} of {total} classes")
        vendi, real = now.get("vendi"), self.baseline.get("vendi")
        most_had = max((s.score.get("vendi") or 0 for s in before), default=0)
        if vendi is not None and real:
            standard = real if late else min(most_had, real)
            if vendi - 1 < ALIKE * (standard - 1):
                signs.append(f"its images are alike (Vendi score {vendi:.2f}, real images {real:.2f})")
        if not signs:
            return None
        return HealthIssue("collapse", f"G has collapsed: {' and '.join(signs)}")

    def _worse(self, history: list[ScoredStep]) -> HealthIssue | None:
        top = best_scored_step(history)
        if top is None or len(history) < 3 or top.step >= history[-2].step:
            return None
        if min(s.fid for s in history[-2:]) <= WORSE * top.fid:
            return None
        return HealthIssue(
            "worse",
            f"best at epoch {top.epoch}, FID {top.fid:.1f}; now {history[-1].fid:.1f}: ganvas fork "
            f"{self.run} --step best --set generator_optimizer.learning_rate=... continues from there",
        )

    def _copying(self, history: list[ScoredStep]) -> HealthIssue | None:
        now = history[-1].score
        copies, real = now.get("copies"), self.baseline.get("copies") or 0.01
        z = now.get("copying")
        if copies is None or z is None or copies < max(COPIES, 2 * real) or z > -3:
            return None
        return HealthIssue(
            "copying",
            f"G copies its training set: {copies:.0%} of its images lie closer to a training image than 99% "
            f"of held-out images do (C_T {z:.0f}; below -3 means copying): train on more images or for less "
            f"long, or see ganvas evaluate {self.run}",
        )


def _discriminator(history: list[ScoredStep], readings: list[Mapping[str, Any]]) -> HealthIssue | None:
    if len(history) < 2 or len(readings) < 3:
        return None
    real = math.fsum(r["real_accuracy"] for r in readings) / len(readings)
    fake = math.fsum(r["fake_accuracy"] for r in readings) / len(readings)
    top = best_scored_step(history[:-1])
    now = history[-1]
    if min(real, fake) < ACCURACY or top is None or now.fid < IMPROVED * top.fid:
        return None
    steps = now.step - history[-2].step
    return HealthIssue(
        "discriminator",
        f"D has won: over the last {steps:,} steps it was right on {real:.1%} of real and {fake:.1%} of fake "
        f"images, and G did not get better (FID {now.fid:.1f}, {top.fid:.1f} at epoch {top.epoch}): lower "
        f"discriminator_optimizer.learning_rate, or raise discriminator.dropout",
    )

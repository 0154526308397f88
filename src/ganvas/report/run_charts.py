"""The charts of a run: losses, the discriminator's outputs, and the scores during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ganvas.evaluation.history import History, ScoredStep
from ganvas.evaluation.history import Line as Record
from ganvas.report.charts import Chart, ChartView, Line, Points, draw_all
from ganvas.report.numbers import format_number


@dataclass(frozen=True)
class ChartSection:
    """Charts, or the reason why there are none and the command that gives some; and notes below."""

    charts: list[ChartView] = field(default_factory=list)
    reason: str = ""
    command: str = ""
    notes: list[str] = field(default_factory=list)


def training_section(history: History, steps_per_epoch: int, command: str) -> ChartSection:
    """Losses and D's probabilities; `command` resumes the run."""
    reason = "Nothing has been logged yet: the run has not trained long enough."
    return ChartSection(draw_all(training_charts(history, steps_per_epoch)), reason, command)


def training_charts(history: History, steps_per_epoch: int) -> list[Chart]:
    """The chart of the losses and the chart of D(x) and D(G(z))."""
    return [
        Chart(
            "Losses",
            "The two networks are trained against each other, so in a healthy run neither loss goes to zero; "
            "both reach a level and fluctuate around it.",
            _lines(history.records, {"discriminator_loss": "discriminator", "generator_loss": "generator"}),
            noisy=True,
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "Discriminator outputs",
            "The probability of being real that the discriminator gives to images: D(x) for real images, "
            "D(G(z)) for generated ones. Where the two meet it cannot tell them apart; where they are near "
            "1 and 0 it has won, and the generator learns little.",
            _lines(
                history.records,
                {"real_probability": "D(x), real images", "fake_probability": "D(G(z)), generated"},
            ),
            low=0,
            high=1,
            rule=(0.5, "undecided"),
            noisy=True,
            steps_per_epoch=steps_per_epoch,
        ),
    ]


def score_section(history: History, steps_per_epoch: int, command: str) -> ChartSection:
    """The scores computed during training; `command` evaluates the run."""
    if not history.scores:
        reason = "No scores were computed during training. The run as it is now can be scored."
        return ChartSection([], reason, command)
    same, excluded = same_protocol(history.scores)
    notes = [f"Measured with {same[-1].protocol}."] if same[-1].protocol else []
    if excluded:
        notes.append(
            f"{excluded} earlier scores, measured with another protocol and not comparable, are left out."
        )
    charts = draw_all(score_charts(same, steps_per_epoch))
    return ChartSection(charts, "The scores hold no numbers that could be drawn.", command, notes)


def score_charts(scores: Sequence[ScoredStep], steps_per_epoch: int) -> list[Chart]:
    """FID, quality and diversity, and the number of classes over the steps; `scores` share a protocol."""
    fid = _score_line(scores, "fid", "FID")
    best = min(zip(fid.points.y, fid.points.x, strict=True), default=None)
    total = max((s.score.get("modes_total", 0) for s in scores), default=0)
    return [
        Chart(
            "FID",
            "The distance between generated and real images; lower is better.",
            [fid],
            mark=best and (best[1], best[0], f"best: {format_number(best[0])} at step {best[1]:,.0f}"),
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "Quality and diversity",
            "Precision and density say how realistic the images are, recall and coverage how much of the "
            "diversity of the real images they cover; higher is better. High precision with falling recall "
            "means that the generator repeats itself.",
            [_score_line(scores, key, key) for key in ("precision", "recall", "density", "coverage")],
            low=0,
            high=1,
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "Classes generated",
            f"How many of the {total:.0f} classes occur among the samples."
            if total
            else "How many classes occur among the samples.",
            [_score_line(scores, "modes", "modes")],
            low=0,
            high=total or None,
            rule=(total, "all") if total else None,
            integers=True,
            steps_per_epoch=steps_per_epoch,
        ),
    ]


def same_protocol(scores: Sequence[ScoredStep]) -> tuple[list[ScoredStep], int]:
    """The scores with the protocol of the last one, and the number of the others."""
    same = [score for score in scores if score.protocol == scores[-1].protocol]
    return same, len(scores) - len(same)


def _score_line(scores: Sequence[ScoredStep], key: str, name: str) -> Line:
    points = [(score.step, score.score[key]) for score in scores if key in score.score]
    return Line(name, Points([step for step, _ in points], [value for _, value in points]))


def _lines(records: Sequence[Record], names: dict[str, str]) -> list[Line]:
    lines = []
    for key, name in names.items():
        points = [(record["step"], record[key]) for record in records if key in record]
        lines.append(Line(name, Points([step for step, _ in points], [value for _, value in points])))
    return lines

"""The curves of a run: losses, the discriminator's opinions, and scores as training went on."""

from __future__ import annotations

from collections.abc import Sequence

from ganvas.report.chart import Chart, Line, draw
from ganvas.report.markup import Markup, empty, section, tag
from ganvas.report.numbers import number, number_words
from ganvas.report.records import Line as Reading
from ganvas.report.records import Records, Score
from ganvas.report.series import Points


def training(records: Records, steps_per_epoch: int, resume: str) -> Markup:
    """The section of what was read off while training."""
    charts = [
        Chart(
            "Losses",
            "The two networks pull against each other, so neither loss goes to zero in a healthy run; "
            "they find a level and jitter around it.",
            _lines(records.readings, {"discriminator_loss": "discriminator", "generator_loss": "generator"}),
            noisy=True,
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "What the discriminator believes",
            "The probability it gives to an image's being real: D(x) for real images, D(G(z)) for "
            "generated ones. Where the two meet it cannot tell them apart; where they sit at 1 and 0 it "
            "has won, and the generator learns little.",
            _lines(
                records.readings,
                {"real_probability": "D(x), real images", "fake_probability": "D(G(z)), generated"},
            ),
            low=0,
            high=1,
            rule=(0.5, "undecided"),
            noisy=True,
            steps_per_epoch=steps_per_epoch,
        ),
    ]
    return section("Training", _drawn(charts) or _no_readings(resume), name="training")


def scores(records: Records, steps_per_epoch: int, command: str) -> Markup:
    """The section of the scores taken while training."""
    if not records.scores:
        return section(
            "Scores over time",
            empty(
                "No scores were taken while this run trained. The run as it is now can be scored.", command
            ),
            name="scores",
        )
    taken, left_out = of_one_protocol(records.scores)
    fid = line_of(taken, "fid", "FID")
    best = min(zip(fid.points.y, fid.points.x, strict=True), default=None)
    total = max((s.values.get("modes_total", 0) for s in taken), default=0)
    charts = [
        Chart(
            "FID",
            "The distance between generated and real images; lower is better.",
            [fid],
            mark=best and (best[1], best[0], f"best: {number_words(best[0])} at step {best[1]:,.0f}"),
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "Quality and variety",
            "Precision and density say how real the images look, recall and coverage how much of the "
            "real variety they reach; higher is better. High precision with falling recall is a "
            "generator that repeats itself.",
            [line_of(taken, key, key) for key in ("precision", "recall", "density", "coverage")],
            low=0,
            high=1,
            steps_per_epoch=steps_per_epoch,
        ),
        Chart(
            "Classes drawn",
            f"How many of the {total:.0f} classes come up among the samples."
            if total
            else "How many classes come up among the samples.",
            [line_of(taken, "modes", "modes")],
            low=0,
            high=total or None,
            rule=(total, "all") if total else None,
            whole=True,
            steps_per_epoch=steps_per_epoch,
        ),
    ]
    protocol = taken[-1].protocol
    notes = [tag("p", f"Measured with {protocol}.", class_="protocol")] if protocol else []
    if left_out:
        notes.append(
            tag(
                "p",
                f"{left_out} earlier scores, taken in another way and not comparable, are left out.",
                class_="protocol",
            )
        )
    drawn = _drawn(charts) or empty("The scores hold no numbers that could be drawn.", command)
    return section("Scores over time", drawn, notes, name="scores")


def of_one_protocol(taken: Sequence[Score]) -> tuple[list[Score], int]:
    """The scores taken as the last one was, and how many were not."""
    same = [score for score in taken if score.protocol == taken[-1].protocol]
    return same, len(taken) - len(same)


def line_of(taken: Sequence[Score], key: str, name: str) -> Line:
    """One score over the steps."""
    found = [(score.step, score.values[key]) for score in taken if key in score.values]
    return Line(name, Points([step for step, _ in found], [value for _, value in found]))


def _lines(readings: Sequence[Reading], names: dict[str, str]) -> list[Line]:
    lines = []
    for key, name in names.items():
        found = [(line["step"], number(line.get(key))) for line in readings]
        kept = [(step, value) for step, value in found if value is not None]
        lines.append(Line(name, Points([step for step, _ in kept], [value for _, value in kept])))
    return lines


def _drawn(charts: Sequence[Chart]) -> Markup | None:
    figures = [draw(chart) for chart in charts if any(line.points.x for line in chart.lines)]
    return tag("div", figures, class_="charts") if figures else None


def _no_readings(resume: str) -> Markup:
    return empty("Nothing has been logged yet: the run has not trained long enough.", resume)

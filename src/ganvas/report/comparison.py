"""`compare`: runs side by side, as plain values; runs that differ in their seed alone also as a mean."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.errors import UserError, printable, shorten
from ganvas.evaluation.history import History, SavedEvaluation
from ganvas.evaluation.metric_info import COMPARED, MetricInfo, metric_infos
from ganvas.report.charts import Points, interpolate_at
from ganvas.report.comparison_views import comparison_page, csv_bytes, table_lines
from ganvas.utils.io import write_bytes

if TYPE_CHECKING:
    from ganvas.runs.run import Run

_PROTOCOL_LETTERS = 300  # of a protocol's text in an error line


@dataclass(frozen=True)
class Row:
    """A run in a comparison.

    Attributes:
        path: the run directory.
        recipe: the recipe's name.
        data: the data set's name.
        seed: the run's seed.
        steps: steps trained.
        seconds: time spent training.
        images_seen: images trained on.
        scores: the numbers of `evaluation.json`; None where there is none.
        protocol: how they were taken, for people.
        score_protocol: how the scores of `by_seconds` and `by_images` were taken.
        by_seconds: FID, as scored while training, over the time spent.
        by_images: the same over the images trained on.
        grid: the last sample grid.
    """

    path: Path
    recipe: str
    data: str
    seed: int
    steps: int
    seconds: float | None
    images_seen: float | None
    scores: Mapping[str, float] | None
    protocol: str
    score_protocol: str
    by_seconds: Points
    by_images: Points
    grid: Path | None

    @property
    def command(self) -> str:
        """What scores the run."""
        return f"ganvas evaluate {shlex.quote(str(self.path))}"


@dataclass(frozen=True)
class SeedMean:
    """Mean and standard deviation of a value over seeds, and of how many."""

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedMean:
        """Of at least one value; one alone has no deviation."""
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), deviation, len(values))


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone; one run that has no such company is a group too."""

    rows: tuple[Row, ...]
    means: Mapping[str, SeedMean] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, in the order they were given, groups by their first run.

    Attributes:
        groups: the runs.
        metrics: what they are compared by: the main metrics, and all others that a run has a score of.
    """

    groups: tuple[Group, ...]
    metrics: tuple[MetricInfo, ...]

    @property
    def rows(self) -> list[Row]:
        """All runs."""
        return [row for group in self.groups for row in group.rows]

    @property
    def unscored(self) -> list[Row]:
        """Runs without an evaluation."""
        return [row for row in self.rows if row.scores is None]

    @property
    def protocol(self) -> str:
        """How all scores were taken."""
        return next((row.protocol for row in self.rows if row.scores is not None), "")

    def as_json(self) -> dict[str, Any]:
        """Plain values: every run's, and each group's means and deviations over its seeds."""
        groups = []
        for group in self.groups:
            runs = [
                {
                    "path": str(row.path), "recipe": row.recipe, "data": row.data, "seed": row.seed,
                    "steps": row.steps, "seconds": row.seconds, "images_seen": row.images_seen,
                    "scores": None if row.scores is None else dict(row.scores),
                }
                for row in group.rows
            ]  # fmt: skip
            means = {
                key: {"mean": s.mean, "deviation": s.deviation, "runs": s.count}
                for key, s in group.means.items()
            }
            groups.append({"runs": runs, "means": means})
        return {"protocol": self.protocol, "groups": groups}

    def lines(self) -> list[str]:
        """A table for a terminal."""
        return table_lines(self)

    def save(self, out: str | Path) -> Path:
        """Write the comparison as a page (`.html`) or a table (`.csv`), and return the path.

        Raises:
            UserError: another kind of file.
            StorageError: the disk is full or not writable.
        """
        path = Path(out).expanduser()
        suffix = path.suffix.lower()
        if suffix in (".html", ".htm"):
            return comparison_page(self, path)
        if suffix != ".csv":
            raise UserError(f"{path}: expected a file that ends in .html or .csv")
        write_bytes(path, csv_bytes(self))
        return path


def compare(runs: Sequence[Run]) -> Comparison:
    """Lay opened runs side by side.

    Raises:
        UserError: no runs, one named twice, scores that were taken in different ways, or a plugin fails.
    """
    if not runs:
        raise UserError("no runs to compare: expected one run directory or more")
    paths = [run.path.resolve() for run in runs]
    twice = next((run.path for run in runs if paths.count(run.path.resolve()) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice: expected different run directories")
    evaluations = [SavedEvaluation.read(run.directory.evaluation)[0] for run in runs]
    _check_protocols(runs, evaluations)
    buckets: dict[object, list[Row]] = {}
    for run, evaluation in zip(runs, evaluations, strict=True):
        r = run.record
        fork = None if r.fork is None else (r.fork.parent, r.fork.step, str(r.fork.overrides))
        alike = (r.recipe.training_settings(), r.data.fingerprint, r.steps, run.step, r.precision, fork)
        row = _row(run, evaluation, History(run.history()))
        # The same seed again is the same run again: it says nothing about other seeds.
        again = any(row.seed == other.seed for other in buckets.get(alike, ()))
        buckets.setdefault((alike, run.path) if again else alike, []).append(row)
    scored = {key for values in evaluations if values is not None for key in values.values}
    metrics = tuple(m for m in metric_infos() if m.key in scored or m.key in COMPARED)
    return Comparison(tuple(_group(rows, metrics) for rows in buckets.values()), metrics)


def _group(rows: list[Row], metrics: Sequence[MetricInfo]) -> Group:
    columns: dict[str, list[float | None]] = {
        key: [None if row.scores is None else row.scores.get(key) for row in rows]
        for key in (*(metric.key for metric in metrics), "fid_baseline", "modes_total")
    }
    columns["seconds"] = [row.seconds for row in rows]
    columns["images_seen"] = [row.images_seen for row in rows]
    known = {key: [v for v in values if v is not None] for key, values in columns.items()}
    return Group(tuple(rows), {key: SeedMean.of(values) for key, values in known.items() if values})


def _row(run: Run, evaluation: SavedEvaluation | None, history: History) -> Row:
    r = run.record
    scores = history.scored_steps
    fids = [(s.step, s.fid) for s in scores]
    grids = run.directory.sample_files()
    return Row(
        path=run.path,
        recipe=r.recipe.name,
        data=r.data.name,
        seed=r.seed,
        steps=run.step,
        seconds=history.last("seconds"),
        images_seen=history.last("images_seen"),
        scores=None if evaluation is None else evaluation.values,
        protocol="" if evaluation is None else evaluation.protocol_text,
        score_protocol=scores[-1].protocol if scores else "",
        by_seconds=_positioned(fids, _clock(history, "seconds")),
        by_images=_positioned(fids, _clock(history, "images_seen")),
        grid=grids[-1] if grids else None,
    )


def _clock(history: History, key: str) -> Points:
    """The value of `key` after each step; at step 0 nothing has been spent."""
    steps, values = [0.0], [0.0]
    for line in history.records:
        value = line.get(key)
        if value is not None and line["step"] > steps[-1] and value >= values[-1]:
            steps.append(line["step"])
            values.append(value)
    return Points(steps, values)


def _positioned(fids: Sequence[tuple[int, float]], clock: Points) -> Points:
    """FID by what the clock showed when it was taken; scores beyond the clock are left out."""
    timed = [(interpolate_at(clock, step), fid) for step, fid in fids]
    kept = [(at, fid) for at, fid in timed if at is not None]
    return Points([at for at, _ in kept], [fid for _, fid in kept])


def _check_protocols(runs: Sequence[Run], evaluations: Sequence[SavedEvaluation | None]) -> None:
    scored = [(run, e) for run, e in zip(runs, evaluations, strict=True) if e is not None]
    for run, evaluation in scored[1:]:
        first, known = scored[0]
        if evaluation.protocol != known.protocol:
            # Of two protocols with the same words, the difference is in what the words leave out.
            texts = (e.protocol_text or "an unnamed protocol" for e in (known, evaluation))
            a, b = (printable(shorten(text, _PROTOCOL_LETTERS)) for text in texts)
            raise UserError(
                f"scores of different protocols cannot be compared: {first.path} has {a}; {run.path} has "
                f"{b}; evaluate each of them again with the same count, as 10000"
            )

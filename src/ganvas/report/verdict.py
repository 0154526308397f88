"""How good it is: the final score beside what real images would get, and what the guard said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ganvas.report.markup import Markup, empty, section, tag
from ganvas.report.meanings import FLOOR, METRICS, Metric
from ganvas.report.numbers import number_words, spread_words
from ganvas.report.records import Evaluation, Guard, Records

_TILES = ("fid", "precision", "recall", "modes")
_MANNERS: dict[str, Literal["warn", "advice"]] = {"collapse": "warn", "copying": "warn", "worse": "warn"}
_ARROWS = {"lower": "↓", "higher": "↑", "nearer 0": "→"}
_TITLES = {
    "collapse": "Collapse",
    "discriminator": "Discriminator",
    "worse": "Getting worse",
    "copying": "Copying",
}


def verdict(
    found: Evaluation | None, why: str, records: Records, step: int, command: str, title: str = "Verdict"
) -> Markup:
    """The section.

    Args:
        found: the evaluation, if there is one.
        why: why there is none.
        records: the last score of training stands in for it; and the guard's sentences.
        step: where the run stands.
        command: the one that evaluates it.
        title: of the section.
    """
    if found is not None and _rows(found.values):
        body = [_tiles(found.values), _table(found.values), *_footing(found, step, command)]
    elif records.scores and _rows(records.scores[-1].values):
        last = records.scores[-1]
        line = f"{why} Below is the last score taken while training, at step {last.step:,}, without floors."
        protocol = tag("p", f"Measured with {last.protocol}.", class_="protocol") if last.protocol else None
        body = [empty(line, command), _tiles(last.values), _table(last.values), protocol or Markup()]
    else:
        line = why or "The last evaluation holds no scores."
        body = [empty(f"{line} So nothing can be said yet about how good its images are.", command)]
    return section(title, body, guard_sentences(records.guards), name="verdict")


def guard_sentences(guards: Sequence[Guard]) -> list[Markup]:
    """The last sentence of each kind; how often it was said."""
    latest = {guard.kind: guard for guard in guards}
    lines = []
    for kind, guard in latest.items():
        times = sum(other.kind == kind for other in guards)
        said = f"at step {guard.step:,}" + (f", the last of {times} times" if times > 1 else "")
        lines.append(
            tag(
                "p",
                tag("b", f"{_TITLES.get(kind, 'Guard')}: "),
                guard.sentence,
                tag("small", f" (said while training, {said})"),
                class_=f"callout {_MANNERS.get(kind, 'advice')}",
            )
        )
    return lines


def value_words(values: Mapping[str, float], key: str) -> str:
    """A score with its spread; modes with how many there are."""
    if key == "modes":
        return modes_words(values.get("modes"), values.get("modes_total"))
    return spread_words(values.get(key), values.get(f"{key}_spread"))


def modes_words(modes: float | None, total: float | None) -> str:
    """`9 of 10`; a mean of runs may be 9.5."""
    if modes is None:
        return "–"
    return f"{modes:g} of {total:g}" if total else f"{modes:g}"


def _rows(values: Mapping[str, float]) -> list[Metric]:
    return [metric for metric in METRICS if metric.key in values]


def _floor(values: Mapping[str, float], key: str) -> str:
    floor = values.get(f"{key}_floor")
    if key == "modes":
        return modes_words(floor, values.get("modes_total"))
    return number_words(floor)


def _tiles(values: Mapping[str, float]) -> Markup:
    tiles = []
    for metric in METRICS:
        if metric.key not in _TILES or metric.key not in values:
            continue
        shown = value_words({k: v for k, v in values.items() if not k.endswith("_spread")}, metric.key)
        floor = _floor(values, metric.key)
        below = f"floor {floor}" if floor != "–" else f"{metric.better} is better"
        tiles.append(
            tag(
                "div",
                tag("span", metric.title, class_="what"),
                tag("b", shown),
                tag("small", below),
                class_="tile",
            )
        )
    return tag("div", tiles, class_="tiles")


def _table(values: Mapping[str, float]) -> Markup:
    heads = ["Score", "This run", "Floor", "Better", "What it says"]
    kinds = ["name", "number", "number floor", "better", "meaning"]
    head = tag("tr", [tag("th", h, scope="col", class_=k) for h, k in zip(heads, kinds, strict=True)])
    rows = []
    for metric in _rows(values):
        floor = _floor(values, metric.key)
        better = f"{_ARROWS[metric.better]} {metric.better}"
        rows.append(
            tag(
                "tr",
                tag("th", metric.title, scope="row"),
                tag("td", value_words(values, metric.key), class_="number"),
                tag("td", floor, class_="number floor" + (" none" if floor == "–" else "")),
                tag("td", better, class_="better"),
                tag("td", metric.meaning, class_="meaning"),
            )
        )
    return tag("table", tag("thead", head), tag("tbody", rows), class_="scores")


def _footing(found: Evaluation, step: int, command: str) -> list[Markup]:
    lines = [tag("p", f"Floor: {FLOOR}. After ±: the standard error of the measurement.", class_="protocol")]
    if found.protocol_text:
        where = f" Scored at step {found.step:,}." if found.step is not None else ""
        lines.append(tag("p", f"Measured with {found.protocol_text}.{where}", class_="protocol"))
    if found.step is not None and found.step != step:
        line = (
            f"This is the score of step {found.step:,}: the best one while training, or the one asked for. "
            f"The newest checkpoint is of step {step:,}."
        )
        lines.append(empty(line, f"{command} --step {step}"))
    return lines

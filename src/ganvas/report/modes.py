"""Which classes the generator draws, and how often, beside how often they really come."""

from __future__ import annotations

from ganvas.report.markup import Markup, empty, section, tag
from ganvas.report.records import Evaluation

_MOST_ROWS = 100


def modes(found: Evaluation | None, why: str, command: str) -> Markup:
    """The section; `why` is said where there is no evaluation."""
    title = "Classes"
    if found is None:
        return section(title, empty(why, command), name="classes")
    if not found.histogram:
        line = "The last evaluation counted no classes; it can where the data set has labels."
        return section(title, empty(line, command), name="classes")
    names = [*found.histogram, *(name for name in found.expected if name not in found.histogram)]
    most = max([*found.histogram.values(), *found.expected.values()]) or 1.0
    rows = [
        _row(name, found.histogram.get(name, 0.0), found.expected.get(name), most, name in found.missing)
        for name in names[:_MOST_ROWS]
    ]
    longest = max(map(len, names))
    more = len(names) - _MOST_ROWS
    return section(
        title,
        tag(
            "p",
            "The share of the generated images that a classifier puts into each class (bar), and the share "
            "the class has among the real images (upright mark).",
            class_="lead",
        ),
        _missing(found.missing),
        tag("div", rows, class_="bars", style=f"--label:{min(24, longest + 2)}ch"),
        tag("p", f"And {more:,} classes more.", class_="reading") if more > 0 else None,
        name="classes",
    )


def _missing(names: tuple[str, ...]) -> Markup:
    if not names:
        return tag("p", "No class is missing.", class_="callout good")
    shown = ", ".join(names[:_MOST_ROWS]) + (", …" if len(names) > _MOST_ROWS else "")
    one = "This class is" if len(names) == 1 else f"These {len(names)} classes are"
    return tag("p", f"{one} missing, never or hardly ever drawn: ", tag("b", shown), class_="callout warn")


def _row(name: str, share: float, expected: float | None, most: float, missing: bool) -> Markup:
    marker = None
    real = ""
    if expected is not None:
        marker = tag("i", class_="real", style=f"left:{100 * expected / most:.2f}%")
        real = f"{expected:.1%}"
    bar = tag("div", tag("i", class_="share", style=f"width:{100 * share / most:.2f}%"), marker, class_="bar")
    number = tag("span", f"{share:.1%}", tag("small", f" real {real}") if real else None, class_="number")
    label = tag("span", name, class_="name", title=name)
    return tag("div", label, bar, number, class_="row missing" if missing else "row")

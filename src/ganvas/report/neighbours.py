"""Generated images beside the training images nearest to them: does the generator invent, or repeat?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ganvas.images import Pixels, png_bytes, to_picture
from ganvas.report.markup import Markup, empty, png_uri, section, tag
from ganvas.report.numbers import number_words

Neighbours = tuple[Pixels, Sequence[Pixels], Sequence[float]]
"""A generated image uint8 [C, H, W], the training images nearest to it, and how far each is."""

_MOST = 48
_SIDE = 84  # pixels of the page, about


@dataclass(frozen=True)
class Extras:
    """What a page can show beside what lies in the run directory.

    Attributes:
        neighbours: generated images with their nearest training images.
        neighbour_note: a sentence that says what distances are usual.
    """

    neighbours: Sequence[Neighbours] = ()
    neighbour_note: str = ""


def neighbours(extras: Extras, command: str) -> Markup:
    """The section."""
    title = "Nearest training images"
    note = tag("p", extras.neighbour_note, class_="callout advice") if extras.neighbour_note else None
    if not extras.neighbours:
        why = "Generated images have not been held against the training images here."
        return section(title, note, empty(why, command), name="neighbours")
    lead = (
        "Each generated image, framed, is followed by the training images nearest to it and their distances. "
        "Twins are a sign that the generator repeats what it has seen."
    )
    cards = [tag("div", _cards(*one), class_="kin") for one in extras.neighbours[:_MOST]]
    return section(
        title, tag("p", lead, class_="lead"), note, tag("div", cards, class_="kins"), name="neighbours"
    )


def _cards(fake: Pixels, nearest: Sequence[Pixels], distances: Sequence[float]) -> list[Markup]:
    first = _card(fake, "generated", "Generated image", "fake")
    rest = [
        _card(image, number_words(distance), f"Training image at distance {number_words(distance)}", "")
        for image, distance in zip(nearest, distances, strict=True)
    ]
    return [first, *rest]


def _card(image: Pixels, caption: str, alt: str, kind: str) -> Markup:
    _, height, width = image.shape
    factor = max(1, _SIDE // width)
    size = {"width": width * factor, "height": height * factor}
    picture = tag("img", src=png_uri(png_bytes(to_picture(image))), alt=alt, **size)
    return tag("figure", picture, tag("figcaption", caption), class_=kind or None)

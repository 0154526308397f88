"""HTML that cannot be broken by what is put into it: text is escaped unless it is `Markup` already."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

_VOID = {"img", "input", "meta", "link"}
# Control characters have no picture, and some end a line or turn the direction of reading.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# The browser itself is told to load nothing: no site, no file, only what is inside the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {}; base-uri 'none'; form-action 'none'"  # noqa: E501


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


Child = str | Markup | Iterable["Child"] | None


def escaped(text: str) -> Markup:
    """Text for an element or a quoted attribute; unprintable characters are shown as a replacement."""
    return Markup(html.escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text), quote=True))


def joined(*children: Child) -> Markup:
    """Children one after another: Markup as it is, text escaped, None left out."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escaped(child))
        elif child is not None:
            parts += (joined(one) for one in child)
    return Markup("".join(parts))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element; `class_` is the attribute class, `data_x` is data-x; True is bare, None and False are none.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            words.append(f'{attribute}="{escaped(str(value))}"')
    opening = Markup(f"<{' '.join(words)}>")
    return opening if name in _VOID else Markup(f"{opening}{joined(*children)}</{name}>")


def data_block(value: Any) -> Markup:
    """Values for a script to read: JSON in which nothing can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(f'<script type="application/json">{text}</script>')


def png_uri(content: bytes) -> str:
    """A PNG's bytes as a data: address."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def section(title: str, *children: Child, name: str) -> Markup:
    """A part of a page under a heading; `name` is its id."""
    return tag("section", tag("h2", title), *children, id=name)


def empty(why: str, command: str | None = None) -> Markup:
    """The one line that a part without data says, with the command that would give it some."""
    return tag("p", why, " ", tag("code", command) if command else None, class_="empty")


def copyable(text: str) -> Markup:
    """Text to be taken along, with a button that copies it."""
    button = tag("button", "Copy", type="button", class_="copy", aria_label="Copy to the clipboard")
    return tag("div", tag("pre", tag("code", text)), button, class_="copyable")


def document(title: str, *children: Child, scripts: Iterable[str], broad: bool = False) -> bytes:
    """A whole page, its style and the named scripts of `assets/` inside; `broad` gives tables more room."""
    script = "\n".join(asset(name) for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = _POLICY.format(f"'sha256-{digest}'")  # no other script runs, wherever it came from
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(asset("page.css"))),
    )
    body = tag(
        "body", tag("main", *children, class_="broad" if broad else None), tag("script", Markup(script))
    )
    page = f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
    return page.encode("utf-8")


def asset(name: str) -> str:
    """A file of `assets/`."""
    return resources.files("ganvas.report").joinpath("assets", name).read_text("utf-8")

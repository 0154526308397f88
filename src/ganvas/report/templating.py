"""Pages from Jinja2 templates: text is escaped by the engine, and nothing is loaded from outside the page."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Control characters have no glyph, and some end a line or reverse the direction of reading.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# The content security policy: the browser loads nothing but what is inside the page, and runs one script.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {}; base-uri 'none'; form-action 'none'"  # noqa: E501


def printable(value: Any) -> Any:
    """Text with its unprintable characters replaced by U+FFFD; other values and finished markup unchanged.

    Every expression of every template passes through here before it is escaped.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def escape_text(text: str) -> str:
    """`text` as a template writes it into an element or a quoted attribute."""
    return str(Markup.escape(printable(text)))


@functools.cache
def environment() -> Environment:
    """The engine: autoescape, and an error for every name that a template misspells."""
    engine = Environment(
        loader=PackageLoader("ganvas.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    # JSON for scripts: `tojson` escapes <, >, & and ', so that no value can end the script element.
    engine.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return engine


def render(template: str, **values: Any) -> Markup:
    """The named template with `values` filled in."""
    return Markup(environment().get_template(template).render(**values))  # noqa: S704 (escaped by the engine)


def render_page(template: str, scripts: Sequence[str], **values: Any) -> bytes:
    """A whole page in UTF-8 with its style sheet and the named scripts of `assets/` inside."""
    script = "\n".join(asset(name) for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = render(
        template,
        policy=_POLICY.format(f"'sha256-{digest}'"),
        style=Markup(asset("page.css")),  # noqa: S704 (a file of this package)
        script=Markup(script),  # noqa: S704 (files of this package)
        **values,
    )
    return page.encode("utf-8")


def asset(name: str) -> str:
    """The text of a file of `assets/`."""
    return resources.files("ganvas.report").joinpath("assets", name).read_text("utf-8")


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    """An image's bytes as a data: address."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"

"""What requests say, checked, and the answers that refuse them."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ganvas.errors import printable
from ganvas.studio.library import JSON
from ganvas.utils.io import read_regular

_IMAGE_LIMIT = 64 * 2**20  # bytes of a grid
_ZIP_ENTRIES = 100_000
_ZIP_BYTES = 2**30  # unpacked; nothing is ever extracted
_RATIO = 100  # unpacked to packed


class APIError(Exception):
    """An answer that is an error: status, code and message; a hint; the field of a form."""

    def __init__(self, status: int, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.content: JSON = {"code": code, "message": printable(message), "hint": ""}
        if field is not None:
            self.content["field"] = field


_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "recipe": str, "data": str, "budget": str, "steps": int, "clusters": int, "conditional": bool,
    "seed": int, "size": int, "resize": str, "overrides": dict,
}  # fmt: skip
FIELDS = (*_OPTIONS, "name", "epochs", "out")


def train_options(body: JSON) -> JSON:
    """What a body says of a training run; every option is there, None where it is not said.

    Raises:
        APIError: a value of another type; it names the field.
    """
    unknown = [name for name in body if name not in (*_OPTIONS, "name")]
    if unknown:
        raise APIError(400, "bad_request", f"unknown key {unknown[0]}")
    if not body.get("data"):
        raise APIError(400, "bad_request", "data: expected a data set's name or path", field="data")
    options: JSON = {}
    for name, kind in _OPTIONS.items():
        value = body.get(name)
        fits = value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))
        if not fits or (isinstance(value, str) and (value.startswith("-") or "\0" in value)):
            raise APIError(400, "bad_request", f"{name}: this is no value for it", field=name)
        options[name] = value if value != "" else None
    options["conditional"] = bool(options["conditional"])
    options["seed"] = options["seed"] or 0
    return options


def train_words(options: JSON, data: str | None) -> list[str]:
    """The command line of these options."""
    words = [options["recipe"]] if options["recipe"] else []
    flags = {**options, "data": data}
    for name in ("data", "budget", "steps", "clusters", "seed", "size", "resize"):
        if flags[name] is not None:
            words += [f"--{name}", str(flags[name])]
    if options["conditional"]:
        words.append("--conditional")
    for key, value in (options["overrides"] or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={text}"]
    return words


def whole_number(value: object, low: int, high: int, field: str | None = None) -> int:
    """The whole number from `low` to `high` that `value` is, or is the text of.

    Raises:
        APIError: it is none.
    """
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise APIError(400, "bad_request", f"expected a whole number from {low} to {high}", field=field)
    return number


async def read_body(request: Request) -> JSON:
    """The JSON object that the request has.

    Raises:
        APIError: it has none.
    """
    try:
        value = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise APIError(400, "bad_request", "expected a JSON object")
    return value


async def png_response(path: Path, cache: str) -> Response:
    """A PNG of a run: a regular file, and nothing else whatever its name is."""
    try:
        content = await asyncio.to_thread(lambda: read_regular(path, limit=_IMAGE_LIMIT, follow_links=False))
    except OSError:
        raise APIError(404, "not_found", "no such image") from None
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise APIError(404, "not_found", "no such image")
    return Response(content, media_type="image/png", headers={"cache-control": cache})


def check_zip(path: Path) -> None:
    """Refuse what is no zip, and bombs, by the archive's own index; reading it later checks the rest.

    Raises:
        APIError: it says what is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise APIError(415, "bad_request", "this is not a zip file", field="data") from None
    unpacked, packed = sum(e.file_size for e in entries), max(path.stat().st_size, 1)
    if len(entries) > _ZIP_ENTRIES or unpacked > _ZIP_BYTES or unpacked > _RATIO * packed:
        raise APIError(
            413, "too_large",
            f"expected at most {_ZIP_ENTRIES:,} files and {_ZIP_BYTES // 2**20:,} MiB when unpacked",
            field="data",
        )  # fmt: skip

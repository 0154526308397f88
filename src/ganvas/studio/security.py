"""Who may talk to the studio: this page, on this machine, with the token. ASGI middleware around everything.

A server on this machine can be reached by every page that a browser has open. So each request must name this
server as its host (against DNS rebinding, CVE-2025-14279), must not come from another page (Origin and
Sec-Fetch-Site, CVE-2024-1727), and under /api must carry a random token, which only who started the studio
knows: it is in the URL's fragment, which browsers do not send, and in no cookie.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = "X-Ganvas-Token"  # noqa: S105 - the name of the header
JSON_LIMIT = 2**20  # bytes of a request's body
UPLOAD_LIMIT = 64 * 2**20

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


class TooLargeError(Exception):
    """A request's body has more than `args[0]` bytes; the application answers it with 413."""


class Guard:
    """Refuse requests that are not this page's own; add the headers that confine the page.

    Args:
        app: what answers the others.
        token: the secret, in hexadecimal.
        hosts: values of the Host header that are this server.
    """

    def __init__(self, app: App, token: str, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        headers = _headers(scope)
        refused = self._refusal(scope, headers)
        if refused is not None:
            return await _error(send, *refused)
        limit = UPLOAD_LIMIT if scope["path"] == "/api/uploads" else JSON_LIMIT
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > limit:
            return await _error(send, 413, "too_large", f"the request has more than {limit:,} bytes")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_encoded(_HEADERS)]
            await send(message)

        return await self._app(scope, _bounded(receive, limit), send_with_headers)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Status, code and message, where the request must not be answered."""
        if headers.get("host", "").lower() not in self._hosts:
            return 421, "bad_request", "this server answers only to the address that it printed"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in self._hosts}:
            return 403, "unauthorized", "requests of other pages are not answered"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "unauthorized", "requests of other pages are not answered"
        path = scope["path"]  # what routing reads, too: nothing is decoded twice
        if path == "/api" or path.startswith("/api/"):
            given = headers.get(TOKEN_HEADER.lower(), "")
            if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
                return 401, "unauthorized", "open the address that 'ganvas studio' printed: it has the token"
        return None


def _headers(scope: Scope) -> dict[str, str]:
    """The request's headers; of one that comes twice, all values, so that it equals none that is expected."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive`, which counts the body's bytes: the header that announces them may lie."""
    count = 0

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > limit:
            raise TooLargeError(limit)
        return message

    return counted


def _encoded(headers: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode(), value.encode()


async def _error(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"code": code, "message": message, "hint": ""}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **_HEADERS}
    if status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": list(_encoded(headers))})
    await send({"type": "http.response.body", "body": body})

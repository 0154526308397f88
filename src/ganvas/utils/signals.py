"""Ctrl-C, SIGTERM and SIGHUP (a terminal that closes), heard between two steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_REASONS = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}  # Windows has no SIGHUP

# `timeout`, a shell that is closed, and programs that pass signals on send one signal twice, at once.
_ECHO_SECONDS = 0.5


class StopRequest:
    """Whether training was asked to stop: call it. `reason` is then "Ctrl-C", "SIGTERM" or "SIGHUP"."""

    reason: str = ""

    def __call__(self) -> bool:
        """Whether training was asked to stop."""
        return bool(self.reason)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the signals that stop a process into a question that the loop asks between two steps.

    Stopped in the middle of an update, one player would have moved without the other. A second Ctrl-C stops
    at once. A signal that was ignored when the process started stays ignored, as `nohup` wants it.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    requested_at = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal requested_at
        now = time.monotonic()
        if not request():
            requested_at, request.reason = now, _REASONS[signal.Signals(number).name]
        elif number == signal.SIGINT and now - requested_at >= _ECHO_SECONDS:
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in _REASONS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    # None is the handler of a program that this interpreter is part of: it is left alone, too.
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handle)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

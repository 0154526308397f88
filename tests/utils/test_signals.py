"""Signals become a question; those that were ignored stay ignored."""

import signal
import threading

import pytest

from ganvas.utils import signals
from ganvas.utils.signals import stop_requests

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers():
    """Signals are not ignored at first, even under nohup; afterwards they are as before."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_is_heard_and_named_and_its_echo_does_no_harm(number):
    with stop_requests() as stopped:
        assert not stopped()
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stopped()
        assert stopped.reason == {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    with pytest.raises(KeyboardInterrupt):  # the handler of before is back
        signal.raise_signal(number)


def test_a_second_ctrl_c_stops_at_once_but_never_a_second_sighup(monkeypatch):
    monkeypatch.setattr(signals, "_ECHO_SECONDS", 0)
    with stop_requests():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_that_is_ignored_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with stop_requests() as stopped:
        signal.raise_signal(number)
        assert not stopped()
    assert signal.getsignal(number) == signal.SIG_IGN


def test_outside_the_main_thread_no_handler_is_set():
    answers = []

    def ask():
        with stop_requests() as stopped:
            answers.append((stopped(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [(False, signal.default_int_handler)]

"""Waiting for what another process does: for the event, never for a time."""

import time

PATIENCE = 120  # seconds: only what hangs takes so long


def wait_for(condition, patience=PATIENCE):
    """Wait until `condition()` gives something, and return that."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("this did not happen")

"""How a run that trains is watched and controlled from another process: two small files in its directory.

    status.json    written by the process that trains, about once a second: state, step, speed
    control.json   written by whoever controls it: run, pause or stop, and until when previews are wanted

The files are advice, not truth: what a run is made of is in its checkpoints and its log. A damaged file
counts as missing. Nothing here imports torch, so that a server can read it quickly.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from ganvas.errors import StorageError
from ganvas.utils.io import read_regular, write_json

Want = Literal["run", "pause", "stop"]
State = Literal["running", "paused", "finished", "stopped", "failed"]

HEARTBEAT = 1.0  # seconds between two writes of status.json
_POLL = 0.2  # seconds between two looks at control.json, while training and while paused
_LIMIT = 2**16  # bytes of either file


@dataclass(frozen=True)
class RunStatus:
    """What `status.json` says.

    Attributes:
        state: of the process that trained last.
        step: steps done.
        steps: the run's length.
        steps_per_second: over the last seconds; None before the first.
        sequence: the newest command that was obeyed.
        preview: the step of `preview.png`; None where there is none.
        message: why it stopped, in one line.
        pid: of the process.
        started: when that process started, seconds since 1970: another process may have its number later.
        time: of this status.
    """

    state: State
    step: int
    steps: int
    steps_per_second: float | None
    sequence: int
    preview: int | None
    message: str
    pid: int
    started: float
    time: float

    @property
    def alive(self) -> bool:
        """Whether the process that wrote this is there and not done."""
        if self.state not in ("running", "paused"):
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Command:
    """What `control.json` says.

    Attributes:
        sequence: counts the commands; the trainer's status says which one it has obeyed.
        want: what the run is to do.
        preview_until: until when somebody looks at previews, seconds since 1970.
    """

    sequence: int = 0
    want: Want = "run"
    preview_until: float = 0.0


def read_status(folder: Path) -> RunStatus | None:
    """The status of the run in `folder`; None where it is missing or damaged."""
    values = _read(folder / "status.json")
    try:
        status = RunStatus(
            **{name: values[name] for name in RunStatus.__dataclass_fields__}  # further keys are ignored
        )
    except KeyError:
        return None
    numbers = (status.step, status.steps, status.sequence, status.pid)
    fits = (
        all(type(n) is int and 0 <= n < 2**62 for n in numbers)
        and all(isinstance(t, int | float) and 0 <= t < 1e11 for t in (status.started, status.time))
        and isinstance(status.message, str)
        and status.state in ("running", "paused", "finished", "stopped", "failed")
        and (status.preview is None or (type(status.preview) is int and status.preview >= 0))
        and (status.steps_per_second is None or isinstance(status.steps_per_second, int | float))
        and 0 < status.pid < 2**31
    )
    return status if fits else None


def read_command(folder: Path) -> Command:
    """The newest command to the run in `folder`; to run, where there is none or a damaged one."""
    values = _read(folder / "control.json")
    sequence, want, until = values.get("sequence"), values.get("want"), values.get("preview_until", 0.0)
    if type(sequence) is not int or not 0 <= sequence < 2**62 or want not in ("run", "pause", "stop"):
        return Command()
    return Command(sequence, want, float(until) if isinstance(until, int | float) else 0.0)


def write_command(folder: Path, *, want: Want | None = None, preview_until: float | None = None) -> Command:
    """Tell the run in `folder` what to do; what is None stays as it is.

    Raises:
        StorageError: the file cannot be written.
    """
    old = read_command(folder)
    command = Command(
        old.sequence + (want is not None),
        old.want if want is None else want,
        old.preview_until if preview_until is None else preview_until,
    )
    write_json(folder / "control.json", asdict(command))
    return command


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_regular(path, limit=_LIMIT, follow_links=False))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


class TrainerControl:
    """The side of the process that trains.

    Args:
        folder: the run directory.
        step: steps done.
        steps: the run's length.
        clock: seconds, for tests.

    A command of an earlier process is not obeyed: `resume` runs, whatever stopped the run before.
    """

    def __init__(
        self, folder: Path, step: int, steps: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._steps, self._clock = folder, steps, clock
        self._step, self._message = step, ""
        self._state: State = "running"
        self._ignored = read_command(folder).sequence
        self._command = Command(self._ignored)
        self._file_time: int | None = None
        self._last_poll = self._last_write = clock()
        self._rate_step, self._rate_time = step, clock()
        self._rate: float | None = None
        self.preview_step: int | None = None
        self._started = psutil.Process().create_time()
        self._write()

    def update(self, step: int) -> Want:
        """What the run is to do after `step` steps; cheap enough to be asked after each."""
        self._step = step
        now = self._clock()
        if now - self._last_poll < _POLL:
            return self._command.want
        self._last_poll = now
        self._poll()
        if now - self._last_write >= HEARTBEAT:
            self._rate = (step - self._rate_step) / (now - self._rate_time)
            self._rate_step, self._rate_time = step, now
            self._write()
        return self._command.want

    def wait(self, stopped: Callable[[], bool]) -> Want:
        """Wait, in the state "paused", until the run is to run again or to stop; the caller has saved it."""
        self._state = "paused"
        self._write()
        while self._command.want == "pause" and not stopped():
            time.sleep(_POLL)
            self._poll()
            if self._clock() - self._last_write >= HEARTBEAT:
                self._write()
        self._state = "running"
        self._rate_step, self._rate_time = self._step, self._clock()
        self._write()
        return self._command.want

    def finish(self, state: State, message: str = "") -> None:
        """Write the last status of this process."""
        self._state, self._message, self.preview_step = state, message, None
        self._write()

    @property
    def preview_wanted(self) -> bool:
        """Whether somebody looks at previews now."""
        return self._command.preview_until > time.time()

    def _poll(self) -> None:
        try:
            file_time = (self._folder / "control.json").lstat().st_mtime_ns
        except OSError:
            return
        if file_time != self._file_time:
            self._file_time = file_time
            command = read_command(self._folder)
            if command.sequence <= self._ignored:
                command = Command(self._ignored, "run", command.preview_until)
            self._command = command

    def _write(self) -> None:
        self._last_write = self._clock()
        status = RunStatus(
            self._state, self._step, self._steps, self._rate, self._command.sequence, self.preview_step,
            self._message, os.getpid(), self._started, time.time(),
        )  # fmt: skip
        try:
            write_json(self._folder / "status.json", asdict(status))
        except StorageError:
            return  # a full disk is reported by the checkpoint that it prevents

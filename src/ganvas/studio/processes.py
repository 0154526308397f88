"""Processes that the studio starts: runs, which outlive it, and the engine, which does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganvas.errors import printable
from ganvas.runs.control import read_status

JSON = dict[str, Any]

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_JOBS = 8  # that wait for the engine; more are refused
_START_SECONDS = 60.0  # in which a new run is expected to be there, or to have said what is wrong
_LOG_BYTES = 2**16

DETACHED: dict[str, Any] = (
    {"creationflags": 0x00000208}  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
    if os.name == "nt"
    else {"start_new_session": True}
)
"""Arguments of `Popen`: a signal to this terminal is not the process's."""


PYTHON = (sys.executable, "-P", "-m")
"""Runs a module; -P: a numpy.py in the working directory is not taken for NumPy."""


class StartError(Exception):
    """A run could not be started; `args[0]` is the line that its process wrote."""


class BusyError(Exception):
    """Too many jobs are waiting for the engine."""


class EngineError(Exception):
    """The engine could not do a job; `args` are the code, the line, and the form's field or None."""


async def start_run(words: list[str], folder: Path, logs: Path) -> None:
    """Start `ganvas WORDS` in a session of its own, and wait until its run at `folder` trains.

    Raises:
        StartError: it ended before, with the line that it wrote.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{folder.name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*PYTHON, "ganvas", *words],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, **DETACHED,
        )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True).start()  # so that it is no zombie when it ends
    for _ in range(int(_START_SECONDS / 0.1)):
        status = await asyncio.to_thread(read_status, folder)
        if status is not None and status.pid == process.pid:
            return
        if process.poll() is not None:
            raise StartError(_last_line(log))
        await asyncio.sleep(0.1)


def _last_line(log: Path) -> str:
    """The error that a process wrote last, without the name of the program."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LOG_BYTES))
        lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return printable(lines[-1].removeprefix("ganvas: ").strip())
    return "training ended without a word"


@dataclass
class Engine:
    """The process that imports torch: started when first needed, replaced when it fails or hangs.

    It does one job at a time. A job is a JSON object and gets a JSON object and bytes.
    """

    _process: asyncio.subprocess.Process | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0
    _closed: bool = False

    async def call(self, job: JSON, *, seconds: float = 60.0) -> tuple[JSON, bytes]:
        """Do a job.

        Raises:
            BusyError: eight others wait.
            EngineError: it cannot be done.
        """
        if self._waiting >= MAX_JOBS:
            raise BusyError
        self._waiting += 1
        try:
            async with self._lock:
                return await self._call(job, seconds)
        finally:
            self._waiting -= 1

    async def _call(self, job: JSON, seconds: float) -> tuple[JSON, bytes]:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        done = False
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            await process.stdin.drain()
            async with asyncio.timeout(seconds):
                answer: JSON = json.loads(await process.stdout.readline())
                content = await process.stdout.readexactly(int(answer.pop("bytes")))
            done = True
        except TimeoutError:
            raise EngineError("failed", f"given up after {seconds:.0f} s", None) from None
        except (OSError, ValueError, asyncio.IncompleteReadError):
            raise EngineError("failed", "the process that generates images ended; try again", None) from None
        finally:
            if not done:  # also when the client left: its answer must not reach the next one
                await self.close()
        if "code" in answer:
            raise EngineError(answer["code"], answer["message"], answer.get("field"))
        return answer, content

    async def _running(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise EngineError("failed", "the studio is closing", None)
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *PYTHON, "ganvas.studio.engine",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=2**24,
            )  # fmt: skip
        return self._process

    def shut(self) -> None:
        """End the process and do no further job; may be called from a signal's handler."""
        self._closed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process; the next job starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

"""A run's `metrics.jsonl` as columns for charts, and as a stream of what is added to it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from ganvas.errors import printable
from ganvas.evaluation.history import finite_numbers, parse_line
from ganvas.runs.control import read_status, write_command
from ganvas.runs.directory import RunDirectory
from ganvas.studio.library import JSON, Library, grid_steps, progress
from ganvas.utils.io import open_regular

MAX_POINTS = 5_000
POLL = 0.15  # seconds between two looks at the files of a run
ROWS_INTERVAL = 0.25  # seconds between two messages with rows: charts need no more
STATUS_INTERVAL = 1.0
KEEP_ALIVE = 10.0
PREVIEW_LEASE = 5.0  # seconds that previews are wanted after the page was last heard of
_CHUNK = 2**18  # bytes of the log that one message covers at most: what a client costs in memory


def columns(path: Path, maximum: int = MAX_POINTS) -> JSON:
    """The training records of a log as columns, its scores, and up to which byte it was read.

    Args:
        path: of `metrics.jsonl`.
        maximum: rows; of more, each bucket of rows keeps those with the least and the greatest values.

    Raises:
        OSError: the file cannot be read.
    """
    records: list[JSON] = []
    scores: list[JSON] = []
    probes: list[JSON] = []
    offset = 0
    try:
        with open_regular(path, follow_links=False) as stream:
            for raw in stream:
                if not raw.endswith(b"\n"):
                    break  # still being written
                offset += len(raw)
                _sort_line(raw, records, scores, probes, [])
    except FileNotFoundError:
        pass
    keys = dict.fromkeys(key for record in records for key in record if key != "step")
    chosen = _decimated(records, list(keys), maximum)
    return {
        "offset": offset,
        "steps": [record["step"] for record in chosen],
        "columns": {key: [record.get(key) for record in chosen] for key in keys},
        "scores": scores,
        "probes": probes,
    }


def _sort_line(
    raw: bytes, records: list[JSON], scores: list[JSON], probes: list[JSON], health: list[JSON]
) -> None:
    """Put a line of the log where it belongs; a damaged one nowhere."""
    line = parse_line(raw.decode("utf-8", "replace"))
    if line is None:
        return
    step = {"step": line["step"]}
    if "score" in line:
        scores.append(step | finite_numbers(line["score"]))
    elif isinstance(line.get("health"), str):
        health.append(step | {"message": printable(str(line.get("message", "")))})
    elif "probe_real_accuracy" in line:
        values = finite_numbers(line)
        probes.append(
            step | {"real": values.get("probe_real_accuracy"), "fake": values.get("probe_fake_accuracy")}
        )
    else:
        records.append(finite_numbers(line) | step)


def _decimated(records: list[JSON], keys: list[str], maximum: int) -> list[JSON]:
    """At most about `maximum` of the records: of each bucket, those with a least or a greatest value."""
    if len(records) <= maximum or not keys:
        return records
    buckets = max(maximum // (2 * len(keys)), 1)
    chosen: list[JSON] = []
    for number in range(buckets):
        begin, end = number * len(records) // buckets, (number + 1) * len(records) // buckets
        rows: set[int] = {begin, end - 1}
        for key in keys:
            values = [(records[i][key], i) for i in range(begin, end) if key in records[i]]
            if values:
                rows |= {min(values)[1], max(values)[1]}
        chosen += [records[i] for i in sorted(rows)]
    return chosen


async def events(
    library: Library, path: Path, offset: int, disconnected: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """What happens in a run, as server-sent events, until the client leaves or the run is gone.

    A client is a cursor: `offset` into the log is all that is known of it, and the id of each event is
    where it would continue. A slow client gets fewer, larger batches: nothing is queued for it.
    """
    directory = RunDirectory(path)
    grids = set(await asyncio.to_thread(grid_steps, directory))
    status: JSON = {}
    status_time = rows_time = lease_time = 0.0
    sent_time = time.monotonic()
    behind = False
    while not await disconnected():
        now = time.monotonic()
        messages: list[bytes] = []
        if not (path / "run.json").exists():
            yield _event("gone", {}, offset)
            return
        if now - lease_time >= PREVIEW_LEASE / 3:
            lease_time = now
            await asyncio.to_thread(_want_previews, path)
        # The status is read before the rows and grids, and told after them: "finished" is then the last word.
        status_due = now - status_time >= STATUS_INTERVAL and not behind
        current = await asyncio.to_thread(_progress, library, path) if status_due else status
        if status_due or now - rows_time >= ROWS_INTERVAL:
            before = offset
            offset, rows = await asyncio.to_thread(_new_rows, directory.metrics, offset)
            behind = offset - before > _CHUNK // 2
            rows_time = 0.0 if behind else now
            messages += [_event(name, values, offset) for name, values in rows]
        for step in sorted(set(await asyncio.to_thread(grid_steps, directory)) - grids):
            grids.add(step)
            messages.append(_event("grid", {"step": step}, offset))
        if status_due and not behind:
            status_time = now
            if current.get("preview") not in (None, status.get("preview")):
                messages.append(
                    _event("preview", {"step": current["preview"], "version": current["preview"]}, offset)
                )
            if current != status:
                status = current
                messages.append(_event("status", status, offset))
        if not messages and now - sent_time >= KEEP_ALIVE:
            messages.append(b":\n\n")
        for message in messages:
            sent_time = now
            yield message
        await asyncio.sleep(0 if behind else POLL)


def _want_previews(path: Path) -> None:
    status = read_status(path)
    if status is not None and status.alive:
        write_command(path, preview_until=time.time() + PREVIEW_LEASE)


def _progress(library: Library, path: Path) -> JSON:
    record = library.record(path)
    return {} if isinstance(record, str) else progress(RunDirectory(path), record)


def _new_rows(log: Path, offset: int) -> tuple[int, list[tuple[str, Any]]]:
    """The complete lines after `offset`, as events, and where they end."""
    try:
        with open_regular(log, follow_links=False) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size < offset:  # resuming cut off what lay after its checkpoint
                return 0, [("reset", {})]
            if size == offset:
                return offset, []
            stream.seek(offset)
            content = stream.read(_CHUNK)
    except OSError:
        return offset, []
    end = content.rfind(b"\n") + 1
    records: list[JSON] = []
    scores: list[JSON] = []
    probes: list[JSON] = []
    health: list[JSON] = []
    for raw in content[:end].splitlines():
        _sort_line(raw, records, scores, probes, health)
    named = (("metrics", records), ("scores", scores), ("probes", probes), ("health", health))
    return offset + end, [(name, {"rows": rows}) for name, rows in named if rows]


def _event(name: str, data: Any, offset: int) -> bytes:
    return f"id: {offset}\nevent: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()

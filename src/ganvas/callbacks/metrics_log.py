"""`metrics.jsonl`: one JSON object a logged step, appended and flushed line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganvas.callbacks.metric_buffer import LogRecord
from ganvas.evaluation.history import parse_line
from ganvas.utils.io import storage_errors, write_bytes


class MetricsLog:
    """Sink for readings, and for whatever else is measured (`write`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, reading: LogRecord) -> None:
        """Append a reading."""
        self.write(
            {
                "step": reading.step,
                "epoch": reading.epoch,
                "images_seen": reading.images_seen,
                "seconds": round(reading.seconds, 3),
                "images_per_second": round(reading.images_per_second, 1),
                "seconds_per_epoch": round(reading.seconds_per_epoch, 3),
                **reading.values,
            }
        )

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line."""
        line = json.dumps(dict(values), allow_nan=False) + "\n"
        with storage_errors(str(self._path)), self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def truncate_after(path: Path, step: int) -> dict[str, Any] | None:
    """Drop the lines after `step` (a resumed run writes them again); return the last one kept."""
    if not path.exists():
        return None
    kept: list[str] = []
    last: dict[str, Any] | None = None
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        line = parse_line(text)
        if line is None or line["step"] > step:
            continue
        kept.append(text)
        if isinstance(line.get("seconds"), float | int):
            last = line
    write_bytes(path, "".join(line + "\n" for line in kept).encode())
    return last

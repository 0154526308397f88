"""The runs below a folder, as the page shows them: an id, a card, the details. Nothing here imports torch.

An id is a digest of the run's path in the folder. Requests name ids, which are looked up among the runs that
are there, and never joined to a path.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganvas.errors import GanvasError, printable
from ganvas.evaluation.history import History, best_scored_step, finite_numbers, parse_line, read_evaluation
from ganvas.runs.control import RunStatus, read_status
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.utils.io import open_regular

MAX_RUNS = 2_000
DEPTH = 3  # folders below the runs folder in which a run may lie
_CLASS_NAMES = 200  # more are not sent
_TAIL = 256 * 2**10  # bytes at the end of metrics.jsonl in which the newest score is looked for

JSON = dict[str, Any]


def run_id(path: Path, root: Path) -> str:
    """The id of the run at `path` below `root`."""
    relative = os.fsencode(path.relative_to(root).as_posix())
    return hashlib.sha256(relative).hexdigest()[:12]


def find_runs(root: Path) -> dict[str, Path]:
    """Folders with a `run.json` at most three levels below `root`, by id; links are not followed."""
    result: dict[str, Path] = {}
    folders = [(root, 0)]
    while folders and len(result) < MAX_RUNS:
        folder, depth = folders.pop()
        try:
            children = [Path(entry.path) for entry in os.scandir(folder) if _is_folder(entry)]
        except OSError:
            continue
        for child in children:
            if (child / "run.json").is_file():
                result[run_id(child, root)] = child
            elif depth + 1 < DEPTH:
                folders.append((child, depth + 1))
    return result


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


@dataclass
class Library:
    """The runs below `root`. What is read of files that do not change is kept."""

    root: Path
    _records: dict[Path, tuple[tuple[int, int], RunRecord | str]] = field(default_factory=dict)
    _training: tuple[float, bool] = (float("-inf"), False)

    def find(self, identifier: str) -> Path | None:
        """The run with this id; None where there is none."""
        return find_runs(self.root).get(identifier)

    def cards(self) -> list[JSON]:
        """All runs, newest first."""
        runs = find_runs(self.root)
        for path in set(self._records) - set(runs.values()):
            del self._records[path]
        cards = [self.card(path) for path in runs.values()]
        return sorted(cards, key=lambda card: str(card.get("created", "")), reverse=True)

    def is_training(self) -> bool:
        """Whether any run trains now; looked up again after a second, as each image of a drag asks for it."""
        now = time.monotonic()
        if now - self._training[0] >= 1:
            statuses = (read_status(path) for path in find_runs(self.root).values())
            self._training = now, any(s is not None and s.state == "running" and s.alive for s in statuses)
        return self._training[1]

    def record(self, path: Path) -> RunRecord | str:
        """The content of `run.json`, or in one line why it cannot be read."""
        file = path / "run.json"
        try:
            status = file.lstat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError as error:
            return f"cannot read {file.name}: {error.strerror}"
        known = self._records.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        record: RunRecord | str
        try:
            record = RunDirectory(path).read()
        except GanvasError as error:
            record = str(error)
        self._records[path] = (stamp, record)
        return record

    def card(self, path: Path) -> JSON:
        """What the page shows of a run in a list."""
        name = path.relative_to(self.root).as_posix()
        card: JSON = {"id": run_id(path, self.root), "name": printable(name), "path": printable(str(path))}
        record = self.record(path)
        if isinstance(record, str):
            return card | {"state": "damaged", "message": printable(record)}
        directory, recipe = RunDirectory(path), record.recipe
        grids = grid_steps(directory)
        condition = "clusters" if recipe.conditioned_on_clusters else "labels" if recipe.classes else "none"
        return card | {
            "data": printable(record.data.name),
            "recipe": printable(recipe.name),
            "summary": printable(recipe.summary or ""),
            "created": record.created,
            "image_shape": record.data.image_shape,
            "classes": recipe.classes,
            "condition": condition,
            "class_names": [printable(name) for name in record.class_names[:_CLASS_NAMES]],
            "steps_per_epoch": record.steps_per_epoch,
            "grids": grids[-1] if grids else None,
            "score": newest_score(directory),
            **progress(directory, record),
        }

    def details(self, path: Path) -> JSON:
        """All that the page shows of one run.

        Raises:
            RunError: it is damaged.
        """
        directory = RunDirectory(path)
        record = directory.read()
        history = History.read(directory.metrics)
        keys: dict[str, None] = {}
        for line in history.records:
            keys.update(dict.fromkeys(finite_numbers(line)))
        scores = history.scored_steps
        checkpoints = checkpoint_steps(directory)
        best = best_scored_step(s for s in scores if s.step in checkpoints)
        return {
            "card": self.card(path),
            "recipe": record.recipe.model_dump(mode="json"),
            "notes": [printable(note) for note in record.notes],
            "command": printable(record.command),
            "machine": record.machine,
            "shell_path": directory.shell_path,
            "grids": grid_steps(directory),
            "checkpoints": checkpoints,
            "best_step": None if best is None else best.step,
            "log_keys": [key for key in keys if key != "step"],
            "evaluation": read_evaluation(directory.evaluation),
            "metrics_info": _metric_infos(),
            "health": [{"step": h.step, "message": printable(h.message)} for h in history.health],
        }


def progress(directory: RunDirectory, record: RunRecord) -> JSON:
    """The part of a card that changes while a run trains."""
    status = read_status(directory.path)
    alive = status is not None and status.alive
    step = status.step if status is not None and alive else _saved_step(directory)
    state, message = _state(status, step, record.steps)
    speed = status.steps_per_second if status is not None and alive and state == "running" else None
    left = (record.steps - step) / speed if speed else None
    return {
        "state": state,
        "message": printable(message),
        "step": step,
        "steps": record.steps,
        "epoch": record.epoch_of(step),
        "images_per_second": speed * record.recipe.batch_size if speed else None,
        "seconds_left": left,
        "controllable": alive and state in ("running", "paused"),
        "preview": status.preview if status is not None and alive else None,
    }


def _state(status: RunStatus | None, step: int, steps: int) -> tuple[str, str]:
    """The state of a run, and why in one line where it is not plain."""
    if status is not None and status.alive:
        return status.state, ""
    if status is not None and status.state in ("stopped", "failed"):
        return status.state, status.message
    if step >= steps:
        return "finished", ""
    return "interrupted", ""


def _saved_step(directory: RunDirectory) -> int:
    steps = checkpoint_steps(directory)
    return steps[-1] if steps else 0


def checkpoint_steps(directory: RunDirectory) -> list[int]:
    """Steps of the checkpoints, oldest first; `training.checkpoint` would import torch."""
    folder = directory.checkpoints
    try:
        names = [] if folder.is_symlink() else [p.name for p in folder.iterdir()]
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())


def grid_steps(directory: RunDirectory) -> list[int]:
    """Steps of the sample grids, oldest first."""
    return [] if directory.samples.is_symlink() else [int(p.stem) for p in directory.sample_files()]


def newest_score(directory: RunDirectory) -> JSON | None:
    """The scores of the final evaluation, else the newest while training; None where there are none."""
    evaluation = read_evaluation(directory.evaluation)
    if evaluation is not None:
        return dict(finite_numbers(evaluation))
    try:
        with open_regular(directory.metrics, follow_links=False) as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            lines = stream.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for text in reversed(lines):
        line = parse_line(text) if '"score"' in text else None
        if line is not None and (score := finite_numbers(line.get("score"))):
            return dict(score)
    return None


def _metric_infos() -> list[JSON]:
    from ganvas.evaluation.metric_info import metric_infos

    return [
        {"key": info.key, "name": info.title, "direction": info.better, "description": info.meaning}
        for info in metric_infos()
    ]

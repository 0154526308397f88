"""The head of a run's page: recipe, data, progress, machine; and the command that reproduces the run."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from ganvas.report.numbers import format_duration
from ganvas.report.records import Records

if TYPE_CHECKING:
    from ganvas.runs.directory import DataRecord, ForkRecord
    from ganvas.runs.run import Run


def heading(run: Run, records: Records) -> dict[str, Any]:
    """Title, facts and notes."""
    r = run.record
    facts = [
        ("Recipe", r.recipe.name + (f": {r.recipe.summary}" if r.recipe.summary else "")),
        ("Data", _data(r.data)),
        ("Trained", _progress(run, records)),
        ("Seed", str(r.seed)),
        ("Started", when(r.created)),
        ("Machine", machine(r.machine)),
    ]
    if r.fork is not None:
        facts.append(("Forked from", _fork(r.fork)))
    return {
        "name": run.path.resolve().name,
        "path": str(run.path),
        "version": r.ganvas,
        "fingerprint": r.data.fingerprint,
        "facts": facts,
        "notes": [*r.notes, *run.notes],
    }


def repeat(run: Run) -> dict[str, str]:
    """The command that makes the run again, and its recipe."""
    r = run.record
    if r.command.startswith("ganvas.train("):  # from Python: the command does not hold the settings
        lead = (
            f"This run was made from Python ({r.command}). With the recipe below saved as recipe.json, this "
            f"command makes it again:"
        )
        command = _command(run)
    else:
        lead, command = "This command, on the same data, makes the run again:", r.command
    return {"lead": lead, "command": command, "recipe": r.recipe.to_json()}


def when(created: str) -> str:
    """An ISO time as `YYYY-MM-DD HH:MM UTC`; other text unchanged."""
    try:
        time = dt.datetime.fromisoformat(created)
    except ValueError:
        return created
    if time.tzinfo is None:
        return f"{time:%Y-%m-%d %H:%M}"
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def machine(values: dict[str, str | int]) -> str:
    """A machine in one line: processor, threads, system, torch version."""
    threads = values.get("threads")
    words = [
        str(values.get("gpu") or values.get("processor") or values.get("device", "unknown")),
        f"{threads} thread{'' if threads == 1 else 's'}" if threads is not None else "",
        str(values.get("system", "")),
        f"torch {values['torch']}" if "torch" in values else "",
    ]
    return ", ".join(filter(None, words))


def shape_words(shape: tuple[int, int, int]) -> str:
    """An image shape [C, H, W] as text: `28 × 28 pixels, gray`."""
    channels, height, width = shape
    return f"{height} × {width} pixels, {'gray' if channels == 1 else 'RGB'}"


def _data(data: DataRecord) -> str:
    split = f" ({data.split})" if data.split else ""
    return f"{data.name}{split}: {data.images:,} images of {shape_words(data.image_shape)}"


def _progress(run: Run, records: Records) -> str:
    r = run.record
    words = f"step {run.step:,} of {r.steps:,}, epoch {r.epoch_of(run.step):,}"
    if run.step < r.steps:
        words += ", not finished"
    return words + (f", {format_duration(records.seconds)}" if records.seconds else "")


def _fork(fork: ForkRecord) -> str:
    words = f"{fork.parent}, at step {fork.step:,}"
    values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in fork.overrides.items())
    return f"{words}, with {values}" if values else words


def _command(run: Run) -> str:
    """The command line that reproduces a run made from Python."""
    r = run.record
    words = ["ganvas", "train", "recipe.json", "--data", r.data.requested, "--seed", str(r.seed)]
    if r.data.size is not None:
        words += ["--size", str(r.data.size), *(["--resize", r.data.resize] if r.data.resize else [])]
    again = re.sub(r"^-+", "", run.path.resolve().name) + "-again"
    return shlex.join([*words, "--out", f"runs/{again}"])

"""The head of a page: what was trained, on what, how far, where, and how to do it again."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
from typing import TYPE_CHECKING

from ganvas.report.markup import Markup, copyable, section, tag
from ganvas.report.numbers import duration_words
from ganvas.report.records import Records

if TYPE_CHECKING:
    from ganvas.run import Run
    from ganvas.rundir import Branch, DataRecord


def heading(run: Run, records: Records) -> Markup:
    """Title and facts."""
    r = run.record
    words = r.recipe.name + (f": {r.recipe.summary}" if r.recipe.summary else "")
    facts: list[tuple[str, Markup | str]] = [
        ("Recipe", words),
        ("Data", _data(r.data)),
        ("Fingerprint", tag("code", r.data.fingerprint[:16], title=r.data.fingerprint)),
        ("Trained", _progress(run, records)),
        ("Seed", str(r.seed)),
        ("Begun", when(r.created)),
        ("Machine", machine(r.machine)),
    ]
    if r.branch is not None:
        facts.append(("Branched off", _branch(r.branch)))
    return tag(
        "header",
        tag("p", "ganvas, report of a run", class_="kicker"),
        tag("h1", run.path.resolve().name),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts"),
        [tag("p", note, class_="callout advice") for note in (*r.notes, *run.notes)],
    )


def repeat(run: Run) -> Markup:
    """The section that says how to make the run again."""
    r = run.record
    recipe = tag("details", tag("summary", "The whole recipe, as JSON"), copyable(r.recipe.to_json()))
    if r.command.startswith("ganvas.train("):  # from Python: the command does not hold the settings
        lead = (
            f"This run was made from Python ({r.command}). With the recipe below saved as recipe.json, this "
            f"command makes it again:"
        )
        command = _command(run)
    else:
        lead, command = "This command, on the same data, makes the run again:", r.command
    version = (
        f"It was made with ganvas {r.ganvas}. The same machine and number of threads give the same bits; "
        f"another machine gives a run as good, not the same pixels."
    )
    return section(
        "How to repeat it",
        tag("p", lead, class_="lead"),
        copyable(command),
        tag("p", version, class_="lead"),
        recipe,
        name="repeat",
    )


def when(created: str) -> str:
    """A time as people write it; what is no time stays as it is."""
    try:
        time = dt.datetime.fromisoformat(created)
    except ValueError:
        return created
    if time.tzinfo is None:
        return f"{time:%Y-%m-%d %H:%M}"
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def machine(values: dict[str, str | int]) -> str:
    """A machine in a few words."""
    threads = values.get("threads")
    words = [
        str(values.get("gpu") or values.get("processor") or values.get("device", "unknown")),
        f"{threads} thread{'' if threads == 1 else 's'}" if threads is not None else "",
        str(values.get("system", "")),
        f"torch {values['torch']}" if "torch" in values else "",
    ]
    return ", ".join(filter(None, words))


def shape_words(shape: tuple[int, int, int]) -> str:
    """An image shape in words: `28 x 28, grey`."""
    channels, height, width = shape
    return f"{height} × {width} pixels, {'grey' if channels == 1 else 'RGB'}"


def _data(data: DataRecord) -> str:
    split = f" ({data.split})" if data.split else ""
    return f"{data.name}{split}: {data.images:,} images of {shape_words(data.image_shape)}"


def _progress(run: Run, records: Records) -> str:
    r = run.record
    words = f"step {run.step:,} of {r.steps:,}, epoch {r.epoch_of(run.step):,}"
    if run.step < r.steps:
        words += ", not finished"
    return words + (f", {duration_words(records.seconds)}" if records.seconds else "")


def _branch(branch: Branch) -> str:
    words = f"{branch.parent}, at step {branch.step:,}"
    values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in branch.changed.items())
    return f"{words}, with {values}" if values else words


def _command(run: Run) -> str:
    """The words of a command line for a run that was made from Python."""
    r = run.record
    words = ["ganvas", "train", "recipe.json", "--data", r.data.requested, "--seed", str(r.seed)]
    if r.data.size is not None:
        words += ["--size", str(r.data.size), *(["--fit", r.data.fit] if r.data.fit else [])]
    again = re.sub(r"^-+", "", run.path.resolve().name) + "-again"
    return shlex.join([*words, "--out", f"runs/{again}"])

"""`report`: the page of one run."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.evaluation.history import History, SavedEvaluation
from ganvas.report import run_charts
from ganvas.report.frames import Frame, choose_frames
from ganvas.report.numbers import format_duration, format_number
from ganvas.report.score_table import score_table
from ganvas.report.templating import data_uri, render_page
from ganvas.utils.images import ImageArray, encode_png, to_pil
from ganvas.utils.io import write_bytes

if TYPE_CHECKING:
    from ganvas.runs.directory import DataRecord, ForkRecord
    from ganvas.runs.run import Run

TrainingNeighbors = tuple[ImageArray, Sequence[ImageArray], Sequence[float]]
"""A generated image uint8 [C, H, W], its nearest training images, and their distances."""

_SCRIPTS = ("chart.js", "player.js", "copy.js")
_GRID_WIDTH = 760  # CSS pixels that a grid may take
_CARD_WIDTH = 84  # CSS pixels of a neighbor's image, about
_MAX_CLASSES = 100
_MAX_NEIGHBORS = 48


@dataclass(frozen=True)
class Extras:
    """What a page can show that is not in the run directory.

    Attributes:
        neighbors: generated images with their nearest training images.
        neighbor_note: a sentence that says which distances are usual.
    """

    neighbors: Sequence[TrainingNeighbors] = ()
    neighbor_note: str = ""


def report(run: Run, out: str | Path | None = None, *, extras: Extras | None = None) -> Path:
    """Write a run's page, one self-contained HTML file, and return its path.

    Args:
        run: the run; where something is missing or damaged, the page says so.
        out: the file; `RUN/report.html` where None.
        extras: what is not in the run directory.

    Raises:
        StorageError: the disk is full or not writable.
    """
    path = Path(out).expanduser() if out is not None else run.path / "report.html"
    write_bytes(path, page(run, extras or Extras()))
    return path


def page(run: Run, extras: Extras) -> bytes:
    """The page in UTF-8."""
    history = History(run.history())
    evaluation, why = SavedEvaluation.read(run.directory.evaluation)
    r, shell_path = run.record, run.directory.shell_path
    evaluate, resume = f"ganvas evaluate {shell_path}", f"ganvas resume {shell_path}"
    if run.step >= r.steps:
        resume += f" --steps {2 * r.steps}"
    return render_page(
        "run.html",
        _SCRIPTS,
        head=heading(run, history),
        scores=score_table(evaluation, why, history, run.step, evaluate),
        training=run_charts.training_section(history, r.steps_per_epoch, resume),
        score_curves=run_charts.score_section(history, r.steps_per_epoch, evaluate),
        samples=_samples(
            run.directory.sample_files(), r.steps_per_epoch, r.recipe.grid.latents == "fixed", resume
        ),
        classes=_classes(evaluation, why, evaluate),
        neighbors=_neighbors(extras, f"ganvas report {shell_path}"),
        repeat=repeat(run),
    )


def curves_page(run: Run) -> bytes:
    """A page of the run's curves alone, in UTF-8."""
    history, r = History(run.history()), run.record
    shell_path = run.directory.shell_path
    sections = [
        run_charts.training_section(history, r.steps_per_epoch, f"ganvas resume {shell_path}"),
        run_charts.score_section(history, r.steps_per_epoch, f"ganvas evaluate {shell_path}"),
    ]
    return render_page("curves.html", ("chart.js",), name=r.recipe.name, sections=sections)


def heading(run: Run, history: History) -> dict[str, Any]:
    """Title, facts and notes."""
    r = run.record
    facts = [
        ("Recipe", r.recipe.name + (f": {r.recipe.summary}" if r.recipe.summary else "")),
        ("Data", _data_words(r.data)),
        ("Trained", _progress(run, history)),
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
        if time.tzinfo is None:
            return f"{time:%Y-%m-%d %H:%M}"
        return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):  # no time, or one that in UTC lies in the year 0 or 10000
        return created


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


def _data_words(data: DataRecord) -> str:
    split = f" ({data.split})" if data.split else ""
    return f"{data.name}{split}: {data.images:,} images of {shape_words(data.image_shape)}"


def _progress(run: Run, history: History) -> str:
    r = run.record
    words = f"step {run.step:,} of {r.steps:,}, epoch {r.epoch_of(run.step):,}"
    if run.step < r.steps:
        words += ", not finished"
    seconds = history.last("seconds")
    return words + (f", {format_duration(seconds)}" if seconds else "")


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


def _samples(files: Sequence[Path], steps_per_epoch: int, fixed: bool, command: str) -> dict[str, Any]:
    """The last grid, and the earlier ones for the slider."""
    frames = choose_frames(files)
    if not frames:
        reason = (
            "None of the sample grids is a whole image any more. Resuming the run makes new ones."
            if files
            else "No sample grid has been saved yet: the run has not started training."
        )
        return {"labels": [], "reason": reason, "command": command}
    lead = (
        "Every grid is generated from the same z, so each cell shows one image over time. "
        if fixed
        else "Every grid is generated from new z. "
    )
    lead += "1 grid was saved" if len(files) == 1 else f"{len(files):,} grids were saved"
    lead += f", {len(frames)} of them are displayed." if len(frames) < len(files) else "."
    if len(frames) > 1:
        lead += " Move the slider, or use the left and right arrow keys."
    last = frames[-1]
    return {
        "lead": lead,
        "labels": [_frame_label(frame, steps_per_epoch) for frame in frames],
        "last": last,
        "earlier": [frame.uri for frame in frames[:-1]],
        "display_width": max(1, _GRID_WIDTH // last.width) * last.width,
    }


def _frame_label(frame: Frame, steps_per_epoch: int) -> str:
    if frame.step == 0:
        return "before training"
    return f"step {frame.step:,}, epoch {frame.step // steps_per_epoch:,}"


def _classes(evaluation: SavedEvaluation | None, why: str, command: str) -> dict[str, Any]:
    """Each class's fraction among generated and real images."""
    if evaluation is None or not evaluation.histogram:
        reason = "The last evaluation counted no classes; it can if the data set has labels."
        return {"rows": [], "reason": why if evaluation is None else reason, "command": command}
    histogram, expected = evaluation.histogram, evaluation.expected
    names = [*histogram, *(name for name in expected if name not in histogram)]
    largest = max([*histogram.values(), *expected.values()]) or 1.0
    rows = []
    for name in names[:_MAX_CLASSES]:
        fraction, real = histogram.get(name, 0.0), expected.get(name)
        rows.append(
            {
                "name": name,
                "fraction": f"{fraction:.1%}",
                "width": f"{100 * fraction / largest:.2f}",
                "real": "" if real is None else f"{real:.1%}",
                "left": "" if real is None else f"{100 * real / largest:.2f}",
                "missing": name in evaluation.missing,
            }
        )
    missing = evaluation.missing
    return {
        "rows": rows,
        "missing": ", ".join(missing[:_MAX_CLASSES]) + (", …" if len(missing) > _MAX_CLASSES else ""),
        "missing_lead": "This class is" if len(missing) == 1 else f"These {len(missing)} classes are",
        "label_width": min(24, max(map(len, names)) + 2),
        "more": len(names) - _MAX_CLASSES,
    }


def _neighbors(extras: Extras, command: str) -> dict[str, Any]:
    """Generated images beside their nearest training images."""
    rows = []
    for fake, nearest, distances in extras.neighbors[:_MAX_NEIGHBORS]:
        cards = [_card(fake, "generated", "Generated image")]
        for image, distance in zip(nearest, distances, strict=True):
            text = format_number(distance)
            cards.append(_card(image, text, f"Training image at distance {text}"))
        rows.append(cards)
    reason = "Generated images have not been compared with the training images yet."
    return {"rows": rows, "note": extras.neighbor_note, "reason": reason, "command": command}


def _card(image: ImageArray, caption: str, alt: str) -> dict[str, Any]:
    _, height, width = image.shape
    factor = max(1, _CARD_WIDTH // width)
    uri = data_uri(encode_png(to_pil(image)))
    return {"uri": uri, "alt": alt, "caption": caption, "width": width * factor, "height": height * factor}

"""`report`: the page of one run, put together from its sections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.files import write_bytes
from ganvas.report import curves, heading
from ganvas.report.markup import document, tag
from ganvas.report.modes import modes
from ganvas.report.neighbours import Extras, neighbours
from ganvas.report.player import samples
from ganvas.report.records import read_evaluation, read_records
from ganvas.report.verdict import verdict

if TYPE_CHECKING:
    from ganvas.run import Run

_SCRIPTS = ("chart.js", "player.js", "copy.js")


def report(run: Run, out: Path | None = None, *, extras: Extras | None = None) -> Path:
    """Write a run's page, one HTML file that needs nothing beside itself, and return its path.

    Args:
        run: the run; whatever it lacks or has damaged, the page says so in its place.
        out: the file; `RUN/report.html` where None.
        extras: what the run directory does not hold.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    path = Path(out).expanduser() if out is not None else run.path / "report.html"
    write_bytes(path, page(run, extras or Extras()))
    return path


def page(run: Run, extras: Extras) -> bytes:
    """The page itself."""
    records = read_records(run)
    found, why = read_evaluation(run)
    r, typed = run.record, run.directory.typed
    evaluate, resume = f"ganvas evaluate {typed}", f"ganvas resume {typed}"
    if run.step >= r.steps:
        resume += f" --steps {2 * r.steps}"
    return document(
        f"{run.path.resolve().name}: a ganvas run",
        heading.heading(run, records),
        verdict(found, why, records, run.step, evaluate),
        curves.training(records, r.steps_per_epoch, resume),
        curves.scores(records, r.steps_per_epoch, evaluate),
        samples(run.directory.sample_files(), r.steps_per_epoch, r.recipe.grid.latents == "fixed", resume),
        modes(found, why, evaluate),
        neighbours(extras, f"ganvas report {typed}"),
        heading.repeat(run),
        tag("footer", f"Made by ganvas {r.ganvas} from ", tag("code", str(run.path)), "."),
        scripts=_SCRIPTS,
    )

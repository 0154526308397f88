"""What `ganvas show` says of one run, and `ganvas compare` of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganvas.errors import printable, shorten
from ganvas.evaluation.history import History
from ganvas.report import Comparison
from ganvas.report import compare as compare_opened
from ganvas.runs.overwrite import replaced_run
from ganvas.runs.run import Run
from ganvas.training import checkpoint

_LINE_LETTERS = 4_000  # of a line: a command may be long, a note of a megabyte is not wanted
_DISPLAYED = {
    "discriminator_loss", "generator_loss", "real_probability", "fake_probability",
    "images_per_second", "seconds",
}  # fmt: skip


def summary(run: Run) -> list[str]:
    """What a run is, where it stands and how to continue it: the lines of `ganvas show`."""
    r, d = run.record, run.record.data
    channels, height, width = d.image_shape
    steps = checkpoint.saved_steps(run.directory.checkpoints)
    lines = [
        f"run          {run.path}",
        f"recipe       {r.recipe.name}: {r.recipe.summary}" if r.recipe.summary else
        f"recipe       {r.recipe.name}",
        f"data         {d.name} ({d.split}): {d.images:,} images, {channels} x {height} x {width}, "
        f"fingerprint {d.fingerprint[:12]}",
        f"trained      step {run.step} of {r.steps} (epoch {r.epoch_of(run.step)}), batches of "
        f"{r.recipe.batch_size}, seed {r.seed}",
    ]  # fmt: skip
    if r.recipe.classes:
        kind = "clusters of their pixels" if r.recipe.conditioned_on_clusters else "classes"
        lines.append(f"conditioned  on {r.recipe.classes} {kind}")
    replaced = replaced_run(run.directory)
    if replaced is not None:
        lines.append(f"replaces     the run in {replaced.path}, which is kept until there is a checkpoint")
    if r.fork is not None:
        changed = ", ".join(f"{key} {value}" for key, value in r.fork.overrides.items()) or "nothing"
        lines.append(f"fork         of {r.fork.parent} at step {r.fork.step}; changed: {changed}")
    history = History(run.history())
    last = next((record for record in reversed(history.records) if record.keys() >= _DISPLAYED), None)
    if last is not None:
        lines.append(
            f"last         D loss {last['discriminator_loss']:.3f}, G loss "
            f"{last['generator_loss']:.3f}, D(x) {last['real_probability']:.2f}, D(G(z)) "
            f"{last['fake_probability']:.2f}, {last['images_per_second']:,.0f} images/s, "
            f"{last['seconds']:,.0f} s in all"
        )
    best = run.best_step
    if best is not None:
        fid = next(s.fid for s in reversed(history.scored_steps) if s.step == best)
        lines.append(f"best         step {best}, FID {fid:.2f}; ganvas sample takes it")
    if history.stopped and run.step < r.steps:
        lines.append(f"stopped      by {history.stopped}")
    lines += [f"health       {health.message}" for health in history.health]
    lines.append(f"checkpoints  {', '.join(map(str, steps)) or 'none yet'}")
    grids = run.directory.sample_files()
    if grids:
        lines.append(f"grids        {len(grids)}, the last {grids[-1]}")
    if run.directory.animation.exists():
        lines.append(f"animation    {run.directory.animation}")
    if run.directory.report.exists():
        lines.append(f"report       {run.directory.report}")
    lines += [f"note         {note}" for note in r.notes]
    threads = r.machine.get("threads")
    lines += [
        f"made by      {r.command}",
        f"made on      {r.machine.get('gpu', r.machine.get('processor'))}, "
        f"{threads} thread{'' if threads == 1 else 's'}, {r.precision}, "
        f"torch {r.machine.get('torch')}, ganvas {r.ganvas}, {r.created}",
    ]
    if run.step < r.steps:
        lines.append(f"resume       ganvas resume {run.directory.shell_path}")
    else:
        lines.append(f"train on     ganvas resume {run.directory.shell_path} --steps {2 * r.steps}")
    if steps:
        lines.append(f"sample       ganvas sample {run.directory.shell_path} --count 64 --out samples.png")
    return [printable(shorten(line, _LINE_LETTERS)) for line in lines]


def compare(runs: Sequence[Run | str | Path]) -> Comparison:
    """Lay runs side by side.

    Args:
        runs: run directories or opened runs, at least one.

    Raises:
        RunError: a path is no run.
        UserError: no runs, one named twice, or scores that were taken in different ways.
    """
    return compare_opened([run if isinstance(run, Run) else Run.open(run) for run in runs])

"""The commands: each takes the parsed arguments, calls one function of the package, prints lines."""

from __future__ import annotations

import json
import math
import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.run import Run


def run_own_code(a: Namespace) -> None:
    """Make the user's own networks known before a run that uses them is opened."""
    if getattr(a, "code", None):
        from ganvas import recipes as known

        known.find(a.code)


def train(a: Namespace) -> None:
    """`ganvas train`."""
    from ganvas import launch
    from ganvas.recipe import parse_settings

    launch.train(
        a.recipe,
        a.data,
        a.out,
        epochs=a.epochs,
        steps=a.steps,
        budget=a.budget,
        conditional=a.conditional,
        clusters=a.clusters,
        seed=a.seed,
        device=a.device,
        threads=a.threads,
        precision=a.precision,
        settings=parse_settings(a.settings),
        split=a.split,
        size=a.size,
        fit=a.fit,
        memory_share=a.memory_share,
        tensorboard=a.tensorboard,
        guard=a.guard,
        overwrite=a.overwrite,
        quiet=a.quiet,
        command=shlex.join(["ganvas", *a.words]),
    )


def resume(a: Namespace) -> None:
    """`ganvas resume`."""
    from ganvas import launch
    from ganvas.recipe import parse_settings

    launch.resume(
        a.run,
        from_=a.from_,
        settings=parse_settings(a.settings),
        seed=a.seed,
        out=a.out,
        epochs=a.epochs,
        steps=a.steps,
        data=a.data,
        memory_share=a.memory_share,
        device=a.device,
        tensorboard=a.tensorboard,
        guard=a.guard,
        quiet=a.quiet,
        command=shlex.join(["ganvas", *a.words]),
    )


def show(a: Namespace) -> None:
    """`ganvas show`."""
    from ganvas.run import Run
    from ganvas.summary import summary

    run = Run.open(a.run)
    print("\n".join(summary(run)))
    if a.layers:
        from ganvas.cost import layer_lines

        print("\n".join(["", *layer_lines(run.recipe, run.record.data.image_shape)]))


def sample(a: Namespace) -> None:
    """`ganvas sample`."""
    from ganvas.run import Run

    run = Run.open(a.run)
    images = run.sample(a.count, seed=a.seed, step=a.step, epoch=a.epoch, ema=a.ema, class_=a.class_)
    _say(run.notes)
    out = images.save(a.out or run.path / "sample.png")
    print(f"{len(images)} images of {_size(images.shape)} in {out}{_which(run, a)}")


def interpolate(a: Namespace) -> None:
    """`ganvas interpolate`."""
    from ganvas.run import Run

    out = Path(a.out).expanduser() if a.out else Path(a.run).expanduser() / "interpolation.png"
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected a .png (the GIF lies beside it)")
    run = Run.open(a.run)
    images = run.interpolate(rows=a.rows, columns=a.columns, seed=a.seed, ema=a.ema, class_=a.class_)
    _say(run.notes)
    images.save(out)
    gif = images.save_gif(out.with_suffix(".gif"))
    print(f"{a.rows} walks of {a.columns} images in {out} and {gif}")


def animate(a: Namespace) -> None:
    """`ganvas animate`."""
    from ganvas.run import Run

    if a.out and Path(a.out).suffix.lower() != ".gif":
        raise UserError(f"--out {a.out}: expected a .gif")
    print(Run.open(a.run).animate(a.out, thin=a.thin))


def critique(a: Namespace) -> None:
    """`ganvas critique`."""
    from ganvas.critique import judged_files
    from ganvas.run import Run

    run = Run.open(a.run)
    _, before, after = run.fixed_fakes()
    _say(run.notes)
    rows = [
        ("fixed fake, G untrained", "untrained", before[0]),
        ("fixed fake, G untrained", "trained", after[0]),
        ("fixed fake, G trained", "untrained", before[1]),
        ("fixed fake, G trained", "trained", after[1]),
    ]
    rows += [(name, "trained", logit) for name, logit in judged_files(run, a.images, a.fit)]
    width = max(len(name) for name, _, _ in rows)
    print(f"{'picture':<{width}}  {'D':<9}  {'logit':>9}  P(real)")
    for name, judge, logit in rows:
        print(f"{name:<{width}}  {judge:<9}  {logit:>+9.4f}  {_sigmoid(logit):.4f}")


def evaluate(a: Namespace) -> None:
    """`ganvas evaluate`."""
    from ganvas import evaluation as scoring
    from ganvas.files import write_json
    from ganvas.report import report
    from ganvas.run import Run

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() != ".json":
        raise UserError(f"--out {out}: expected a .json")
    if (Path(a.subject).expanduser() / "run.json").exists():
        if a.size is not None or a.fit is not None:
            raise UserError("--size and --fit are for pictures of a PATH: a run knows its own")
        run = Run.open(a.subject)
        found = scoring.evaluate_run(
            run, data=a.data, count=a.count, seed=a.seed, step=a.step, ema=a.ema, features=a.features
        )
        _say(run.notes)
        written = []
        if (a.data, a.step, a.ema, a.features) == (None, None, True, None):
            scoring.neighbours(found).save(run.directory.neighbours)
            report(run, extras=scoring.extras_of(found))
            written = [
                str(run.directory.evaluation),
                str(run.directory.neighbours),
                str(run.directory.report),
            ]
        elif out is None:
            _say([f"{run.directory.evaluation} stays as it is; --out FILE.json keeps this answer"])
    else:
        if a.step is not None:
            raise UserError(f"--step belongs to a run, and {a.subject} is none (no run.json there)")
        found = scoring.evaluate_images(
            a.subject, data=a.data, count=a.count, size=a.size, fit=a.fit, features=a.features
        )
        written = []
    if out is not None:
        write_json(out, found.as_json())
        written.append(str(out))
    _say(list(found.notes))
    if a.json:
        print(json.dumps(found.as_json()))
        return
    print("\n".join(found.lines()))
    if written:
        print(f"written: {', '.join(written)}")


def compare(a: Namespace) -> None:
    """`ganvas compare`."""
    from ganvas.report import compare as compared
    from ganvas.report import comparison_page
    from ganvas.run import Run

    out = Path(a.out).expanduser()
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a .html")
    found = compared([Run.open(path) for path in a.runs])
    page = comparison_page(found, out)
    if a.json:
        print(json.dumps(found.as_json()))
        return
    print("\n".join(found.lines()))
    print(f"page: {page}")


def report(a: Namespace) -> None:
    """`ganvas report`."""
    from ganvas.evaluation import reported
    from ganvas.run import Run

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a .html")
    run = Run.open(a.run)
    page, left_out = reported(run, out)
    _say([*run.notes, *([left_out] if left_out else [])])
    print(page)


def bench(a: Namespace) -> None:
    """`ganvas bench`."""
    from ganvas.bench import bench as measured
    from ganvas.recipe import parse_settings

    found = measured(
        a.recipe,
        a.data,
        steps=a.steps,
        settings=parse_settings(a.settings),
        precision=a.precision,
        device=a.device,
        threads=a.threads,
        size=a.size,
        fit=a.fit,
        memory_share=a.memory_share,
    )
    print(json.dumps(found.as_json()) if a.json else "\n".join(found.lines()))


def recipes(a: Namespace) -> None:
    """`ganvas recipes`."""
    from ganvas.cost import table

    del a
    print("\n".join(table()))


def recipes_show(a: Namespace) -> None:
    """`ganvas recipes show`."""
    from ganvas import recipes as known
    from ganvas.recipe import parse_settings

    print(known.find(a.name).changed(parse_settings(a.settings)).to_json())


def recipes_layers(a: Namespace) -> None:
    """`ganvas recipes layers`."""
    from ganvas import recipes as known
    from ganvas.cost import layer_lines
    from ganvas.recipe import parse_settings

    recipe = known.find(a.name).changed(parse_settings(a.settings))
    side = recipe.image_size or 28
    print("\n".join(layer_lines(recipe, (1, side, side))))


def data(a: Namespace) -> None:
    """`ganvas data`."""
    from ganvas.data import describe, load
    from ganvas.files import write_bytes
    from ganvas.images import enlarged, grid, png_bytes, to_picture

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected a .png")
    images = load(a.name, split=a.split or "train", size=a.size, fit=a.fit, memory_share=a.memory_share)
    print("\n".join(describe(images).lines()))
    for line in _other_split(a):
        print(line)
    out = out or Path(f"{images.name}-preview.png")
    sheet = grid(images.images[:30], 6)
    write_bytes(out, png_bytes(enlarged(to_picture(sheet), 280)))
    print(f"preview      {out} (the first {min(len(images), 30)}, row by row)")


def _which(run: Run, a: Namespace) -> str:
    """Words for the checkpoint that was chosen, where that is not the newest."""
    if a.step is not None or a.epoch is not None or run.chosen_step() == run.step:
        return ""
    return f" (step {run.chosen_step()}, the best by score; the newest: --step newest)"


def _other_split(a: Namespace) -> list[str]:
    """The test set's shapes, where there is one and no split was named."""
    from ganvas.data import load
    from ganvas.errors import GanvasError

    if a.split:
        return []
    try:
        test = load(a.name, split="test", size=a.size, fit=a.fit)
    except GanvasError:
        return []
    labels = "no labels" if test.labels is None else f"labels {test.labels.shape[0]:,}"
    return [f"test set     {len(test):,} of {_size(test.images.shape)}, {labels} (--split test)"]


def _say(notes: list[str]) -> None:
    import sys

    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _size(shape: tuple[int, ...]) -> str:
    _, channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'} pixels"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))

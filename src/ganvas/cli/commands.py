"""The commands: each takes its options, calls one function of the package, prints lines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.cli import options
    from ganvas.runs.options import ForkOptions, ResumeOptions
    from ganvas.runs.run import Run


def train(a: options.TrainCommandOptions) -> None:
    """`ganvas train`."""
    from ganvas.runs.plan import prepare
    from ganvas.runs.train import start

    plan = prepare(a)
    if a.dry_run:
        print(plan)
    else:
        start(plan, a)


def resume(a: ResumeOptions) -> None:
    """`ganvas resume`."""
    from ganvas.runs.resume import resume_from_options

    resume_from_options(a)


def fork(a: ForkOptions) -> None:
    """`ganvas fork`."""
    from ganvas.runs.fork import fork_from_options

    fork_from_options(a)


def show(a: options.ShowOptions) -> None:
    """`ganvas show`."""
    from ganvas.runs.run import Run
    from ganvas.runs.summary import summary

    run = Run.open(a.run)
    print("\n".join(summary(run)))
    if a.layers:
        from ganvas.profiling.flops import layer_table

        print("\n".join(["", *layer_table(run.recipe, run.record.data.image_shape)]))


def sample(a: options.SampleOptions) -> None:
    """`ganvas sample`."""
    from ganvas.runs.run import Run

    run = Run.open(a.run)
    images = run.sample(a.count, seed=a.seed, step=a.step, epoch=a.epoch, ema=a.ema, class_=a.class_)
    _say(run.notes)
    out = images.save(a.out or run.path / "sample.png")
    print(f"{len(images)} images of {_size(images.shape)} in {out}{_which(run, a)}")


def interpolate(a: options.InterpolateOptions) -> None:
    """`ganvas interpolate`."""
    from ganvas.runs.run import Run

    out = Path(a.out).expanduser() if a.out else Path(a.run).expanduser() / "interpolation.png"
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected a .png (the GIF lies beside it)")
    run = Run.open(a.run)
    images = run.interpolate(rows=a.rows, columns=a.columns, seed=a.seed, ema=a.ema, class_=a.class_)
    _say(run.notes)
    images.save(out)
    gif = images.save_gif(out.with_suffix(".gif"))
    print(f"{a.rows} walks of {a.columns} images in {out} and {gif}")


def animate(a: options.AnimateOptions) -> None:
    """`ganvas animate`."""
    from ganvas.runs.run import Run

    if a.out and Path(a.out).suffix.lower() != ".gif":
        raise UserError(f"--out {a.out}: expected a .gif")
    print(Run.open(a.run).animate(a.out, subsample=a.subsample))


def discriminate(a: options.DiscriminateOptions) -> None:
    """`ganvas discriminate`."""
    from ganvas.runs.discriminate import discriminate_files
    from ganvas.runs.run import Run

    run = Run.open(a.run)
    _, before, after = run.compare_fixed_fakes()
    _say(run.notes)
    rows = [
        ("fixed fake, G untrained", "untrained", before[0]),
        ("fixed fake, G untrained", "trained", after[0]),
        ("fixed fake, G trained", "untrained", before[1]),
        ("fixed fake, G trained", "trained", after[1]),
    ]
    rows += [(name, "trained", logit) for name, logit in discriminate_files(run, a.images, a.resize)]
    width = max(len(name) for name, _, _ in rows)
    print(f"{'image':<{width}}  {'D':<9}  {'logit':>9}  P(real)")
    for name, judge, logit in rows:
        print(f"{name:<{width}}  {judge:<9}  {logit:>+9.4f}  {_sigmoid(logit):.4f}")


def evaluate(a: options.EvaluateOptions) -> None:
    """`ganvas evaluate`."""
    from ganvas.report import report
    from ganvas.runs import evaluate as scoring
    from ganvas.runs.run import Run
    from ganvas.utils.io import write_json

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() != ".json":
        raise UserError(f"--out {out}: expected a .json")
    if (Path(a.subject).expanduser() / "run.json").exists():
        if a.size is not None or a.resize is not None:
            raise UserError("--size and --resize are for images of a PATH: a run knows its own")
        run = Run.open(a.subject)
        found = scoring.evaluate_run(
            run, data=a.data, count=a.count, seed=a.seed, step=a.step, ema=a.ema, features=a.features
        )
        _say(run.notes)
        written = []
        if (a.data, a.step, a.ema, a.features) == (None, None, True, None):
            scoring.nearest_training_images(found).save(run.directory.neighbors)
            report(run, extras=scoring.report_extras(found))
            written = [
                str(run.directory.evaluation),
                str(run.directory.neighbors),
                str(run.directory.report),
            ]
        elif out is None:
            _say([f"{run.directory.evaluation} stays as it is; --out FILE.json keeps this answer"])
    else:
        if a.step is not None:
            raise UserError(f"--step belongs to a run, and {a.subject} is none (no run.json there)")
        found = scoring.evaluate_images(
            a.subject, data=a.data, count=a.count, size=a.size, resize=a.resize, features=a.features
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


def compare(a: options.CompareOptions) -> None:
    """`ganvas compare`."""
    from ganvas.runs.summary import compare as compared

    out = Path(a.out).expanduser()
    if out.suffix.lower() not in (".html", ".htm", ".csv"):
        raise UserError(f"--out {out}: expected a .html or .csv")
    found = compared(a.runs)
    page = found.save(out)
    if a.json:
        print(json.dumps(found.as_json()))
        return
    print("\n".join(found.lines()))
    print(f"written: {page}")


def report(a: options.ReportOptions) -> None:
    """`ganvas report`."""
    from ganvas.runs.evaluate import write_report
    from ganvas.runs.run import Run

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a .html")
    run = Run.open(a.run)
    page, left_out = write_report(run, out)
    _say([*run.notes, *([left_out] if left_out else [])])
    print(page)


def bench(a: options.BenchOptions) -> None:
    """`ganvas bench`."""
    from ganvas.profiling.bench import run_benchmark

    result = run_benchmark(
        a.recipe,
        a.data,
        steps=a.steps,
        overrides=a.overrides or {},
        precision=a.precision,
        device=a.device,
        threads=a.threads,
        size=a.size,
        resize=a.resize,
        mmap_threshold=a.mmap_threshold,
    )
    print(json.dumps(result.as_json()) if a.json else "\n".join(result.lines()))


def recipes(a: options.RecipesOptions) -> None:
    """`ganvas recipes`."""
    from ganvas.profiling.flops import recipe_table

    del a
    print("\n".join(recipe_table()))


def recipes_show(a: options.RecipeOptions) -> None:
    """`ganvas recipes show`."""
    from ganvas import recipes as known

    print(known.load_recipe(a.name).with_overrides(a.overrides or {}).to_json())


def recipes_layers(a: options.RecipeOptions) -> None:
    """`ganvas recipes layers`."""
    from ganvas import recipes as known
    from ganvas.profiling.flops import layer_table

    recipe = known.load_recipe(a.name).with_overrides(a.overrides or {})
    side = recipe.image_size or 28
    print("\n".join(layer_table(recipe, (1, side, side))))


def data(a: options.DataOptions) -> None:
    """`ganvas data`."""
    from ganvas.data import describe_dataset, load_dataset
    from ganvas.utils.images import encode_png, make_grid, to_pil, upscale
    from ganvas.utils.io import write_bytes

    out = Path(a.out).expanduser() if a.out else None
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected a .png")
    images = load_dataset(
        a.name, split=a.split or "train", size=a.size, resize=a.resize, mmap_threshold=a.mmap_threshold
    )
    print("\n".join(describe_dataset(images).lines()))
    for line in _other_split(a):
        print(line)
    out = out or Path(f"{images.name}-preview.png")
    sheet = make_grid(images.images[:30], 6)
    write_bytes(out, encode_png(upscale(to_pil(sheet), 280)))
    print(f"preview      {out} (the first {min(len(images), 30)}, row by row)")


def _which(run: Run, a: options.SampleOptions) -> str:
    """Words for the checkpoint that was chosen, where that is not the newest."""
    if a.step is not None or a.epoch is not None or run.resolve_step() == run.step:
        return ""
    return f" (step {run.resolve_step()}, the best by score; the newest: --step newest)"


def _other_split(a: options.DataOptions) -> list[str]:
    """The test set's shapes, where there is one and no split was named."""
    from ganvas.data import load_dataset
    from ganvas.errors import GanvasError

    if a.split:
        return []
    try:
        test = load_dataset(a.name, split="test", size=a.size, resize=a.resize)
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
    return f"{height}x{width} {'gray' if channels == 1 else 'RGB'} pixels"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))

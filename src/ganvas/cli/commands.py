"""The commands: each takes its options, calls one function of the package, prints lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import StorageError, UserError
from ganvas.utils.output import print_json, print_line, print_lines

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
        print_lines(plan.lines())
    elif a.studio:
        from ganvas.studio.beside import start_with_studio

        start_with_studio(plan, a)
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


def studio(a: options.StudioOptions) -> None:
    """`ganvas studio`."""
    from ganvas.studio.server import serve

    serve(a.runs, port=a.port, browser=a.browser)


def show(a: options.ShowOptions) -> None:
    """`ganvas show`."""
    from ganvas.runs.run import Run
    from ganvas.runs.summary import summary

    run = Run.open(a.run)
    print_lines(summary(run))
    if a.layers:
        from ganvas.profiling.flops import layer_table

        print_lines(["", *layer_table(run.recipe, run.record.data.image_shape)])
    if a.directions:
        from ganvas.runs.latents import direction_table

        print_lines(["", *direction_table(run)])


def sample(a: options.SampleOptions) -> None:
    """`ganvas sample`."""
    from ganvas.runs.run import Run

    run = Run.open(a.run)
    images = run.sample(a.count, seed=a.seed, step=a.step, epoch=a.epoch, ema=a.ema, class_=a.class_)
    _print_notes(run.notes)
    out = images.save(a.out or run.path / "sample.png")
    _, channels, height, width = images.shape
    color = "gray" if channels == 1 else "RGB"
    print_line(f"{len(images)} images of {height}x{width} {color} pixels in {out}{_best_step(run, a)}")


def blend(a: options.BlendOptions) -> None:
    """`ganvas blend`."""
    from ganvas.runs.latents import parse_amounts, parse_blend
    from ganvas.runs.run import Run

    run = Run.open(a.run)
    images = run.blend(
        [parse_blend(text) for text in a.blends], step=a.step, class_=a.class_, truncation=a.truncation,
        directions=parse_amounts(a.directions or ()),
    )  # fmt: skip
    _print_notes(run.notes)
    print_line(f"{len(images)} images in {images.save(a.out or run.path / 'blend.png')}")


def interpolate(a: options.InterpolateOptions) -> None:
    """`ganvas interpolate`."""
    from ganvas.runs.run import Run

    out = _out_path(a.out, ".png")
    run = Run.open(a.run)
    images = run.interpolate(rows=a.rows, columns=a.columns, seed=a.seed, ema=a.ema, class_=a.class_)
    _print_notes(run.notes)
    image = images.save(out or run.path / "interpolation.png")
    gif = images.save_gif(image.with_suffix(".gif"))
    print_line(f"{a.rows} walks of {a.columns} images in {image} and {gif}")


def animate(a: options.AnimateOptions) -> None:
    """`ganvas animate`."""
    from ganvas.runs.run import Run

    out = _out_path(a.out, ".gif")
    print_line(str(Run.open(a.run).animate(out, subsample=a.subsample)))


def discriminate(a: options.DiscriminateOptions) -> None:
    """`ganvas discriminate`."""
    from ganvas.runs.discriminate import discrimination_table
    from ganvas.runs.run import Run

    run = Run.open(a.run)
    lines = discrimination_table(run, a.images, a.resize)
    _print_notes(run.notes)
    print_lines(lines)


def evaluate(a: options.EvaluateOptions) -> None:
    """`ganvas evaluate`."""
    from ganvas.runs.evaluate import evaluate as score

    out = _out_path(a.out, ".json")
    result = score(
        a.subject, data=a.data, count=a.count, seed=a.seed, step=a.step, ema=a.ema, features=a.features,
        size=a.size, resize=a.resize,
    )  # fmt: skip
    _print_notes(result.notes)
    if a.json:
        print_json(result.as_json())
    else:
        print_lines(result.lines())
    if result.unsaved and out is None:
        raise StorageError(result.unsaved)
    files = result.files if out is None else (*result.files, result.save(out))
    _print_notes([result.unsaved] if result.unsaved else [])
    if files and not a.json:
        print_line(f"written: {', '.join(map(str, files))}")


def compare(a: options.CompareOptions) -> None:
    """`ganvas compare`."""
    from ganvas.runs.summary import compare as compare_runs

    out = _out_path(a.out, ".html", ".htm", ".csv")
    comparison = compare_runs(a.runs)
    if a.json:
        print_json(comparison.as_json())
    else:
        print_lines(comparison.lines())
    page = comparison.save(out or "comparison.html")
    if not a.json:
        print_line(f"written: {page}")


def report(a: options.ReportOptions) -> None:
    """`ganvas report`."""
    from ganvas.runs.evaluate import write_report
    from ganvas.runs.run import Run

    out = _out_path(a.out, ".html", ".htm")
    run = Run.open(a.run)
    page, left_out = write_report(run, out)
    _print_notes([*run.notes, *([left_out] if left_out else [])])
    print_line(str(page))


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
    if a.json:
        print_json(result.as_json())
    else:
        print_lines(result.lines())


def recipes(a: options.RecipesOptions) -> None:
    """`ganvas recipes`."""
    from ganvas.profiling.flops import recipe_table

    del a
    print_lines(recipe_table())


def recipes_show(a: options.RecipeOptions) -> None:
    """`ganvas recipes show`."""
    from ganvas import recipes as known

    print_json(known.load_recipe(a.name).with_overrides(a.overrides or {}).model_dump(mode="json"), indent=2)


def recipes_layers(a: options.RecipeOptions) -> None:
    """`ganvas recipes layers`."""
    from ganvas import recipes as known
    from ganvas.profiling.flops import layer_table

    recipe = known.load_recipe(a.name).with_overrides(a.overrides or {})
    side = recipe.image_size or 28
    print_lines(layer_table(recipe, (1, side, side)))


def data(a: options.DataOptions) -> None:
    """`ganvas data`."""
    from ganvas.data import describe_dataset, load_dataset
    from ganvas.data.description import describe_test_split, save_preview

    out = _out_path(a.out, ".png")
    images = load_dataset(
        a.name, split=a.split or "train", size=a.size, resize=a.resize, mmap_threshold=a.mmap_threshold
    )
    _print_notes([images.note] if images.note else [])
    print_lines(describe_dataset(images).lines())
    test = "" if a.split else describe_test_split(a.name, size=a.size, resize=a.resize)
    if test:
        print_line(f"{test} (--split test)")
    out = out or Path(f"{images.name}-preview.png")
    count = save_preview(images, out)
    print_line(f"preview      {out} (the first {count}, row by row)")


def _out_path(out: str | None, *suffixes: str) -> Path | None:
    """The path given as --out, checked before any work is done."""
    if out is None:
        return None
    path = Path(out).expanduser()
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--out {out}: expected a {' or '.join(s for s in suffixes if s != '.htm')}")
    return path


def _best_step(run: Run, a: options.SampleOptions) -> str:
    """Words for the checkpoint that was chosen, where that is not the newest."""
    if a.step is not None or a.epoch is not None or run.resolve_step() == run.step:
        return ""
    return f" (step {run.resolve_step()}, the best by score; the newest: --step newest)"


def _print_notes(notes: Iterable[str]) -> None:
    print_lines((f"note: {note}" for note in notes), sys.stderr)

"""The options of the other commands; those of `train`, `resume` and `fork` are in `ganvas.runs.options`.

Each field is a flag; the parser is generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganvas.runs.options import (
    REQUIRED,
    TrainOptions,
    device_option,
    mmap_option,
    option,
    overrides_option,
    precision_option,
    resize_option,
    size_option,
    step_choice,
    switch,
)


def _run() -> Any:
    return option(REQUIRED, "run directory, as 'ganvas train' made it", "", metavar="RUN")


def _step() -> Any:
    return option(
        None, "the checkpoint of step N (default: the best by score, where the run has scores)",
        type=step_choice, metavar="N|best|newest",
    )  # fmt: skip


def _class() -> Any:
    return option(
        None, "only this class, by name or number, of a conditional run (or cluster-N)",
        "--class", metavar="NAME|N",
    )  # fmt: skip


def _ema() -> Any:
    return switch(
        "the trained generator itself, where the run also has an averaged one", "--no-ema", default=True
    )


def _seed(help_: str) -> Any:
    return option(0, f"{help_} (default 0)", type=int)


def _json() -> Any:
    return switch("print one JSON object")


@dataclass(frozen=True, kw_only=True)
class TrainCommandOptions(TrainOptions):
    """Options of `train`: those of `ganvas.train`, and the dry run, which in Python is `ganvas.plan`."""

    dry_run: bool = switch("print what would be trained, and stop")
    studio: bool = switch("open 'ganvas studio' on this run in the browser")


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """Options of `studio`."""

    runs: str = option("runs", "folder of the runs (default runs)", "", nargs="?", metavar="RUNS_DIR")
    port: int | None = option(
        None, "port on this machine (default: the first free one from 8265 on)", type=int, metavar="N"
    )
    browser: bool = switch("do not open the browser", "--no-browser", default=True)


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Options of `show`."""

    run: str = _run()
    layers: bool = switch("print the networks layer by layer, too")
    directions: bool = switch("print the directions of the latent space, too, for 'ganvas blend'")


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of `sample`."""

    run: str = _run()
    count: int = option(64, "how many images (default 64)", type=int, metavar="N")
    out: str | None = option(
        None, "a .png (one grid), a .npz or .npy (uint8 [N, C, H, W]), or a folder of single images "
        "(default RUN/sample.png)", metavar="PATH",
    )  # fmt: skip
    class_: str | None = _class()
    seed: int = _seed("the same seed gives the same images")
    step: int | str | None = _step()
    epoch: int | None = option(
        None, "the generator saved at epoch N, where the recipe saves them", type=int, metavar="N"
    )
    ema: bool = _ema()


@dataclass(frozen=True, kw_only=True)
class BlendOptions:
    """Options of `blend`."""

    run: str = _run()
    blends: list[str] = option(
        REQUIRED, "a seed, or seeds with weights: 12:0.5,13:0.5 is halfway between the first images of "
        "seeds 12 and 13", "", nargs="+", metavar="SEED[:WEIGHT],...",
    )  # fmt: skip
    out: str | None = option(
        None, "a .png (one grid), a .npz or .npy, or a folder (default RUN/blend.png)", metavar="PATH"
    )
    class_: str | None = _class()
    step: int | str | None = _step()
    truncation: float = option(
        1.0, "factor on z: below 1, images are more typical and vary less (default 1)",
        type=float, metavar="FACTOR",
    )  # fmt: skip
    directions: list[str] | None = option(
        None, "go so many standard deviations along a direction, as ink:1.5; may be repeated ('show "
        "--directions' lists them)", "--direction", action="append", metavar="NAME:AMOUNT",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InterpolateOptions:
    """Options of `interpolate`."""

    run: str = _run()
    rows: int = option(5, "interpolations (default 5)", type=int, metavar="N")
    columns: int = option(10, "images of each (default 10)", type=int, metavar="N")
    out: str | None = option(
        None, "a .png; the GIF is written beside it (default RUN/interpolation.png)", metavar="PATH"
    )
    class_: str | None = _class()
    seed: int = _seed("seed of the end points")
    ema: bool = _ema()


@dataclass(frozen=True, kw_only=True)
class AnimateOptions:
    """Options of `animate`."""

    run: str = _run()
    out: str | None = option(None, "the GIF (default RUN/animation.gif)", metavar="PATH")
    subsample: bool | None = option(
        None, "keep fewer and fewer frames as training slows down (default: as the recipe says)",
        action="boolean_optional",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DiscriminateOptions:
    """Options of `discriminate`."""

    run: str = _run()
    images: list[str] = option(
        REQUIRED, "image files or folders; without any, only the run's own fixed fakes are shown",
        "", nargs="*", metavar="IMAGE",
    )  # fmt: skip
    resize: str | None = option(
        None, "bring images of another size to the run's (default: refuse them)", metavar="crop|pad|resize"
    )


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of `evaluate`."""

    subject: str = option(
        REQUIRED, "a run directory; or a folder or .zip of images, a .npz or a .npy, whoever made them",
        "", metavar="RUN|PATH",
    )  # fmt: skip
    data: str | None = option(
        None, "the real images to compare with (default: what the run was trained on)", metavar="D"
    )
    count: int = option(10_000, "images scored (default 10000)", type=int, metavar="N")
    features: str | None = option(
        None, "feature network: gv1, gv1-color, fitted-classifier, fitted-contrast, inception, dinov2 "
        "(default: gv1 for gray images, gv1-color for RGB)", metavar="NAME",
    )  # fmt: skip
    step: int | str | None = _step()
    seed: int = _seed("seed of a run's images")
    ema: bool = _ema()
    size: int | None = size_option()
    resize: str | None = resize_option()
    json: bool = _json()
    out: str | None = option(None, "write the JSON here, too (a RUN keeps its own)", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Options of `compare`."""

    runs: list[str] = option(REQUIRED, "run directories; seeds are grouped", "", nargs="+", metavar="RUN")
    out: str = option("comparison.html", "the page (default %(default)s)", metavar="PAGE")
    json: bool = _json()


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `report`."""

    run: str = _run()
    out: str | None = option(None, "the page (default RUN/report.html)", metavar="PAGE")


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Options of `bench`."""

    recipe: str = option(REQUIRED, "a name, a file or a module, as 'train' takes it", "", metavar="RECIPE")
    data: str | None = option(None, "a data set's name or path (default: the bundled digits)", metavar="D")
    steps: int = option(20, "steps timed (default %(default)s)", type=int, metavar="N")
    overrides: Mapping[str, Any] | None = overrides_option()
    precision: str | None = precision_option()
    device: str = device_option()
    threads: int | None = option(None, "processor threads", type=int, metavar="N")
    size: int | None = size_option()
    resize: str | None = resize_option()
    mmap_threshold: float = mmap_option()
    json: bool = _json()


@dataclass(frozen=True, kw_only=True)
class RecipesOptions:
    """Options of `recipes`: none."""


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Options of `recipes show` and `recipes layers`."""

    name: str = option(REQUIRED, "a recipe's name, file or module", "", metavar="NAME")
    overrides: Mapping[str, Any] | None = overrides_option()


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options of `data`."""

    name: str = option(REQUIRED, "a data set's name or path", "", metavar="NAME")
    size: int | None = size_option()
    resize: str | None = resize_option()
    split: str | None = option(None, "which part of the data set", metavar="train|test|all")
    mmap_threshold: float = mmap_option()
    out: str | None = option(None, "the 5x6 preview (default NAME-preview.png, here)", metavar="PATH")

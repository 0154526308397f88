"""The options of `train`, `resume` and `fork`: each field is a flag of the command and a Python parameter.

A field's metadata holds what argparse needs (`flag` and the keyword arguments of `add_argument`); a field
without metadata can be given from Python only. Nothing here imports torch or NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.utils.memory import MMAP_THRESHOLD

if TYPE_CHECKING:
    from ganvas.callbacks.base import Callback
    from ganvas.recipes.schema import Recipe

REQUIRED: Any = object()


def option(default: Any, help: str, flag: str | None = None, **argparse: Any) -> Any:  # noqa: A002
    """A dataclass field that is also a flag.

    Args:
        default: of both; REQUIRED where there is none.
        help: the line that --help shows.
        flag: as "--set", where it is not the field's name; "" makes a positional argument.
        **argparse: further arguments of `ArgumentParser.add_argument`.
    """
    metadata = {"flag": flag, "argparse": {"help": help, **argparse}}
    return field(metadata=metadata) if default is REQUIRED else field(default=default, metadata=metadata)


def switch(help: str, flag: str | None = None, *, default: bool = False) -> Any:  # noqa: A002
    """A boolean field whose flag inverts the default."""
    return option(default, help, flag, action="store_false" if default else "store_true")


def step_choice(text: str) -> int | str:
    """A step's number, or the word itself ("best", "newest")."""
    return int(text) if text.isdecimal() else text


def steps_option() -> Any:
    """The field `steps`."""
    return option(None, "length of the whole run in steps", type=int, metavar="N")


def epochs_option() -> Any:
    """The field `epochs`."""
    return option(None, "length of the whole run in epochs", type=int, metavar="N")


def overrides_option() -> Any:
    """The field `overrides`, from `--set KEY=VALUE`."""
    return option(
        None, "change a recipe's value by its path, as discriminator.dropout=0; may be repeated",
        "--set", action="append", metavar="KEY=VALUE",
    )  # fmt: skip


def mmap_option() -> Any:
    """The field `mmap_threshold`."""
    return option(
        MMAP_THRESHOLD,
        "memory-map a data set larger than this fraction of the free memory (default %(default)s)",
        type=float, metavar="FRACTION",
    )  # fmt: skip


def device_option() -> Any:
    """The field `device`."""
    return option("auto", "where to compute (default auto: a GPU if there is one)", metavar="auto|cpu|cuda")


def tensorboard_option() -> Any:
    """The field `tensorboard`."""
    return option(None, "write TensorBoard events into RUN/tensorboard", action="boolean_optional")


def health_option() -> Any:
    """The field `health`."""
    return option(
        None, "what to do when training goes wrong (default: as the recipe says, which is to warn)",
        choices=["warn", "stop", "off"],
    )  # fmt: skip


def size_option() -> Any:
    """The field `size`."""
    return option(None, "bring all images to N x N pixels", type=int, metavar="N")


def resize_option() -> Any:
    """The field `resize`."""
    return option(
        None, "how: cut to the middle square, pad to a square, or stretch", metavar="crop|pad|resize"
    )


def precision_option() -> Any:
    """The field `precision`."""
    return option(
        None, "of matrix multiplications (default: the recipe's); auto is bf16 where the hardware has it",
        choices=["auto", "fp32", "bf16"],
    )  # fmt: skip


def callbacks_option() -> Any:
    """The field `callbacks`, from `--callback NAME`."""
    return option(
        (), "a callback registered under this name, called while training; may be repeated",
        "--callback", action="append", metavar="NAME",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `train`; `ganvas.train` says what each means."""

    recipe: str | Path | Recipe | None = option(
        None, "a name ('ganvas recipes' lists them), a .json or .py file, or a module; without one, or "
        "with a data set in its place, the recipe is chosen for the images", "", nargs="?", metavar="RECIPE",
    )  # fmt: skip
    data: str | Path | None = option(
        None, "a data set's name, an IDX folder, a .npz, a .npy, a folder or .zip of images "
        "(default: the recipe's own)", metavar="D",
    )  # fmt: skip
    out: str | Path | None = option(None, "the run directory (default runs/RECIPE)", metavar="DIR")
    epochs: int | None = epochs_option()
    steps: int | None = steps_option()
    budget: str | None = option(
        None, "how long to train, estimated for two processor cores (default, without a named recipe: 5m)",
        metavar="1m|5m|20m|1h|...",
    )  # fmt: skip
    conditional: bool = switch("condition both networks on the labels, so that you can ask for a class")
    clusters: int | None = option(
        None, "condition both networks on K clusters of the pixels, which need no labels; 0 for none "
        "(default: by the number of images, where the recipe is automatic)", type=int, metavar="K",
    )  # fmt: skip
    seed: int = option(0, "seed of all random numbers (default 0)", type=int)
    device: str = device_option()
    threads: int | None = option(None, "processor threads", type=int, metavar="N")
    precision: str | None = precision_option()
    overrides: Mapping[str, Any] | None = overrides_option()
    split: str | None = option(None, "which part of the data set", metavar="train|test|all")
    size: int | None = size_option()
    resize: str | None = resize_option()
    mmap_threshold: float = mmap_option()
    tensorboard: bool | None = tensorboard_option()
    health: str | None = health_option()
    overwrite: bool = switch(
        "replace a run that is already in DIR: it is kept until the new one has a checkpoint, and files that "
        "ganvas did not write stay"
    )
    quiet: bool = switch("show nothing while training")
    callbacks: Sequence[Callback | str] = callbacks_option()
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResumeOptions:
    """Options of `resume`."""

    run: str | PathLike[str] = option(REQUIRED, "run directory, as 'ganvas train' made it", "", metavar="RUN")
    epochs: int | None = epochs_option()
    steps: int | None = steps_option()
    data: str | Path | None = option(None, "where the data set is now, if it has moved", metavar="D")
    mmap_threshold: float = mmap_option()
    device: str = device_option()
    tensorboard: bool | None = tensorboard_option()
    health: str | None = health_option()
    quiet: bool = switch("show nothing while training")
    callbacks: Sequence[Callback | str] = callbacks_option()


@dataclass(frozen=True, kw_only=True)
class ForkOptions:
    """Options of `fork`."""

    run: str | PathLike[str] = option(
        REQUIRED, "run directory to start from; it is left as it is", "", metavar="RUN"
    )
    step: int | str = option(
        "best", "the checkpoint to continue from (default best, by score)",
        type=step_choice, metavar="N|best|newest",
    )  # fmt: skip
    out: str | Path | None = option(None, "the new run directory (default RUN-from-STEP)", metavar="DIR")
    overrides: Mapping[str, Any] | None = overrides_option()
    seed: int | None = option(None, "another seed from there on", type=int)
    epochs: int | None = epochs_option()
    steps: int | None = steps_option()
    data: str | Path | None = option(None, "where the data set is now, if it has moved", metavar="D")
    mmap_threshold: float = mmap_option()
    device: str = device_option()
    tensorboard: bool | None = tensorboard_option()
    health: str | None = health_option()
    quiet: bool = switch("show nothing while training")
    callbacks: Sequence[Callback | str] = callbacks_option()
    command: str | None = None

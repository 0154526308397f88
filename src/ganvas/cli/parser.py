"""The argparse parser, generated from the options dataclasses. Standard library only."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from typing import Any, NoReturn

from ganvas import __version__
from ganvas.cli import options
from ganvas.errors import UserError
from ganvas.runs.options import ForkOptions, ResumeOptions

EXAMPLES = """\
a first run:
  ganvas train --data mnist-5k --budget 1m --out runs/first
  ganvas sample runs/first --count 64 --out samples.png
  ganvas show runs/first
your own images, a classic recipe:
  ganvas train photos/ --size 32 --resize crop
  ganvas train tutorial-dcgan --data mnist
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: its words, its options, its help and its examples."""

    words: str
    options: type[Any]
    help: str
    examples: tuple[str, ...]

    @property
    def function(self) -> str:
        """Name of its function in `ganvas.cli.commands`."""
        return self.words.replace(" ", "_")


COMMANDS = (
    Command(
        "train", options.TrainCommandOptions, "train a recipe on a data set into a run directory",
        ("mlp --data mnist-5k --steps 1000", "photos/ --size 32 --resize crop --budget 20m",
         "tutorial-dcgan --data mnist --dry-run"),
    ),
    Command(
        "resume", ResumeOptions, "continue a run that was stopped or killed",
        ("runs/mlp", "runs/mlp --epochs 30"),
    ),
    Command(
        "fork", ForkOptions, "train a new run that continues from a checkpoint of another",
        ("runs/mlp --step best", "runs/mlp --step 2000 --set generator_optimizer.learning_rate=1e-4",
         "runs/mlp --step newest --seed 1 --out runs/mlp-seed-1"),
    ),
    Command(
        "studio", options.StudioOptions, "open a page that starts, watches, controls and explores runs",
        ("", "runs/ --port 8300 --no-browser"),
    ),
    Command(
        "show", options.ShowOptions, "print what a run is, how far it is and how to resume it",
        ("runs/mlp", "runs/mlp --layers"),
    ),
    Command(
        "sample", options.SampleOptions, "make images with a trained generator",
        ("runs/mlp", "runs/mlp --count 1000 --out images.npz --seed 1", "runs/digits --class 7"),
    ),
    Command(
        "blend", options.BlendOptions, "make images between seeds, and along directions with a meaning",
        ("runs/digits 12:0.5,13:0.5", "runs/digits 12 12:3,13:1 13 --direction ink:1.5 --out three.png"),
    ),
    Command(
        "interpolate", options.InterpolateOptions, "interpolate between images through the latent space",
        ("runs/mlp", "runs/mlp --rows 3 --columns 20 --out walk.png"),
    ),
    Command(
        "animate", options.AnimateOptions, "write the GIF of a run's sample grids",
        ("runs/mlp", "runs/mlp --out progress.gif --no-subsample"),
    ),
    Command(
        "discriminate", options.DiscriminateOptions, "print the logits of a run's discriminator for images",
        ("runs/mlp", "runs/mlp digit.png photos/ --resize crop"),
    ),
    Command(
        "evaluate", options.EvaluateOptions, "score a run's generator, or any images, against real ones",
        ("runs/mlp", "runs/mlp --count 2000 --step newest --out scores.json",
         "generated/ --data mnist --json"),
    ),
    Command(
        "compare", options.CompareOptions, "put runs side by side: scores, curves, grids",
        ("runs/mlp runs/auto", "runs/* --out page.html"),
    ),
    Command(
        "report", options.ReportOptions, "write a run's page: what it is, curves, grids, scores",
        ("runs/mlp", "runs/mlp --out mlp.html"),
    ),
    Command(
        "bench", options.BenchOptions, "measure how fast a recipe trains and samples on this machine",
        ("mlp", "tutorial-dcgan --steps 50 --threads 2"),
    ),
    Command(
        "recipes", options.RecipesOptions, "list the recipes, or show one as JSON",
        ("", "show mlp", "layers tutorial-dcgan"),
    ),
    Command(
        "recipes show", options.RecipeOptions, "print a recipe as JSON",
        ("mlp", "mlp --set batch_size=16 > mine.json"),
    ),
    Command(
        "recipes layers", options.RecipeOptions,
        "print the layers of a recipe's networks, with parameters and MACs",
        ("mlp", "tutorial-dcgan --set generator.base_channels=64"),
    ),
    Command(
        "data", options.DataOptions, "describe a data set and write a preview of its first images",
        ("mnist-5k", "photos/ --size 32 --resize crop"),
    ),
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Refuses in one line, with the nearest word where there is one."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        if "invalid choice" in message:
            word = message.partition("invalid choice: '")[2].partition("'")[0]
            choices = message.partition("choose from ")[2].rstrip(")").replace("'", "").split(", ")
            close = difflib.get_close_matches(word, choices, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(choices)}"
            message = f"unknown word {word!r}; {hint}"
        raise UserError(f"{message} (see '{self.prog} --help')")

    def flags(self) -> list[str]:
        """The flags that the parser knows."""
        return [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="ganvas",
        description="Train GANs for small images, and use what was trained.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ganvas {__version__}")
    groups = {"": parser.add_subparsers(title="commands", metavar="COMMAND", required=True)}
    for command in COMMANDS:
        group, _, name = command.words.rpartition(" ")
        made = _add_command(groups[group], name, command)
        if command.words == "recipes":
            groups["recipes"] = made.add_subparsers(metavar="[show NAME | layers NAME]")
    return parser


def _add_command(group: Any, name: str, command: Command) -> Parser:
    lines = [f"  ganvas {command.words} {example}".rstrip() for example in command.examples]
    parser: Parser = group.add_parser(
        name,
        help=command.help,
        description=command.help[0].upper() + command.help[1:] + ".",
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command, parser=parser)
    for field in dataclasses.fields(command.options):
        if "argparse" in field.metadata:
            _add_option(parser, field)
    if command.words not in ("recipes", "data"):
        parser.add_argument(
            "--plugin", action="append", default=[], metavar="FILE|MODULE",
            help="a .py file or a module of your own, imported first for what it registers; may be repeated",
        )  # fmt: skip
    return parser


def _add_option(parser: Parser, field: dataclasses.Field[Any]) -> None:
    how = dict(field.metadata["argparse"])
    if how.get("action") == "boolean_optional":
        how["action"] = argparse.BooleanOptionalAction
    if field.default is not dataclasses.MISSING:
        how["default"] = [] if how.get("action") == "append" else field.default
    flag = field.metadata["flag"]
    if flag == "":
        parser.add_argument(field.name, **how)
    else:
        parser.add_argument(flag or f"--{field.name.replace('_', '-')}", dest=field.name, **how)

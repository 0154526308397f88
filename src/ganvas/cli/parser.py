"""What can be typed: the commands, their arguments and their help. Standard library only."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from ganvas import __version__, memory
from ganvas.errors import UserError

EXAMPLES = """\
a first run:
  ganvas train --data mnist-5k --budget 1m --out runs/first
  ganvas sample runs/first --count 64 --out samples.png
  ganvas show runs/first
your own pictures, a classic recipe:
  ganvas train photos/ --size 32 --fit crop
  ganvas train tutorial-dcgan --data mnist
"""


class Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything in ganvas does, with the nearest word where there is one."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        if "invalid choice" in message:
            word = message.partition("invalid choice: '")[2].partition("'")[0]
            choices = message.partition("choose from ")[2].rstrip(")").replace("'", "").split(", ")
            close = difflib.get_close_matches(word, choices, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(choices)}"
            message = f"unknown word {word!r}; {hint}"
        raise UserError(f"{message} (see '{self.prog} --help')")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="ganvas",
        description="Train GANs for small images, and use what was trained.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ganvas {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _train(commands)
    _resume(commands)
    _show(commands)
    _sample(commands)
    _interpolate(commands)
    _animate(commands)
    _critique(commands)
    _evaluate(commands)
    _compare(commands)
    _report(commands)
    _bench(commands)
    _recipes(commands)
    _data(commands)
    return parser


def _command(commands: Any, name: str, help_: str, call: str | None = None) -> Parser:
    parser: Parser = commands.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
    parser.set_defaults(call=call or name)
    return parser


def _run_argument(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory, as 'ganvas train' made it")
    _code_argument(parser)


def _code_argument(parser: Parser) -> None:
    parser.add_argument(
        "--code", metavar="FILE",
        help="the .py recipe or module whose own networks the run uses; it is run before RUN is opened",
    )  # fmt: skip


def _seed_argument(parser: Parser, help_: str) -> None:
    parser.add_argument("--seed", type=int, default=0, help=f"{help_} (default 0)")


def _step_argument(parser: Parser) -> None:
    parser.add_argument(
        "--step", type=_step, metavar="N|best|newest",
        help="the checkpoint of step N (default: the best by score, where the run has scores)",
    )  # fmt: skip


def _step(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


def _class_argument(parser: Parser) -> None:
    parser.add_argument(
        "--class", dest="class_", metavar="NAME|N",
        help="only this class, by name or number, of a run trained with --conditional (or cluster-N)",
    )  # fmt: skip


def _ema_argument(parser: Parser) -> None:
    parser.add_argument(
        "--no-ema", dest="ema", action="store_false",
        help="the generator itself, where the run also has an averaged one",
    )  # fmt: skip


def _length_arguments(parser: Parser, why: str) -> None:
    parser.add_argument("--epochs", type=int, metavar="N", help=f"{why}, in epochs")
    parser.add_argument("--steps", type=int, metavar="N", help=f"{why}, in steps")


def _settings_argument(parser: Parser, what: str) -> None:
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help=f"{what} by its path, as discriminator.dropout=0; may be repeated",
    )  # fmt: skip


def _precision_argument(parser: Parser) -> None:
    parser.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"],
        help="of products (default: the recipe's, fp32 in the classic ones, else auto); auto is bf16 where "
        "the hardware multiplies it",
    )  # fmt: skip


def _running_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda",
        help="where to compute (default auto: a GPU if there is one)",
    )  # fmt: skip
    parser.add_argument(
        "--tensorboard", action=argparse.BooleanOptionalAction, default=None,
        help="write TensorBoard events into RUN/tensorboard",
    )  # fmt: skip
    parser.add_argument(
        "--guard", choices=["warn", "stop", "off"],
        help="what to do when training goes wrong (default: as the recipe says, which is to warn)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show nothing while training")


def _data_arguments(parser: Parser) -> None:
    parser.add_argument("--size", type=int, metavar="N", help="bring all images to N x N pixels")
    parser.add_argument(
        "--fit", metavar="crop|pad|resize",
        help="how: cut to the middle square, pad to a square, or stretch",
    )  # fmt: skip
    parser.add_argument("--split", metavar="train|test|all", help="which part of the data set")


def _memory_argument(parser: Parser) -> None:
    parser.add_argument(
        "--memory-share", type=float, default=memory.SHARE, metavar="SHARE",
        help="memory-map a data set larger than this share of the free memory (default %(default)s)",
    )  # fmt: skip


def _train(commands: Any) -> None:
    parser = _command(commands, "train", "train a recipe on a data set into a run directory")
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?",
        help="a name ('ganvas recipes' lists them), a .json or .py file, or a module; without one, or with a "
        "data set in its place, the recipe is drawn from the pictures",
    )  # fmt: skip
    parser.add_argument(
        "--budget", metavar="1m|5m|20m|1h|...",
        help="how long to train without a named recipe, told by the time on two processor cores (default 5m)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="D",
        help="a data set's name, an IDX folder, a .npz, a .npy, a folder or .zip of pictures "
        "(default: the recipe's own)",
    )  # fmt: skip
    parser.add_argument(
        "--conditional", action="store_true",
        help="tell both players the classes, so that pictures of a class can be asked for",
    )  # fmt: skip
    parser.add_argument(
        "--clusters", type=int, metavar="K",
        help="tell both players K clusters of the pixels, which need no labels; 0 is none (default: by the "
        "number of pictures, where the recipe is drawn from them)",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="the run directory (default runs/RECIPE)")
    _length_arguments(parser, "length, instead of the recipe's")
    _seed_argument(parser, "where all randomness comes from")
    _settings_argument(parser, "change a recipe's value")
    _data_arguments(parser)
    _memory_argument(parser)
    _running_arguments(parser)
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads")
    _precision_argument(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is already in DIR")


def _resume(commands: Any) -> None:
    parser = _command(commands, "resume", "go on with a run that was stopped or killed")
    _run_argument(parser)
    parser.add_argument(
        "--from", dest="from_", type=_step, metavar="N|best|newest",
        help="begin a branch, a new run that goes on from this checkpoint; RUN stays as it is",
    )  # fmt: skip
    _settings_argument(parser, "a branch's change of a recipe's value")
    parser.add_argument("--seed", type=int, help="another seed for a branch")
    parser.add_argument("--out", metavar="DIR", help="a branch's directory (default RUN-from-STEP)")
    _length_arguments(parser, "a new length for the whole run")
    parser.add_argument("--data", metavar="D", help="where the data set lies now, if it has moved")
    _memory_argument(parser)
    _running_arguments(parser)


def _show(commands: Any) -> None:
    parser = _command(commands, "show", "say what a run is, where it stands and how to go on")
    _run_argument(parser)
    parser.add_argument("--layers", action="store_true", help="its networks, layer by layer, too")


def _sample(commands: Any) -> None:
    parser = _command(commands, "sample", "make pictures with a trained generator")
    _run_argument(parser)
    parser.add_argument("--count", type=int, default=64, metavar="N", help="how many (default 64)")
    parser.add_argument(
        "--out", metavar="PATH",
        help="a .png (one grid), a .npz or .npy (uint8 [N, C, H, W]), or a folder of single "
        "pictures (default RUN/sample.png)",
    )  # fmt: skip
    _class_argument(parser)
    _seed_argument(parser, "the same seed gives the same pictures")
    _step_argument(parser)
    parser.add_argument(
        "--epoch", type=int, metavar="N", help="the generator saved at epoch N, where the recipe saves them"
    )
    _ema_argument(parser)


def _interpolate(commands: Any) -> None:
    parser = _command(commands, "interpolate", "walk from picture to picture through z")
    _run_argument(parser)
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="walks (default 5)")
    parser.add_argument("--columns", type=int, default=10, metavar="N", help="pictures a walk (default 10)")
    parser.add_argument(
        "--out", metavar="PATH",
        help="a .png; the GIF of the same walks lies beside it (default RUN/interpolation.png)",
    )  # fmt: skip
    _class_argument(parser)
    _seed_argument(parser, "which walks")
    _ema_argument(parser)


def _animate(commands: Any) -> None:
    parser = _command(commands, "animate", "write the GIF of a run's sample grids")
    _run_argument(parser)
    parser.add_argument("--out", metavar="PATH", help="the GIF (default RUN/animation.gif)")
    parser.add_argument(
        "--thin", action=argparse.BooleanOptionalAction, default=None,
        help="keep fewer and fewer frames as training slows down (default: as the recipe says)",
    )  # fmt: skip


def _critique(commands: Any) -> None:
    parser = _command(commands, "critique", "ask a run's discriminator what it thinks of pictures")
    _run_argument(parser)
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE",
        help="picture files or folders; without any, only the run's own fixed fake is judged",
    )  # fmt: skip
    parser.add_argument(
        "--fit", metavar="crop|pad|resize",
        help="bring pictures of another size to the run's (default: refuse them)",
    )  # fmt: skip


def _evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", "score a run's generator, or any images, against real ones")
    parser.add_argument(
        "subject", metavar="RUN|PATH",
        help="a run directory; or a folder or .zip of pictures, a .npz or a .npy, whoever made them",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="D",
        help="the real images to compare with (default: what the run was trained on)",
    )  # fmt: skip
    parser.add_argument(
        "--n", dest="count", type=int, default=10_000, metavar="N", help="images scored (default 10000)"
    )
    parser.add_argument(
        "--features", metavar="NAME",
        help="feature network: gv1, gv1-colour, own-classifier, own-contrast, inception, dinov2 "
        "(default: gv1 for grey images, gv1-colour for RGB)",
    )  # fmt: skip
    _step_argument(parser)
    _seed_argument(parser, "which images a run's generator draws")
    _ema_argument(parser)
    parser.add_argument("--size", type=int, metavar="N", help="bring pictures of a PATH to N x N pixels")
    parser.add_argument("--fit", metavar="crop|pad|resize", help="how")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", metavar="FILE", help="write the JSON here, too (a RUN keeps its own)")
    _code_argument(parser)


def _compare(commands: Any) -> None:
    parser = _command(commands, "compare", "put runs side by side: scores, curves, grids")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories; seeds are grouped")
    parser.add_argument(
        "--out", metavar="PAGE", default="comparison.html", help="the page (default %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _code_argument(parser)


def _report(commands: Any) -> None:
    parser = _command(commands, "report", "write a run's page: what it is, curves, grids, scores")
    _run_argument(parser)
    parser.add_argument("--out", metavar="PAGE", help="the page (default RUN/report.html)")


def _bench(commands: Any) -> None:
    parser = _command(commands, "bench", "measure how fast a recipe trains and samples on this machine")
    parser.add_argument("recipe", metavar="RECIPE", help="a name, a file or a module, as 'train' takes it")
    parser.add_argument("--data", metavar="D", help="a data set's name or path (default: the bundled digits)")
    parser.add_argument(
        "--steps", type=int, default=20, metavar="N", help="steps timed (default %(default)s)"
    )
    _settings_argument(parser, "change a recipe's value")
    _precision_argument(parser)
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where to compute")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads")
    parser.add_argument("--size", type=int, metavar="N", help="bring all images to N x N pixels")
    parser.add_argument("--fit", metavar="crop|pad|resize", help="how")
    _memory_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _recipes(commands: Any) -> None:
    parser = _command(commands, "recipes", "list the recipes, or show one as JSON")
    inner = parser.add_subparsers(metavar="[show NAME | layers NAME]")
    for name, help_ in (
        ("show", "print a recipe as JSON"),
        ("layers", "print the layers of a recipe's networks, with weights and multiply-adds"),
    ):
        command = _command(inner, name, help_, f"recipes_{name}")
        command.add_argument("name", metavar="NAME", help="a recipe's name, file or module")
        command.add_argument(
            "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
            help="with this value changed; may be repeated",
        )  # fmt: skip


def _data(commands: Any) -> None:
    parser = _command(commands, "data", "describe a data set and write a preview of its first images")
    parser.add_argument("name", metavar="NAME", help="a data set's name or path")
    _data_arguments(parser)
    _memory_argument(parser)
    parser.add_argument("--out", metavar="PATH", help="the 5x6 preview (default NAME-preview.png, here)")

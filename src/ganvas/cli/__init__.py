"""The command line: words in, a function call, lines and an exit code out.

Exit codes: 0 done, 1 the machine could not, 2 the request cannot be, 130 stopped by the user.
Nothing here imports torch until a command needs it.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from ganvas.cli.parser import build_parser
from ganvas.errors import GanvasError, UserError

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        arguments = parse(words)
        arguments.words = words
        from ganvas.cli import commands

        commands.run_own_code(arguments)
        getattr(commands, arguments.call)(arguments)
        sys.stdout.flush()
    except GanvasError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as stopped:
        return _fail(str(stopped) or "stopped", 130)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("memory is full: close other programs, or use fewer or smaller images", 1)
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'input or output'}", 1)
    except Exception as error:
        if "home directory" in str(error) and isinstance(error, RuntimeError):  # pathlib, of "~nobody/x"
            return _fail("a path begins with ~ and a user that this machine does not know", 2)
        if os.environ.get("GANVAS_DEBUG"):
            raise
        name = type(error).__name__
        text = " ".join(str(error).split())
        return _fail(
            f"a mistake in ganvas itself ({name}: {text}); GANVAS_DEBUG=1 shows where: please report it",
            1,
        )
    return 0


def parse(words: Sequence[str]) -> Namespace:
    """Read the words of a command line.

    Raises:
        UserError: words that no command knows.
    """
    arguments, left = build_parser().parse_known_args(words)
    if left and getattr(arguments, "call", "") == "critique" and not any(w.startswith("-") for w in left):
        arguments.images += left  # argparse gives no more pictures to a list once an option came between
    elif left:
        name = words[0] if words else ""
        raise UserError(f"unknown: {' '.join(left)} (see 'ganvas {name} --help')")
    return arguments


def _fail(message: str, code: int) -> int:
    print(f"ganvas: {message}", file=sys.stderr)
    return code

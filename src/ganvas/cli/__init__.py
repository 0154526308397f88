"""The command line: parse the words, call one function, print lines, return an exit code.

Exit codes: 0 done, 1 the machine could not, 2 the request cannot be, 130 stopped by Ctrl-C or, while it
trains, by SIGTERM or SIGHUP.

A display that cannot be written (a pipe, pager or terminal that closed, a full disk) goes quiet and changes
no exit code. What a command prints on standard output is a result: 1 where it could not be written, unless
its reader has closed it.

Nothing here imports torch until a command needs it.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from ganvas.cli.parser import build_parser
from ganvas.errors import GanvasError, UserError, shorten
from ganvas.registry import foreign_errors, load_plugin
from ganvas.utils.limits import check_limits
from ganvas.utils.memory import is_memory_error
from ganvas.utils.output import READER_GONE, print_line, tolerant, tolerant_output, write_to_terminal

__all__ = ["main"]

MEMORY_FULL = "memory is full: close other programs, or use fewer or smaller images"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with tolerant_output() as stdout:
        code = _run(list(sys.argv[1:] if words is None else words))
        stdout.flush()
        if code == 0 and stdout.error is not None and stdout.error.errno not in READER_GONE:
            code = _fail(f"could not write the output: {stdout.error.strerror}", 1)
    return code


def _run(words: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever it raises is said in one line."""
    try:
        arguments = parse(words)
        check_limits()
        for plugin in getattr(arguments, "plugin", ()):
            load_plugin(plugin)
        from ganvas.cli import commands

        with foreign_errors():
            getattr(commands, arguments.command.function)(_options(arguments, words))
    except GanvasError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as stopped:
        return _fail(str(stopped) or "stopped", 130)
    except SystemExit as stop:  # argparse leaves so after --help
        return 1 if stop.code else 0
    except MemoryError:
        return _fail(MEMORY_FULL, 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return _fail(f"{shorten(str(error.filename))}: too long for a path; give a shorter one", 2)
        return _fail(f"{error.strerror or error}: {error.filename or 'input or output'}", 1)
    except Exception as error:
        if "home directory" in str(error) and isinstance(error, RuntimeError):  # pathlib, of "~nobody/x"
            return _fail("a path begins with ~ and the name of a user that this machine does not know", 2)
        if os.environ.get("GANVAS_DEBUG"):
            raise
        if is_memory_error(error):
            return _fail(MEMORY_FULL, 1)
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
        UserError: words that no command knows; the line names the nearest flag.
    """
    arguments, left = build_parser().parse_known_args(words)
    flags = [word.partition("=")[0] for word in left if word.startswith("-")]
    command = arguments.command.words
    if left and command == "discriminate" and not flags:
        arguments.images += left  # argparse ends a list of words at the first flag
    elif left:
        close = difflib.get_close_matches(flags[0], arguments.parser.flags(), n=1) if flags else []
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(f"unknown: {' '.join(left)}{hint} (see 'ganvas {command} --help')")
    return arguments


def _options(arguments: Namespace, words: Sequence[str]) -> Any:
    """The options object of the command that was typed."""
    kind = arguments.command.options
    values = {
        f.name: getattr(arguments, f.name) for f in dataclasses.fields(kind) if "argparse" in f.metadata
    }
    if "overrides" in values:
        from ganvas.recipes.overrides import parse_overrides

        values["overrides"] = parse_overrides(values["overrides"])
    if any(f.name == "command" for f in dataclasses.fields(kind)):
        values["command"] = shlex.join(["ganvas", *words])
    return kind(**values)


def _fail(message: str, code: int) -> int:
    """Print why a command failed; where standard error is closed, on the terminal, if there is one.

    Ctrl-C ends `tee`, too: without this, the line that says how to resume would be lost with it.
    """
    stderr: Any = tolerant(sys.stderr)
    line = f"ganvas: {message}"
    print_line(line, stderr)
    stderr.flush()
    if stderr.error is not None:
        write_to_terminal(line)
    return code

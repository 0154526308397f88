"""Every command that opens a run, and what a hostile run directory may have in the place of a file."""

import contextlib
import io
import os
import shutil
import socket

from ganvas import cli

COMMANDS = {
    "show": lambda run: ["show", run],
    "sample": lambda run: ["sample", run, "--count", "2"],
    "sample --epoch": lambda run: ["sample", run, "--count", "2", "--epoch", "1"],
    "interpolate": lambda run: ["interpolate", run, "--rows", "1", "--columns", "2"],
    "animate": lambda run: ["animate", run],
    "discriminate": lambda run: ["discriminate", run],
    "evaluate": lambda run: ["evaluate", run, "--count", "24"],
    "report": lambda run: ["report", run],
    "compare": lambda run: ["compare", run, run.with_name("other"), "--out", run.with_name("page.html")],
    "resume": lambda run: ["resume", run, "--steps", "5"],
    "fork": lambda run: ["fork", run, "--step", "2", "--steps", "5"],
}


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with contextlib.chdir(path.parent), contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path.name)  # from within: a socket's path may not be long


def make_huge(path):
    path.touch()
    os.truncate(path, 2**40)  # a terabyte that takes no room


KINDS = {
    "a pipe": make_pipe,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a dangling link": lambda path: path.symlink_to(outside(path)),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link out": lambda path: path.symlink_to(outside(path)),
    "a huge file": make_huge,
}


def outside(path):
    """A path that is not in the run, for what is at `path` in it."""
    run = next(parent for parent in path.parents if (parent / "run.json").exists() or parent.name == "victim")
    return run.with_name("outside") / path.name


def put(path, kind):
    """Put something of this kind in the place of the file or folder at `path`."""
    outside(path).parent.mkdir(exist_ok=True)
    if kind == "a link out":
        if not path.exists():
            path.mkdir()
        shutil.move(path, outside(path))
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    KINDS[kind](path)


def call(words):
    """The exit code of a command, and its lines on stderr."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        code = cli.main([str(word) for word in words])
    return code, errors.getvalue().strip().splitlines()

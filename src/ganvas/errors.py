"""Every error that ganvas raises on purpose, and the exit code it means.

    GanvasError
    ├── UserError            exit 2: an argument or input cannot be used
    │   ├── DataError        a data set, archive or image is not what it should be
    │   │   └── NoSplitError       it is whole, but has no such split
    │   ├── RecipeError      an unknown recipe or key, a value of the wrong type or sign
    │   ├── RunError         a run directory is missing, taken or damaged
    │   │   └── NewerFormatError   it was made by a newer ganvas
    │   ├── DeviceError      a device was asked for that this machine does not have
    │   └── CallbackError    a callback of the user's raised
    └── MachineError         exit 1: the request was right, the machine could not fulfill it
        ├── DownloadError    a data set is not on this machine and could not be fetched
        ├── StorageError     a disk is full or may not be written
        └── TrainingError    training cannot continue, as when a loss is no longer finite
            └── HealthStop   a health check failed and health is "stop"

A message is one line: what was expected, what came, what to do.
"""

import difflib
from collections.abc import Iterable, Sequence

_MOST_LETTERS = 80  # of one name from outside
_MOST_LINE = 2000  # letters of an error message


class GanvasError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __str__(self) -> str:
        """The message on one line, printable and of bounded length, whatever names it quotes."""
        text = super().__str__()
        if len(text) > _MOST_LINE:
            text = f"{text[: _MOST_LINE // 2]} … {text[-_MOST_LINE // 2 :]}"
        return printable(text)


class UserError(GanvasError):
    """An argument or input cannot be used."""

    exit_code = 2


class DataError(UserError):
    """A data set, archive or image is not what it should be."""


class NoSplitError(DataError):
    """A data set is whole, but has no such split."""


class RecipeError(UserError):
    """An unknown recipe or key, or a value of the wrong type or sign."""


class RunError(UserError):
    """A run directory is missing, already taken or damaged."""


class NewerFormatError(RunError):
    """A run or checkpoint was made by a newer ganvas: whole, but not to be read here."""


class DeviceError(UserError):
    """A device was asked for that this machine does not have."""


class CallbackError(UserError):
    """A callback of the user's raised an exception."""


class MachineError(GanvasError):
    """The request was right, but the machine could not fulfill it."""


class DownloadError(MachineError):
    """A data set is not on this machine and could not be fetched."""


class StorageError(MachineError):
    """A disk is full, or a folder may not be written."""


class TrainingError(MachineError):
    """Training cannot continue, as when a loss is no longer finite."""


class HealthStop(TrainingError):  # noqa: N818 - it names an event, as StopIteration does
    """A health check failed, and the run was to stop then (health "stop")."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Words for an error message: the known name closest to `word`, or all of them.

    >>> did_you_mean("tutorial-dcgna", ["mlp", "tutorial-dcgan"])
    "did you mean 'tutorial-dcgan'?"
    """
    names = list(known)
    close = difflib.get_close_matches(word[:_MOST_LETTERS], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {first_few(names, 30)}"


def first_few(names: Sequence[str], most: int) -> str:
    """The first `most` of names from outside for one line of output, and the number of the others.

    >>> first_few(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    listed = ", ".join(printable(shorten(name)) for name in names[:most])
    return f"{listed} and {len(names) - most:,} more" if len(names) > most else listed


def shorten(text: str, most: int = _MOST_LETTERS) -> str:
    """Text of any length from outside for one line of output: its first `most` letters."""
    return text if len(text) <= most else f"{text[:most]}…"


def printable(text: str) -> str:
    r"""Text from outside for one line of output: line breaks, control characters, broken UTF-8 are escaped.

    >>> printable("photo\x1b[2J.png")
    'photo\\x1b[2J.png'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

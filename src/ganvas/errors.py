"""Every error that ganvas raises on purpose, and the exit code it means.

    GanvasError
    ├── UserError            exit 2: what was asked for or handed in cannot be used
    │   ├── DataError        a data set, archive or picture is not what it should be
    │   │   └── NoSplitError       it is whole, but has no such split
    │   ├── RecipeError      an unknown recipe or key, a value of the wrong type or sign
    │   ├── RunError         a run directory is missing, taken or damaged
    │   │   └── NewerFormatError   it was made by a newer ganvas
    │   └── DeviceError      a device was asked for that this machine does not have
    └── MachineError         exit 1: the request was right, the machine could not fulfil it
        ├── DownloadError    a data set is not on this machine and could not be fetched
        ├── StorageError     a disk is full or may not be written
        └── TrainingError    training cannot go on, as when a loss is no longer finite
            └── GuardStop    the guard found a reason to stop, and was asked to

A message is one line: what was expected, what came, what to do.
"""

import difflib
from collections.abc import Iterable


class GanvasError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UserError(GanvasError):
    """What was asked for or handed in cannot be used."""

    exit_code = 2


class DataError(UserError):
    """A data set, archive or picture is not what it should be."""


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


class MachineError(GanvasError):
    """The request was right, but the machine could not fulfil it."""


class DownloadError(MachineError):
    """A data set is not on this machine and could not be fetched."""


class StorageError(MachineError):
    """A disk is full, or a place may not be written."""


class TrainingError(MachineError):
    """Training cannot go on, as when a loss is no longer finite."""


class GuardStop(TrainingError):  # noqa: N818 - it is no error of the machine, and reads as it is caught
    """The guard found a reason to stop the run, and was asked to."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Words for an error line: the known names nearest to `word`, or all of them.

    >>> nearest("tutorial-dcgna", ["mlp", "tutorial-dcgan"])
    "did you mean 'tutorial-dcgan'?"
    """
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(map(printable, names[:30]))
    return f"known: {shown}" + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def printable(name: str) -> str:
    """A name from outside as one line shows it: control characters are spelled."""
    return name if name.isprintable() else repr(name)[1:-1]

"""What ganvas knows by name, built in or added from outside: one mechanism for every kind of extension.

    from ganvas import register

    @register.objective("my_loss")
    def my_loss(real_logits, fake_logits): ...

A plugin is a Python file or module that registers things when it is imported: `--plugin FILE` on the command
line, an import in Python. An installed package can announce one as an entry point of the group
`ganvas.plugins`; it is imported when a name is asked for that nothing else has registered, and before metrics
are computed or names are listed.

Nothing here imports torch.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from ganvas.errors import GanvasError, UserError, did_you_mean

T = TypeVar("T")

ENTRY_POINTS = "ganvas.plugins"


class Registry(Mapping[str, T], Generic[T]):
    """Values of one kind by name, in the order in which they were registered.

    Args:
        kind: what they are, for error lines, as "objective".
        error: raised for a name that is not known.
    """

    def __init__(self, kind: str, error: type[UserError] = UserError) -> None:
        self.kind, self._error = kind, error
        self._values: dict[str, T] = {}

    def register(self, name: str, value: T) -> T:
        """Make `value` known as `name`; a second registration under the same name replaces the first.

        Raises:
            UserError: an empty name, or one with spaces or control characters.
        """
        if not name or not name.isprintable() or " " in name:
            raise UserError(f"{self.kind} {name!r}: expected a name without spaces, as 'my_{self.kind}'")
        self._values[name] = value
        return value

    def remove(self, name: str) -> None:
        """Forget `name`, if it is known."""
        self._values.pop(name, None)

    def find(self, name: str) -> T:
        """The value called `name`.

        Raises:
            UserError: no such name (of the class given to the constructor); the line names the nearest.
        """
        if name not in self._values:
            load_entry_points()
        if name not in self._values:
            raise self._error(f"unknown {self.kind} {name!r}; {did_you_mean(name, self._values)}")
        return self._values[name]

    def __getitem__(self, name: str) -> T:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@functools.cache
def load_entry_points() -> None:
    """Import the plugins that installed packages announce; once a process.

    Raises:
        UserError: a plugin cannot be imported.
    """
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except GanvasError:
            raise
        except Exception as error:  # somebody else's code may fail in any way
            text = " ".join(str(error).split())
            raise UserError(
                f"plugin {point.name} ({point.value}) failed: {type(error).__name__}: {text}"
            ) from error


def load_plugin(name: str) -> None:
    """Import a plugin, a .py file or a module, for what it registers.

    Raises:
        UserError: no such file or module, or its own code fails.
    """
    try:
        import_code(name if name.endswith(".py") else name.partition(":")[0])
    except FileNotFoundError:
        raise UserError(f"plugin {name}: expected a .py file or a module, and there is none") from None
    except GanvasError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code may fail in any way
        text = " ".join(str(error).split())
        raise UserError(f"plugin {name} failed: {type(error).__name__}: {text}") from error


def import_code(name: str) -> ModuleType:
    """Import a .py file or a module by its name; the working directory is searched last.

    Raises:
        Exception: whatever its own code raises; FileNotFoundError where there is no such file.
    """
    path = Path(name).expanduser()
    if path.suffix != ".py":
        here = str(Path.cwd())
        if here not in sys.path:  # a console script does not search the working directory
            sys.path.append(here)
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"ganvas_plugin_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decorator(
    registry: Registry[Any], name: str, wrap: Callable[[Any], Any] | None = None
) -> Callable[[T], T]:
    """A decorator that registers what it decorates (through `wrap`, if given) and returns it unchanged."""

    def register(value: T) -> T:
        registry.register(name, value if wrap is None else wrap(value))
        return value

    return register

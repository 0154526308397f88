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

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from ganvas.errors import GanvasError, UserError, did_you_mean, shorten

T = TypeVar("T")

ENTRY_POINTS = "ganvas.plugins"
_MAX_CODE_BYTES = 2**24


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
    from importlib import metadata  # 14 ms, which a command that needs no registry does not wait for

    for point in metadata.entry_points(group=ENTRY_POINTS):
        _plugins.add(point.value.partition(":")[0].partition(".")[0])
        with foreign_code(f"plugin {point.name} ({point.value})"):
            point.load()


def load_plugin(name: str) -> None:
    """Import a plugin, a .py file or a module, for what it registers.

    Raises:
        UserError: no such file or module, or its own code fails.
    """
    if name.endswith(".py") and not Path(name).expanduser().is_file():
        raise UserError(f"plugin {shorten(name, 200)}: expected a .py file or a module, and there is none")
    with foreign_code(f"plugin {shorten(name, 200)}"):
        import_code(name if name.endswith(".py") else name.partition(":")[0])


@contextlib.contextmanager
def foreign_code(what: str, error: type[UserError] = UserError) -> Iterator[None]:
    """Run code within that is not ganvas's: what it raises becomes one line, what it prints goes to stderr.

    Not even `SystemExit` passes, which would end ganvas without a word; only ganvas's own errors, and
    `KeyboardInterrupt`, which is the user's. `sys.stdout` and `sys.stderr` are put back.

    Args:
        what: the code, as the line names it.
        error: the class of the line.

    Raises:
        UserError: the code raised something; of the class given.
    """
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout = stderr
    try:
        yield
    except (GanvasError, KeyboardInterrupt):
        raise
    except BaseException as raised:  # somebody else's code may raise anything
        raise error(f"{what} failed: {describe_exception(raised)}") from raised
    finally:
        sys.stdout, sys.stderr = stdout, stderr


def describe_exception(error: BaseException) -> str:
    """The type and the message of an exception of somebody else's code, on one line of bounded length."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its own __str__ may fail, too
        text = "its message cannot be read"
    name = shorten(type(error).__name__)
    return f"{name}: {shorten(text, 300)}" if text else name


@contextlib.contextmanager
def foreign_errors() -> Iterator[None]:
    """Turn what somebody else's code raises within (a registered function, a network) into one line.

    Everything else passes unchanged, `KeyboardInterrupt` and memory that is full too; with GANVAS_DEBUG=1
    everything does.

    Raises:
        UserError: the line says in which file and line of that code, and what it raised.
    """
    try:
        yield
    except (GanvasError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # even SystemExit, which would end training without a word
        origin = foreign_origin(error)
        if origin is None or os.environ.get("GANVAS_DEBUG"):
            raise
        raise UserError(f"{origin}; GANVAS_DEBUG=1 shows the traceback") from error


def foreign_origin(error: BaseException) -> str | None:
    """Where in somebody else's code an exception comes from, and what it is, on one line.

    None where no such code took part: the exception is ganvas's own. What counts is code outside of ganvas,
    Python and the installed packages, and inside of those what was loaded as a plugin.
    """
    pending, visited = [error], set()
    while pending:
        current = pending.pop(0)
        visited.add(id(current))
        frames = [
            (frame.f_code, line)
            for frame, line in traceback.walk_tb(current.__traceback__)
            if _is_foreign(frame.f_code.co_filename, str(frame.f_globals.get("__name__")))
        ]
        if frames:
            code, line = frames[-1]
            file, function = shorten(Path(code.co_filename).name), shorten(code.co_name)
            return f"{file}, line {line}, in {function}: {describe_exception(current)}"
        causes = (current.__cause__, current.__context__)
        pending += [cause for cause in causes if cause is not None and id(cause) not in visited]
    return None


_OWN_FOLDERS = tuple(
    str(Path(folder).resolve()) + os.sep
    for folder in (str(Path(__file__).parent), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())
)
_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))
_plugins: set[str] = set()
"""Top-level names of the modules that were loaded as plugins."""


def _is_foreign(filename: str, module: str) -> bool:
    if module.partition(".")[0] in _plugins:
        return True
    installed = filename.startswith(_OWN_FOLDERS) or any(folder in filename for folder in _INSTALLED)
    return not installed and not filename.startswith("<")


def import_code(name: str) -> ModuleType:
    """Import a .py file or a module by its name; the working directory is searched last.

    Raises:
        BaseException: whatever its own code raises; see `foreign_code`.
    """
    path = Path(name).expanduser()
    if path.suffix != ".py":
        here = str(Path.cwd())
        if here not in sys.path:  # a console script does not search the working directory
            sys.path.append(here)
        _plugins.update({name.partition(".")[0]} - {"ganvas"})
        return importlib.import_module(name)
    if path.stat().st_size > _MAX_CODE_BYTES:
        raise UserError(f"{path}: expected a Python file of at most {_MAX_CODE_BYTES:,} bytes")
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

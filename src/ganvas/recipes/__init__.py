"""The recipes that ganvas knows by name, and the way to one of the user's own.

A recipe of one's own is a JSON file (as `ganvas recipes show NAME` prints), a Python file that sets
`recipe`, or an importable module that does (`package.module`, or `package.module:name`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from ganvas.errors import RecipeError, nearest
from ganvas.recipe import Recipe, first_finding, read_recipe

CLASSIC = ("tutorial-dcgan", "fashion-dcgan", "keras-cnn", "mlp", "tf1-dcgan")
NAMES = ("modern", *CLASSIC)

__all__ = ["CLASSIC", "NAMES", "find", "names"]


def names() -> tuple[str, ...]:
    """The names that `find` knows, in the order in which they are listed."""
    return NAMES


def find(name: str | Path) -> Recipe:
    """Return the recipe of that name, of that file (.json, .py) or of that module.

    Raises:
        RecipeError: no such recipe (with the nearest name), or what was found is none.
    """
    text = str(name)
    if text in NAMES:
        module = importlib.import_module(f"ganvas.recipes.{text.replace('-', '_')}")
        recipe = module.recipe
        assert isinstance(recipe, Recipe)
        return recipe
    path = Path(text).expanduser()
    if path.suffix == ".json":
        return _from_json(path)
    if path.suffix == ".py":
        return _from_file(path)
    if "." in text or ":" in text or Path(f"{text}.py").is_file():
        return _from_module(text)
    raise RecipeError(
        f"unknown recipe {text!r}; {nearest(text, NAMES)} ('ganvas recipes' lists them; a recipe of "
        f"your own is a .json or .py file or an importable module)"
    )


def _from_json(path: Path) -> Recipe:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not JSON ({error}); 'ganvas recipes show mlp' shows one") from None
    return read_recipe(values)


def _from_file(path: Path) -> Recipe:
    if not path.is_file():
        raise RecipeError(f"no recipe file {path}; 'ganvas recipes' lists the known names")
    spec = importlib.util.spec_from_file_location(f"ganvas_recipe_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code may fail in any way
        raise RecipeError(f"recipe file {path} failed: {_in_one_line(error)}") from None
    return _expect_recipe(getattr(module, "recipe", None), f"{path} to set `recipe`")


def _from_module(text: str) -> Recipe:
    name, _, attribute = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a program started by its name does not look where it stands
        sys.path.append(here)
    try:
        module = importlib.import_module(name)
    except (
        Exception,
        SystemExit,
    ) as error:  # no such module, no module's name ("./x"), or its own code fails
        reason = _in_one_line(error)
        raise RecipeError(f"cannot import recipe {text!r}: {reason}; {nearest(text, NAMES)}") from None
    attribute = attribute or "recipe"
    return _expect_recipe(getattr(module, attribute, None), f"module {name} to set `{attribute}`")


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return first_finding(error)
    text = " ".join(str(error).split())
    return text if isinstance(error, ImportError | RecipeError) else f"{type(error).__name__}: {text}"


def _expect_recipe(value: object, where: str) -> Recipe:
    if not isinstance(value, Recipe):
        raise RecipeError(f"expected {where} to a ganvas Recipe, found {type(value).__name__}")
    return value

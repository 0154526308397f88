"""The recipes that ganvas knows by name, and the way to one of the user's own.

A recipe of one's own is a JSON file (as `ganvas recipes show NAME` prints), a Python file that sets
`recipe`, or an importable module that does (`package.module`, or `package.module:name`).
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ganvas.errors import RecipeError, did_you_mean, shorten
from ganvas.recipes.schema import Recipe, format_validation_error, parse_recipe
from ganvas.registry import Registry, foreign_code, foreign_origin, import_code, load_entry_points
from ganvas.utils.io import read_regular

PRESETS = ("tutorial-dcgan", "fashion-dcgan", "keras-cnn", "mlp", "tf1-dcgan")
RECIPES: Registry[Recipe] = Registry("recipe", RecipeError)
"""Recipes that plugins register."""

_MAX_BYTES = 2**20  # of a recipe file

__all__ = ["PRESETS", "RECIPES", "load_recipe", "recipe_names"]


def recipe_names() -> tuple[str, ...]:
    """The names that `load_recipe` knows, in the order in which they are listed.

    Raises:
        UserError: the plugin of an installed package cannot be imported.
    """
    load_entry_points()
    return ("auto", *PRESETS, *RECIPES)


def load_recipe(name: str | Path) -> Recipe:
    """Return the recipe of that name, of that file (.json, .py) or of that module.

    Raises:
        RecipeError: no such recipe (the line names the nearest), or what is there is none.
    """
    text = str(name)
    if text in RECIPES:
        return RECIPES[text]
    if text == "auto" or text in PRESETS:
        module = "auto" if text == "auto" else f"presets.{text.replace('-', '_')}"
        recipe = importlib.import_module(f"ganvas.recipes.{module}").recipe
        assert isinstance(recipe, Recipe)
        return recipe
    path = Path(text).expanduser()
    if path.suffix == ".json":
        return _from_json(path)
    if path.suffix == ".py":
        return _from_file(path)
    if "." in text or ":" in text or Path(f"{text}.py").is_file():
        return _from_module(text)
    load_entry_points()
    if text in RECIPES:
        return RECIPES[text]
    raise RecipeError(
        f"unknown recipe {shorten(text)!r}; {did_you_mean(text, recipe_names())} ('ganvas recipes' lists "
        f"them; a recipe of your own is a .json or .py file or an importable module)"
    )


def _from_json(path: Path) -> Recipe:
    try:
        values = json.loads(read_regular(path, limit=_MAX_BYTES))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(
            f"{path} is not JSON ({shorten(str(error))}); 'ganvas recipes show mlp' shows one"
        ) from None
    return parse_recipe(values)


def _from_file(path: Path) -> Recipe:
    if not path.is_file():
        raise RecipeError(f"no file {path}; expected a .py file or an importable module")
    with foreign_code(str(path), RecipeError), _validation_errors(str(path)):
        module = import_code(str(path))
    return _expect_recipe(getattr(module, "recipe", None), f"{path} to set `recipe`")


def _from_module(text: str) -> Recipe:
    name, _, attribute = text.partition(":")
    attribute = attribute or "recipe"
    try:
        with foreign_code(f"module {shorten(name)}", RecipeError), _validation_errors(f"module {name}"):
            module = import_code(name)
    except RecipeError as error:
        if error.__cause__ is None or foreign_origin(error.__cause__) is not None:
            raise
        raise RecipeError(  # no such module, or no name of one
            f"cannot import {shorten(text)!r}: {error.__cause__}; {did_you_mean(text, recipe_names())}"
        ) from None
    return _expect_recipe(getattr(module, attribute, None), f"module {name} to set `{attribute}`")


@contextlib.contextmanager
def _validation_errors(what: str) -> Iterator[None]:
    """Turn pydantic's report on a recipe that the code within makes into one line."""
    try:
        yield
    except ValidationError as error:
        raise RecipeError(f"{what} failed: {format_validation_error(error)}") from None


def _expect_recipe(value: object, where: str) -> Recipe:
    if not isinstance(value, Recipe):
        raise RecipeError(f"expected {where} to a ganvas Recipe, got {type(value).__name__}")
    return value

"""Changing single values of a recipe by their path, as `--set discriminator.dropout=0` does."""

from __future__ import annotations

import json
from typing import Any

from ganvas.errors import RecipeError, did_you_mean, shorten

_MOST_LETTERS = 200  # of a path


def parse_overrides(words: list[str]) -> dict[str, Any]:
    """Parse `key=value` words; a value is JSON where it can be parsed as JSON, else the word itself.

    >>> parse_overrides(["batch_size=64", "latent.distribution=uniform"])
    {'batch_size': 64, 'latent.distribution': 'uniform'}

    Raises:
        RecipeError: a word without `=` or without a key, or JSON that is nested too deep to be read.
    """
    parsed: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise RecipeError(f"expected key=value, got {shorten(word)!r}; try batch_size=64")
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
        except RecursionError:
            raise RecipeError(
                f"recipe key {shorten(key)!r}: its value is nested too deep; expected a few levels"
            ) from None
    return parsed


def set_by_path(values: dict[str, Any], path: str, value: Any) -> None:
    """Set the entry of nested dictionaries and lists that a dotted `path` leads to, in place.

    Raises:
        RecipeError: a key on the way does not exist; the line names the nearest one.
    """
    if len(path) > _MOST_LETTERS:
        raise RecipeError(f"unknown recipe key {shorten(path)!r}: no key has {len(path):,} letters")
    keys = path.split(".")
    node: Any = values
    for depth, key in enumerate(keys):
        prefix = ".".join(keys[:depth])
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                raise RecipeError(f"unknown recipe key {path!r}: {prefix} has entries 0 to {len(node) - 1}")
            index: str | int = int(key)
        elif node is None:
            raise RecipeError(
                f"{prefix} is not set in this recipe, so {path!r} cannot be: give the whole of it as JSON, "
                f'{prefix}={{"{key}": ...}}'
            )
        elif not isinstance(node, dict):
            raise RecipeError(f"unknown recipe key {path!r}: {prefix} has no keys below it")
        else:
            if key not in node:
                names = [f"{prefix}.{name}" if prefix else name for name in node]
                raise RecipeError(f"unknown recipe key {path!r}; {did_you_mean(path, names)}")
            index = key
        if depth == len(keys) - 1:
            node[index] = value
        else:
            node = node[index]

"""What the page's form for a new run offers: recipes, their keys, data sets. Nothing here imports torch."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union

from pydantic import BaseModel

from ganvas import recipes
from ganvas.data.published_sets import BUNDLED, PUBLISHED
from ganvas.errors import printable
from ganvas.recipes.schema import Recipe

JSON = dict[str, Any]

BUDGETS = ("1m", "5m", "20m", "1h")
_LEFT_OUT = ("name", "summary", "source", "data", "split", "length", "classes", "condition_on")  # asked apart
_MAX_FOLDERS = 50


def recipe_list() -> JSON:
    """The recipes by name, and the budgets of the automatic one."""
    entries = {name: _recipe_entry(recipes.load_recipe(name)) for name in recipes.recipe_names()}
    return {
        "recipes": [entries[n] for n in entries if n != "auto"],
        "automatic": entries["auto"],
        "budgets": BUDGETS,
    }


def _recipe_entry(recipe: Recipe) -> JSON:
    return {
        "name": recipe.name,
        "title": recipe.summary,
        "source": recipe.source,
        "data": recipe.data,
        "length": str(recipe.length),
        "pixels": recipe.image_size,
        "batch_size": recipe.batch_size,
    }


def recipe_keys(recipe: Recipe) -> list[JSON]:
    """The keys of a recipe that hold one value, as form fields: path, kind, default, choices, description."""
    return list(_keys(recipe, ""))


def _keys(model: BaseModel, prefix: str) -> Iterator[JSON]:
    for name, info in type(model).model_fields.items():
        path, value = f"{prefix}{name}", getattr(model, name)
        if (not prefix and name in _LEFT_OUT) or name == "kind":
            continue
        if isinstance(value, BaseModel):
            yield from _keys(value, f"{path}.")
            continue
        kind, choices, optional = _kind(info.annotation)
        if kind is None:
            continue
        yield {
            "path": path,
            "kind": kind,
            "choices": choices,
            "optional": optional,
            "default": value,
            "description": info.description or "",
        }


def _kind(annotation: Any) -> tuple[str | None, list[Any], bool]:
    """The form field of a type: "number", "integer", "boolean", "choice" or "text"; None for others."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    options = (
        typing.get_args(annotation) if typing.get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    optional = type(None) in options
    plain = [o for o in options if o is not type(None)]
    plain = [typing.get_args(o)[0] if typing.get_origin(o) is typing.Annotated else o for o in plain]
    if len(plain) == 1 and typing.get_origin(plain[0]) is Literal:
        return "choice", list(typing.get_args(plain[0])), optional
    if bool in plain:
        return "boolean", [], optional
    if plain == [int]:
        return "integer", [], optional
    if plain and all(o in (int, float) for o in plain):
        return "number", [], optional
    return ("text" if str in plain else None), [], optional


def data_sets(root: Path) -> JSON:
    """The known data sets, and folders, archives and arrays beside the runs that may be others."""
    sets = [{"name": BUNDLED, "title": "5,000 of MNIST's digits, bundled with ganvas", "classes": 10}]
    sets += [{"name": s.name, "title": s.title, "classes": len(s.class_names)} for s in PUBLISHED.values()]
    places: list[JSON] = []
    for path in sorted(root.parent.iterdir(), key=lambda p: p.name):
        if len(places) >= _MAX_FOLDERS or path.name.startswith(".") or path == root:
            continue
        if path.suffix.lower() in (".zip", ".npz", ".npy") or _has_images(path):
            places.append({"path": str(path), "name": printable(path.name)})
    return {"sets": sets, "folders": places}


def _has_images(folder: Path) -> bool:
    """Whether a folder, or the first folder in it, begins with images."""
    try:
        for level in range(2):
            entries = sorted(folder.iterdir())[:20] if folder.is_dir() else []
            if any(p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif") for p in entries):
                return True
            inner = [p for p in entries if p.is_dir()]
            if level or not inner:
                return False
            folder = inner[0]
    except OSError:
        return False
    return False

"""Hostile values for every key of a recipe, in files and overrides: refused in one short line, or usable."""

import json

import pytest

from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.recipes.overrides import parse_overrides
from ganvas.recipes.schema import parse_recipe

DEEP_LISTS = "[" * 100_000 + "]" * 100_000
DEEP_OBJECTS = '{"a": ' * 100_000 + "1" + "}" * 100_000
VALUES = {
    "deep list": DEEP_LISTS,
    "deep objects": DEEP_OBJECTS,
    "deep, but read": "[" * 900 + "]" * 900,
    "a million entries": "[" + ",".join(["1"] * 1_000_000) + "]",
    "a million layers": "[" + ",".join(['{"channels": 1, "kernel": 1}'] * 100_000) + "]",
    "a million keys": "{" + ",".join(f'"k{i}": 1' for i in range(100_000)) + "}",
    "lone surrogate": r'"\ud800"',
    "lone surrogate as a key": r'{"\ud800": 1}',
    "escape sequence": r'"\u001b]52;c;ZXZpbA==\u0007\nganvas: all is well"',
    "escape sequence as a key": r'{"\u001b[2J\nganvas: all is well": 1}',
    "a million letters": json.dumps("x" * 1_000_000),
    "1e400": "1e400",
    "-1e400": "-1e400",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "2^63": str(2**63),
    "-2^63": str(-(2**63)),
    "2^64": str(2**64),
    "10^400": "1" + "0" * 400,
    "10^5000": "1" + "0" * 5000,
    "10^400 as a float": "1" + "0" * 400 + ".5",
    "denormal": "5e-324",
    "-0.0": "-0.0",
    "text of digits": '"' + "9" * 5000 + '"',
    "a long duration": '"' + "9" * 5000 + ' steps"',
    "2^63 epochs": f'"{2**63} epochs"',
    "null": "null",
    "true": "true",
    "empty text": '""',
    "empty list": "[]",
    "empty object": "{}",
    "zero byte": r'"\u0000"',
    "arabic digits": '"٣"',
    "unclosed": '{"a": ',
}
BASE = recipes.load_recipe("tutorial-dcgan").with_overrides(
    {
        "penalties": [{"kind": "r1", "weight": 1, "final_weight": 0.1}],
        "augment": {"target": 0.6},
        "ema": 0.9,
        "accuracy_probe": {"interval": 5},
        "generator.hidden": [4],
        "generator_optimizer.schedule": {"final": 0.1},
        "keep_interval": 10,
        "generator_interval": 10,
    }
)
RESIDUAL = BASE.with_overrides(
    {
        "generator": {"kind": "resnet", "widths": [8, 4]},
        "discriminator": {"kind": "resnet", "widths": [4, 8]},
    }
)


def paths(values, prefix=""):
    """The paths of all keys and list entries of a recipe, inner ones too."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, dict | list):
            yield from paths(value, f"{path}.")


PATHS = {path: recipe for recipe in (RESIDUAL, BASE) for path in paths(json.loads(recipe.to_json()))}


def accepted(call, *arguments):
    """The recipe that a call returns, or None where it is refused in one short line that can be printed."""
    try:
        recipe = call(*arguments)
    except RecipeError as error:
        line = str(error)
        assert line.isprintable()
        assert 0 < len(line) <= 500
        assert line.encode()
        return None
    assert parse_recipe(json.loads(recipe.to_json())) == recipe
    return recipe


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES)
def test_a_hostile_value_of_any_key_is_refused_in_one_line_or_goes_through_json_unchanged(text):
    assert len(PATHS) > 100
    if text in (DEEP_LISTS, DEEP_OBJECTS):
        with pytest.raises(RecipeError, match="'ema': its value is nested too deep"):
            parse_overrides([f"ema={text}"])
        return
    value = parse_overrides([f"ema={text}"])["ema"]
    for path, recipe in PATHS.items():
        accepted(recipe.with_overrides, {path: value})


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES)
def test_a_recipe_file_that_is_a_hostile_value_or_has_one_in_it_is_refused_in_one_line(text, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    assert accepted(recipes.load_recipe, file) is None
    for key in ("name", "length", "generator", "penalties", "batch_size", "unknown"):
        values = json.loads(BASE.to_json()) | {key: "HERE"}
        file.write_text(json.dumps(values).replace('"HERE"', text))
        accepted(recipes.load_recipe, file)


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "a" * 100_000, "generator." * 20_000, "generator.layers." + "9" * 5000, "penalties.-1",
     "penalties.٣", "generator.layers.0.0", "\x1b[2J\n", "\ud800", "a\0b", "=", "__class__", "model_fields"],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_refused_in_one_line(path):
    assert accepted(BASE.with_overrides, {path: 1}) is None

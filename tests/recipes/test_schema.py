"""`Recipe`: round trips, and refusals of one line that name the key."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.networks import MLPGenerator
from ganvas.recipes.durations import to_steps
from ganvas.recipes.overrides import parse_overrides
from ganvas.recipes.schema import Recipe, parse_recipe

TUTORIAL = recipes.load_recipe("tutorial-dcgan")


def values():
    return json.loads(TUTORIAL.to_json())


def refusal(call):
    with pytest.raises(RecipeError) as caught:
        call()
    line = str(caught.value)
    assert line
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_a_recipe_goes_through_json_and_back_unchanged(name):
    recipe = recipes.load_recipe(name)
    back = parse_recipe(json.loads(recipe.to_json()))
    assert back == recipe
    assert type(back.generator) is type(recipe.generator)
    assert back.to_json() == recipe.to_json()


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_a_changed_recipe_differs_in_that_key_alone(name):
    recipe = recipes.load_recipe(name)
    other = recipe.with_overrides({"generator_optimizer.learning_rate": 0.5})
    assert other.generator_optimizer.learning_rate == 0.5
    back = {"generator_optimizer.learning_rate": recipe.generator_optimizer.learning_rate}
    assert other.with_overrides(back) == recipe
    assert recipe.with_overrides({}) == recipe


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("batch_size", 64, lambda r: r.batch_size),
        ("discriminator.dropout", 0.0, lambda r: r.discriminator.dropout),
        ("generator.layers.1.channels", 7, lambda r: r.generator.layers[1].channels),
        ("generator.batch_norm.momentum", 0.5, lambda r: r.generator.batch_norm.momentum),
        ("generator.batch_norm", None, lambda r: r.generator.batch_norm),
        ("generator.hidden", (5, 6), lambda r: r.generator.hidden),
        ("pixel_range", (0, 1), lambda r: r.pixel_range),
        ("ema", 0.999, lambda r: r.ema),
        ("update.rule", "alternating", lambda r: r.update.rule),
        ("grid.latents", "new", lambda r: r.grid.latents),
        ("tensorboard", True, lambda r: r.tensorboard),
    ],
)
def test_a_value_is_reached_by_its_path(path, value, read):
    given = list(value) if isinstance(value, tuple) else value
    assert read(TUTORIAL.with_overrides({path: given})) == value


def test_a_whole_part_can_be_given_at_once():
    recipe = TUTORIAL.with_overrides({"generator": {"kind": "mlp", "hidden": [8]}})
    assert recipe.generator == MLPGenerator(hidden=(8,))
    assert TUTORIAL.with_overrides({"accuracy_probe": {"interval": 5}}).accuracy_probe.interval == "5 steps"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("batchsize", "did you mean 'batch_size'?"),
        ("discriminator.droput", "did you mean 'discriminator.dropout'?"),
        ("generator.batch_norm.momentu", "did you mean 'generator.batch_norm.momentum'?"),
        ("grid.collumns", "did you mean 'grid.columns'?"),
        ("zzz", "known: name, summary"),
        ("generator.layers.5.channels", "generator.layers has entries 0 to 1"),
        ("generator.layers.x", "generator.layers has entries 0 to 1"),
        ("batch_size.x", "batch_size has no keys below it"),
        ("accuracy_probe.images", "accuracy_probe is not set in this recipe"),
        ("", "known: name"),
    ],
)
def test_a_path_that_does_not_exist_is_refused_with_what_does(path, hint):
    line = refusal(lambda: TUTORIAL.with_overrides({path: 1}))
    assert hint in line
    assert repr(path) in line


@pytest.mark.parametrize(
    ("parent", "key", "line"),
    [
        ([], "batchsize", "unknown recipe key 'batchsize'; did you mean 'batch_size'?"),
        (["grid"], "rwos", "unknown recipe key 'grid.rwos'; did you mean 'grid.rows'?"),
        (
            ["generator"],
            "negative_slop",
            "unknown recipe key 'generator.negative_slop'; did you mean 'generator.negative_slope'?",
        ),
        (
            ["discriminator", "layers", 1],
            "kernels",
            "unknown recipe key 'discriminator.layers.1.kernels'; "
            "did you mean 'discriminator.layers.1.kernel'?",
        ),
        (
            ["generator", "batch_norm"],
            "momentums",
            "unknown recipe key 'generator.batch_norm.momentums'; "
            "did you mean 'generator.batch_norm.momentum'?",
        ),
    ],
)
def test_an_unknown_key_in_json_is_refused_with_the_nearest_name(parent, key, line):
    written = values()
    inner = written
    for step in parent:
        inner = inner[step]
    inner[key] = 1
    assert refusal(lambda: parse_recipe(written)) == line


def test_a_misspelled_key_is_named_before_the_one_that_is_thereby_missing():
    written = values()
    written["lenght"] = written.pop("length")
    line = refusal(lambda: parse_recipe(written))
    assert line == "unknown recipe key 'lenght'; did you mean 'length'?"


def test_a_missing_key_is_named():
    written = values()
    del written["length"]
    assert refusal(lambda: parse_recipe(written)) == "recipe key 'length' is missing"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("batch_size", 0),
        ("batch_size", -3),
        ("batch_size", 2.5),
        ("batch_size", "many"),
        ("batch_size", True),
        ("batch_size", None),
        ("batch_size", {"a": 1}),
        ("name", ""),
        ("name", 5),
        ("split", "training"),
        ("image_size", 7),
        ("image_size", 257),
        ("pixel_range", [0, 255]),
        ("pixel_range", [0]),
        ("pixel_range", [False, True]),
        ("latent.size", 0),
        ("latent.distribution", "cauchy"),
        ("generator.negative_slope", -0.1),
        ("generator.layers.0.kernel", 0),
        ("generator.hidden", [True]),
        ("discriminator.dropout", 1),
        ("discriminator.dropout", float("nan")),
        ("generator_optimizer.learning_rate", 0),
        ("generator_optimizer.learning_rate", -1e-4),
        ("generator_optimizer.learning_rate", float("inf")),
        ("discriminator_optimizer.beta1", 1),
        ("discriminator_optimizer.beta2", -0.1),
        ("discriminator_optimizer.epsilon", 0),
        ("update.reuse_latents", "maybe"),
        ("data_order.order", "sorted"),
        ("data_order.drop_last", "half"),
        ("ema", 1),
        ("ema", 0),
        ("length", 0),
        ("keep_last", 0),
        ("grid.rows", 0),
        ("grid.interval", "sometimes"),
        ("animation", "some"),
        ("tensorboard", 7),
    ],
)
def test_a_value_of_the_wrong_type_or_sign_is_refused_by_its_key(path, value):
    assert f"'{path}" in refusal(lambda: TUTORIAL.with_overrides({path: value}))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("generator.kind", "dcgna", "did you mean 'dcgan'?"),
        ("generator.kind", 3, "unknown generator kind 3"),
        ("generator", "mlp", "'generator'"),
        ("discriminator", None, "'discriminator'"),
        ("batch_size", {(1, 2): 3}, "'batch_size'"),
        ("name", "x" * 500 + "\n" + 5 * "y", "'name'"),
        ("name", "../../elsewhere", "'name'"),
        ("generator.kind", "mlp", "generator={"),
    ],
)
def test_odd_values_are_refused_in_a_short_line(path, value, words):
    line = refusal(lambda: TUTORIAL.with_overrides({path: value}))
    assert words in line
    assert len(line) < 250


@pytest.mark.parametrize("written", [None, [], "mlp", 3, {}])
def test_what_is_no_recipe_is_refused(written):
    refusal(lambda: parse_recipe(written))


def test_a_mixed_batch_needs_two_halves():
    line = refusal(lambda: TUTORIAL.with_overrides({"update.rule": "alternating_joint", "batch_size": 1}))
    assert "batch_size" in line


@pytest.mark.parametrize(("rule", "real"), [("alternating_joint", 128), ("simultaneous", 256)])
def test_a_mixed_batch_is_half_real(rule, real):
    assert TUTORIAL.with_overrides({"update.rule": rule}).real_batch_size == real


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("15 epochs", "15 epochs"),
        ("1 epoch", "1 epoch"),
        ("200 steps", "200 steps"),
        (5, "5 steps"),
        (1, "1 step"),
        ("5", "5 steps"),
    ],
)
def test_a_span_is_words_or_a_number_of_steps(given, kept):
    assert TUTORIAL.with_overrides({"length": given}).length == kept


@pytest.mark.parametrize(
    "given",
    [
        *[0, -1, 2.5, True, None, [5], {"epochs": 5}],
        *["", "0", "0 epochs", "-5 epochs", "x", "epochs", "5 years", "1.5 epochs"],
        *["5 epochs\n", "5  epochs", " 5 steps"],
    ],
)
def test_what_is_no_span_is_refused_with_an_example(given):
    line = refusal(lambda: TUTORIAL.with_overrides({"length": given}))
    assert "'length'" in line
    if given is not None and not isinstance(given, bool):
        assert "'15 epochs'" in line


@pytest.mark.parametrize(
    ("span", "steps"), [("15 epochs", 3525), ("1 epoch", 235), ("200 steps", 200), ("1 step", 1)]
)
def test_epochs_become_steps(span, steps):
    assert to_steps(span, 235) == steps


def test_settings_are_read_as_json_where_they_can_be():
    words = ["batch_size=64", "latent.distribution=uniform", "ema=null", "generator.hidden=[1, 2]", "a=b=c"]
    assert parse_overrides(words) == {
        "batch_size": 64,
        "latent.distribution": "uniform",
        "ema": None,
        "generator.hidden": [1, 2],
        "a": "b=c",
    }


@pytest.mark.parametrize("word", ["batch_size", "=5", ""])
def test_a_setting_without_key_or_value_is_refused(word):
    assert "key=value" in refusal(lambda: parse_overrides([word]))


def test_a_recipe_is_frozen_and_change_leaves_it_alone():
    before = TUTORIAL.to_json()
    TUTORIAL.with_overrides({"generator.layers.0.channels": 3, "batch_size": 2})
    assert TUTORIAL.to_json() == before
    with pytest.raises(ValidationError):
        TUTORIAL.batch_size = 3


def test_a_players_spec_is_not_taken_for_the_others():
    with pytest.raises(ValidationError):
        Recipe.model_validate(TUTORIAL.model_dump() | {"generator": TUTORIAL.discriminator})


def test_the_page_of_recipe_keys_says_of_each_its_type_default_and_meaning():
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 120
    assert [row for row in rows if len(row) != 4 or not all(cell.strip(" |") for cell in row)] == []

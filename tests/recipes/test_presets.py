"""Every number of the classic recipes' table, and recipes of one's own."""

import json
import sys

import pytest
import torch
from torch import nn

from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.networks.layers import Dropout, KerasBatchNorm
from ganvas.recipes.durations import to_steps
from ganvas.training import objectives

SHAPE = (1, 28, 28)


def words(network):
    """The network as the table writes it: `convT k5 s2 128`, `dense 1 no bias`, `BN 0.99 0.001` ..."""
    out = []
    for layer in network:
        bias = "" if getattr(layer, "bias", None) is not None else " no bias"
        if isinstance(layer, nn.Linear):
            out.append(f"dense {layer.out_features}{bias}")
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "convT" if isinstance(layer, nn.ConvTranspose2d) else "conv"
            (k, k2), (s, s2) = layer.kernel_size, layer.stride
            assert (k, s) == (k2, s2)
            out.append(f"{kind} k{k} s{s} {layer.out_channels}{bias}")
        elif isinstance(layer, KerasBatchNorm):
            out.append(f"BN {layer.momentum} {layer.epsilon}")
        elif isinstance(layer, nn.LeakyReLU):
            out.append(f"slope {layer.negative_slope}")
        elif isinstance(layer, Dropout):
            out.append(f"dropout {layer.rate}")
        else:
            out.append(type(layer).__name__)
    return ", ".join(out)


TUTORIAL_G = (
    "dense 12544 no bias, BN 0.99 0.001, slope 0.3, Reshape, "
    "convT k5 s1 128 no bias, BN 0.99 0.001, slope 0.3, "
    "convT k5 s2 64 no bias, BN 0.99 0.001, slope 0.3, "
    "convT k5 s2 1 no bias, Tanh"
)
TUTORIAL_D = "conv k5 s2 64, slope 0.3, dropout 0.3, conv k5 s2 128, slope 0.3, dropout 0.3, Flatten, dense 1"
NETWORKS = {
    "tutorial-dcgan": (TUTORIAL_G, TUTORIAL_D),
    "fashion-dcgan": (TUTORIAL_G, TUTORIAL_D),
    "keras-cnn": (
        "dense 6272, slope 0.2, Reshape, convT k4 s2 128, slope 0.2, convT k4 s2 128, slope 0.2, "
        "conv k7 s1 1, Sigmoid",
        "conv k3 s2 64, slope 0.2, dropout 0.4, conv k3 s2 64, slope 0.2, dropout 0.4, Flatten, dense 1",
    ),
    "mlp": (
        "dense 256, slope 0.2, BN 0.8 0.001, dense 512, slope 0.2, BN 0.8 0.001, "
        "dense 1024, slope 0.2, BN 0.8 0.001, dense 784, Tanh, Reshape",
        "Flatten, dense 512, slope 0.2, dense 256, slope 0.2, dense 1",
    ),
    "tf1-dcgan": (
        "dense 1024, BN 0.9 1e-05, ReLU, dense 6272, BN 0.9 1e-05, ReLU, Reshape, "
        "convT k4 s2 64, BN 0.9 1e-05, ReLU, convT k4 s2 1, Sigmoid",
        "conv k4 s2 64, slope 0.2, conv k4 s2 128, BN 0.9 1e-05, slope 0.2, Flatten, "
        "dense 1024, BN 0.9 1e-05, slope 0.2, dense 1",
    ),
}
ADAM_TUTORIAL = (1e-4, 0.9, 0.999, 1e-7)
ADAM_KERAS = (2e-4, 0.5, 0.999, 1e-7)
COLUMNS = {
    "tutorial-dcgan": {
        "data": ("mnist", "train", (-1, 1)),
        "latent": (100, "normal"),
        "batch": (256, 256, "shuffle", False),
        "length": "50 epochs",
        "adam": (ADAM_TUTORIAL, ADAM_TUTORIAL),
        "update": ("simultaneous", "train", False),
        "grid": (4, 4, "1 epoch", "fixed", False),
        "accuracy_probe": None,
        "generator_interval": None,
        "checkpoint_interval": "15 epochs",
        "animation": "all",
        "tensorboard": False,
    },
    "keras-cnn": {
        "data": ("mnist", "train", (0, 1)),
        "latent": (100, "normal"),
        "batch": (256, 128, "with_replacement", True),
        "length": "100 epochs",
        "adam": (ADAM_KERAS, ADAM_KERAS),
        "update": ("alternating_joint", "eval", False),
        "grid": (10, 10, "10 epochs", "new", True),
        "accuracy_probe": (100, "10 epochs"),
        "generator_interval": "10 epochs",
        "animation": "all",
        "tensorboard": False,
    },
    "mlp": {
        "data": ("mnist", "train", (-1, 1)),
        "latent": (100, "normal"),
        "batch": (1024, 1024, "with_replacement", True),
        "length": "10000 steps",
        "adam": (ADAM_KERAS, ADAM_KERAS),
        "update": ("alternating_separate", "eval", False),
        "grid": (5, 5, "1000 steps", "new", False),
        "log_interval": "100 steps",
        "animation": "all",
        "tensorboard": False,
    },
    "tf1-dcgan": {
        "data": ("mnist", "all", (0, 1)),
        "latent": (100, "uniform"),
        "batch": (256, 256, "shuffle_once", True),
        "length": "100 epochs",
        "adam": ((1e-3, 0.5, 0.999, 1e-8), (2e-4, 0.5, 0.999, 1e-8)),
        "update": ("alternating", "train", True),
        "grid": (2, 5, "1 epoch", "fixed", False),
        "log_interval": "1 step",
        "animation": "all",
        "tensorboard": True,
    },
}
COLUMNS["fashion-dcgan"] = COLUMNS["tutorial-dcgan"] | {
    "data": ("fashion-mnist", "train", (-1, 1)),
    "length": "100 epochs",
    "checkpoint_interval": "20 epochs",
    "animation": "subsampled",
}


def adam(spec):
    return spec.learning_rate, spec.beta1, spec.beta2, spec.epsilon


READ = {
    "data": lambda r: (r.data, r.split, r.pixel_range),
    "latent": lambda r: (r.latent.size, r.latent.distribution),
    "batch": lambda r: (r.batch_size, r.real_batch_size, r.data_order.order, r.data_order.drop_last),
    "length": lambda r: r.length,
    "adam": lambda r: (adam(r.generator_optimizer), adam(r.discriminator_optimizer)),
    "update": lambda r: (r.update.rule, r.update.generator_mode, r.update.reuse_latents),
    "grid": lambda r: (r.grid.rows, r.grid.columns, r.grid.interval, r.grid.latents, r.grid.invert),
    "accuracy_probe": lambda r: r.accuracy_probe and (r.accuracy_probe.images, r.accuracy_probe.interval),
    "generator_interval": lambda r: r.generator_interval,
    "log_interval": lambda r: r.log_interval,
    "checkpoint_interval": lambda r: r.checkpoint_interval,
    "animation": lambda r: r.animation,
    "tensorboard": lambda r: r.tensorboard,
}


def test_the_table_covers_every_classic_recipe():
    assert set(COLUMNS) == set(NETWORKS) == set(recipes.PRESETS)


@pytest.mark.parametrize(("name", "row"), [(name, row) for name in COLUMNS for row in COLUMNS[name]])
def test_a_recipe_holds_the_tables_values(name, row):
    assert READ[row](recipes.load_recipe(name)) == COLUMNS[name][row]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipes_networks_are_the_tables_layer_by_layer(name):
    recipe = recipes.load_recipe(name)
    with torch.device("meta"):
        generator = recipe.generator.build(SHAPE, recipe.latent.size, recipe.pixel_range)
        discriminator = recipe.discriminator.build(SHAPE)
    assert (words(generator), words(discriminator)) == NETWORKS[name]


@pytest.mark.parametrize("name", recipes.PRESETS)
def test_a_recipe_is_designed_for_28_pixels_and_known_by_its_own_name(name):
    recipe = recipes.load_recipe(name)
    assert (recipe.name, recipe.image_size, recipe.ema) == (name, 28, None)
    assert recipe.summary
    assert recipe.source
    assert objectives.OBJECTIVES.find(recipe.objective) is objectives.OBJECTIVES["non_saturating"]


@pytest.mark.parametrize("name", recipes.PRESETS)
def test_weights_follow_the_tables_rule(name):
    recipe = recipes.load_recipe(name)
    tf1 = ("truncated_normal", 0.02, "width")
    for spec in (recipe.generator, recipe.discriminator):
        rule = spec.init.rule, spec.init.std, spec.init.linear_bias
        assert rule == (tf1 if name == "tf1-dcgan" else ("glorot_uniform", 0.02, "zero"))


def test_tf1s_generator_learns_five_times_faster():
    recipe = recipes.load_recipe("tf1-dcgan")
    ratio = recipe.generator_optimizer.learning_rate / recipe.discriminator_optimizer.learning_rate
    assert ratio == pytest.approx(5)


@pytest.mark.parametrize("path", ["epochs", "checkpoint"])
def test_a_tutorials_spans_count_its_epochs(path):
    recipe = recipes.load_recipe("tutorial-dcgan")
    span = recipe.length if path == "epochs" else recipe.checkpoint_interval
    assert to_steps(span, 235) == {"epochs": 11750, "checkpoint": 3525}[path]


# Recipes of one's own

CUSTOM = '''
from __future__ import annotations

from typing import Literal

from torch import nn

from ganvas.networks import GeneratorSpec
from ganvas.networks.layers import Reshape
from ganvas.recipes.presets.mlp import recipe as mlp


class Linear{n}(GeneratorSpec):
    """One linear map from z to the pixels."""

    kind: Literal["linear-{n}"] = "linear-{n}"
    gain: float = 1.0

    def build(self, image_shape, latent_size, pixel_range):
        channels, height, width = image_shape
        pixels = nn.Linear(latent_size, channels * height * width)
        return nn.Sequential(pixels, nn.Tanh(), Reshape(*image_shape))


recipe = mlp.model_copy(update={{"name": "linear", "generator": Linear{n}()}})
'''


def refusal(name):
    with pytest.raises(RecipeError) as caught:
        recipes.load_recipe(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_recipe_is_read_from_json(tmp_path):
    path = tmp_path / "own.json"
    own = recipes.load_recipe("mlp").with_overrides({"name": "own", "batch_size": 32})
    path.write_text(own.to_json())
    assert recipes.load_recipe(path) == recipes.load_recipe(str(path)) == own


def test_a_recipe_is_read_from_python_and_its_own_network_kind_works(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(CUSTOM.format(n=1))
    recipe = recipes.load_recipe(path)
    network = recipe.generator.build((1, 9, 8), 7, recipe.pixel_range)
    assert network(torch.zeros(2, 7)).shape == (2, 1, 9, 8)
    changed = recipe.with_overrides({"generator.gain": 3})  # through JSON and back, by its kind
    assert type(changed.generator) is type(recipe.generator)
    assert changed.generator.gain == 3
    with pytest.raises(RecipeError, match=r"did you mean 'generator\.gain'"):
        recipe.with_overrides({"generator.gian": 3})
    assert "linear-1" not in type(recipe.discriminator).kinds  # a generator is no discriminator


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "own_recipes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    yield folder
    for name in [name for name in sys.modules if name.startswith("own_recipes")]:
        del sys.modules[name]


def test_a_recipe_is_read_from_a_module(package):
    (package / "mine.py").write_text(CUSTOM.format(n=2) + "other = mlp\n")
    assert recipes.load_recipe("own_recipes.mine").name == "linear"
    assert recipes.load_recipe("own_recipes.mine:other") == recipes.load_recipe("mlp")
    assert "to set `third`" in refusal("own_recipes.mine:third")


@pytest.mark.parametrize(
    "code", ["raise ValueError('a\\nb')", "this is no Python", "import nowhere_to_be_found"]
)
def test_code_that_fails_is_refused_in_one_line(package, code):
    (package / "bad.py").write_text(code)
    assert "bad" in refusal(package / "bad.py")
    assert "own_recipes.bad" in refusal("own_recipes.bad")


def test_a_wrong_value_in_python_is_refused_by_its_key(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "from ganvas.recipes.schema import Recipe\n"
        "from ganvas.recipes.presets.mlp import recipe as mlp\n"
        "recipe = Recipe(**mlp.model_dump() | {'batch_size': -1})\n"
    )
    assert "'batch_size'" in refusal(path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tutorial-dcgna", "did you mean 'tutorial-dcgan'?"),
        ("tutorial_dcgan", "did you mean 'tutorial-dcgan'?"),
        ("MLP2", "known: auto"),
        ("", "known: auto"),
        ("./mlp", "did you mean 'mlp'?"),
        ("..", "cannot import"),
        (":recipe", "cannot import"),
        ("ganvas.nothing", "cannot import"),
        ("ganvas.errors", "to set `recipe`"),
        ("nowhere/own.json", "cannot read"),
        ("nowhere/own.py", "no file nowhere/own.py"),
    ],
)
def test_an_unknown_recipe_is_refused_with_what_to_do(name, hint):
    assert hint in refusal(name)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"name": "x"}'])
def test_json_that_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "own.json"
    path.write_bytes(content)
    assert refusal(path)


@pytest.mark.parametrize("code", ["", "recipe = 3", "recipe = {'name': 'x'}"])
def test_python_without_a_recipe_is_refused(tmp_path, code):
    path = tmp_path / "own.py"
    path.write_text(code)
    assert "to set `recipe`" in refusal(path)


def test_a_shown_recipe_is_plain_json_of_plain_values():
    values = json.loads(recipes.load_recipe("tf1-dcgan").to_json())
    assert values["generator"]["kind"] == "dcgan"
    assert values["generator"]["batch_norm"] == {"momentum": 0.9, "epsilon": 1e-5}

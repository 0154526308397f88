"""The recipe chosen for the images: for every shape, budget and number, and how it is asked for."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
import tiny
from ganvas import recipes
from ganvas.cli import main
from ganvas.errors import RecipeError, UserError
from ganvas.networks.batch_dependence import is_batch_dependent
from ganvas.profiling import flops
from ganvas.recipes import auto
from ganvas.recipes.durations import to_steps

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 30, 50), (1, 64, 64), (3, 128, 128), (3, 256, 256)]


def images_seen(recipe):
    return recipe.batch_size * to_steps(recipe.length, 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", auto.BUDGETS)
def test_both_networks_fit_images_of_every_shape(shape, budget):
    recipe = auto.recipe_for(shape, 60_000, budget)
    with torch.device("meta"):
        generator = recipe.generator.build(shape, recipe.latent.size, recipe.pixel_range)
        discriminator = recipe.discriminator.build(shape)
        assert generator(torch.empty(2, recipe.latent.size)).shape == (2, *shape)
        assert discriminator(torch.empty(2, *shape)).shape == (2,)
    if max(shape[1:]) <= 64:  # one backward pass serves both players
        assert not is_batch_dependent(recipe.discriminator.build(shape), torch.zeros(1, *shape))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_its_own_count_of_operations_is_near_the_layers_own(shape):
    recipe = auto.recipe_for(shape, 60_000)
    widths = [layer.channels for layer in recipe.discriminator.layers]
    counted = flops.step_macs(recipe, shape) / recipe.batch_size
    assert auto._nominal_macs(shape, widths) == pytest.approx(counted, rel=0.5)


def test_a_larger_budget_sees_more_images_with_wider_layers():
    chosen = [auto.recipe_for((1, 28, 28), 60_000, budget) for budget in auto.BUDGETS]
    counts = [images_seen(recipe) for recipe in chosen]
    widths = [recipe.generator.base_channels for recipe in chosen]
    assert counts == sorted(set(counts))
    assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    ("budget", "seconds", "width"),
    [("1m", 60, 32), ("4m", 240, 32), ("10m", 600, 48), ("60m", 3600, 96), ("99h", 356_400, 96)],
)
def test_any_minutes_and_hours_are_a_budget_with_the_layers_of_the_next_lower_level(budget, seconds, width):
    recipe = auto.recipe_for((1, 28, 28), 60_000, budget)
    widths = [layer.channels for layer in recipe.discriminator.layers]
    assert widths[0] == width
    step_seconds = auto._step_seconds((1, 28, 28), widths, 32)
    assert to_steps(recipe.length, 1) * step_seconds == pytest.approx(seconds, rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "first", "milliseconds"),
    [((1, 28, 28), 32, 12.1), ((1, 28, 28), 64, 22.9), ((3, 32, 32), 48, 22.4), ((3, 64, 64), 8, 31.0),
     ((3, 64, 64), 64, 110.2), ((3, 128, 128), 8, 127.1), ((3, 128, 128), 48, 354.1),
     ((3, 256, 256), 8, 532.0)],
)  # fmt: skip
def test_the_time_of_a_step_is_near_what_was_measured(shape, first, milliseconds):
    estimate = 1e3 * auto._step_seconds(shape, auto._widths(shape, first), 32)
    assert estimate == pytest.approx(milliseconds, rel=0.4)


@pytest.mark.parametrize(
    ("shape", "budget", "width"),
    [((3, 32, 32), "5m", 48), ((3, 64, 64), "5m", 24), ((3, 64, 64), "20m", 64), ((3, 128, 128), "20m", 32),
     ((3, 256, 256), "1h", 24)],
)  # fmt: skip
def test_large_images_get_narrower_layers_rather_than_fewer_steps(shape, budget, width):
    recipe = auto.recipe_for(shape, 5_000, budget)
    assert recipe.discriminator.layers[0].channels == width
    assert to_steps(recipe.length, 1) >= auto.MIN_STEPS


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 128, 128), (3, 256, 256)])
def test_layers_are_not_made_so_narrow_that_it_gains_few_steps(shape):
    recipe = auto.recipe_for(shape, 5_000, "1m")
    assert recipe.discriminator.layers[0].channels == 16
    assert to_steps(recipe.length, 1) < auto.MIN_STEPS


def test_larger_images_take_fewer_steps_in_the_same_time():
    steps = [images_seen(auto.recipe_for(shape, 60_000)) for shape in SHAPES[1:3] + SHAPES[5:]]
    assert steps == sorted(steps, reverse=True)


def test_images_that_are_used_often_are_augmented_and_others_are_not():
    assert auto.recipe_for((1, 28, 28), 60_000, "5m").augment is None
    assert auto.recipe_for((1, 28, 28), 500, "5m").augment is not None
    assert auto.recipe_for((1, 28, 28), 5_000, "1m").augment is None


def test_a_batch_is_never_larger_than_half_of_the_images():
    assert [auto.recipe_for((1, 28, 28), n).batch_size for n in (2, 40, 1000)] == [1, 20, 32]


def test_an_unknown_budget_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"budget '5min': did you mean '5m'\?"):
        auto.recipe_for((1, 28, 28), 100, "5min")
    for budget in ("", "0m", "m", "100m", "1d", "-1h", "1.5h", "5m\n"):
        with pytest.raises(RecipeError, match="any number of minutes or hours"):
            auto.recipe_for((1, 28, 28), 100, budget)


def test_the_named_recipe_is_the_one_for_mnist():
    assert recipes.load_recipe("auto") == auto.recipe_for((1, 28, 28), 60_000)


@pytest.fixture
def folder(tmp_path):
    """A user's own folder of color images, of two sizes."""
    images_folder = tmp_path / "images"
    images_folder.mkdir()
    for i, image in enumerate(tiny.images(48, (3, 16, 16))):
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(images_folder / f"{i}.png")
    return images_folder


SMALL = ["--steps", "4", "--set", "scores=null", "--threads", "1", "--device", "cpu", "--quiet"]


def test_a_folder_in_place_of_the_recipe_is_trained_on_and_the_choice_explained(folder, tmp_path, capsys):
    assert main(["train", str(folder), "--out", str(tmp_path / "run"), *SMALL]) == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["recipe"]["name"] == "auto"
    assert record["data"]["image_shape"] == [3, 16, 16]
    (note,) = record["notes"]
    assert note.startswith("chosen for 48 RGB images of 16x16: auto, convolutions of 48 channels")
    assert note.endswith("4 steps, each image used 2 times")
    assert ganvas.open_run(tmp_path / "run").sample(2, seed=0).shape == (2, 3, 16, 16)
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "chosen for 48 RGB images" in capsys.readouterr().out


def test_without_any_name_the_images_of_data_decide(folder, tmp_path):
    same = [
        ganvas.train(data=folder, out=tmp_path / "a", steps=2, overrides={"scores": None}, quiet=True),
        ganvas.train("auto", folder, tmp_path / "b", steps=2, overrides={"scores": None}, quiet=True),
    ]
    assert same[0].record.recipe == same[1].record.recipe
    assert same[0].record.recipe.batch_size == 24


def test_an_override_changes_what_is_chosen_for_these_images(folder, tmp_path):
    overrides = {"scores": None, "augment": None, "generator.base_channels": 8}
    run = ganvas.train(
        data=folder, out=tmp_path / "run", budget="1m", steps=2, overrides=overrides, quiet=True
    )
    assert (run.recipe.length, run.recipe.augment, run.recipe.generator.base_channels) == ("2 steps", None, 8)
    wide = tiny.data_file(tmp_path, shape=(1, 8, 130))  # its layers are five, those of MNIST two
    run = ganvas.train(
        data=wide,
        out=tmp_path / "wide",
        steps=1,
        quiet=True,
        overrides={"scores": None, "discriminator.layers.4.channels": 7},
    )
    assert run.recipe.discriminator.layers[4].channels == 7


def test_a_length_and_a_batch_size_that_are_given_decide_the_rest_and_are_named():
    recipe, why = auto.auto_recipe((1, 28, 28), 1000, "5m", {"length": "6 steps", "batch_size": 10})
    assert (recipe.length, recipe.batch_size, recipe.augment) == ("6 steps", 10, None)
    assert recipe.ema == 0.9
    assert recipe.checkpoint_interval == "1 steps"
    assert why.endswith(
        "convolutions of 48 and 96 channels, 6 steps, each image used 0 times, conditioned on 10 clusters "
        "of their pixels"
    )
    recipe, why = auto.auto_recipe((1, 28, 28), 1000, "5m", {"length": "200 epochs", "augment.cutout": 0.2})
    assert recipe.augment.cutout == 0.2
    assert "200 epochs, each image used 198 times, DiffAugment" in why


def test_a_longer_length_stretches_the_schedule_and_the_run_says_so(folder, tmp_path):
    run = ganvas.train(data=folder, out=tmp_path / "run", steps=2, overrides={"scores": None}, quiet=True)
    assert len(run.record.notes) == 1
    run = ganvas.resume(tmp_path / "run", steps=4, quiet=True)
    assert run.record.notes[1] == (
        "the learning-rate schedule is stretched from 2 to 4 steps: at step 2 the learning rates are 52% of "
        "the recipe's instead of 5%"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mlp", "--budget", "1m"], "budget, steps and epochs each set the length: give one of them"),
        (["FOLDER", "--data", "mnist-5k"], "is a data set, and so is data mnist-5k: give one of them"),
        (["--data", "FOLDER", "--budget", "2 min"], "budget '2 min': "),
        (["--data", "nowhere"], "nowhere"),
        (["nowhere"], "unknown recipe 'nowhere'"),
        (["~nobody-here/images"], "a path begins with ~"),
        (["--data", "FOLDER", "--set", "batch_sise=3"], "unknown recipe key 'batch_sise'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, line, folder, tmp_path, capsys):
    words = [str(folder) if word == "FOLDER" else word for word in words]
    assert main(["train", *words, "--out", str(tmp_path / "run"), *SMALL]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_with_schedule_penalty_average_and_augmentation_resumes_to_the_same_bits(folder, tmp_path):
    overrides = {"scores": None, "checkpoint_interval": 5, "augment": {}}
    how = {"steps": 12, "overrides": overrides, "threads": 1, "quiet": True}
    whole = ganvas.train(data=folder, out=tmp_path / "whole", device="cpu", **how)
    assert whole.recipe.augment is not None
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for step in (12, 10):
        shutil.rmtree(tmp_path / f"cut/checkpoints/{step:08d}")
    resumed = ganvas.resume(tmp_path / "cut", quiet=True)
    assert resumed.step == 12
    for name in ("generator", "generator_ema", "discriminator_optimizer"):
        file = f"checkpoints/00000012/{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


def test_a_budget_and_steps_at_once_are_refused_in_python_too():
    with pytest.raises(UserError, match="budget, steps and epochs"):
        ganvas.train("mlp", budget="1m", steps=3)

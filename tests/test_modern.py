"""The recipe drawn from the pictures: for every shape, budget and number, and how it is asked for."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
import tiny
from ganvas import operations, recipes
from ganvas.cli import main
from ganvas.errors import RecipeError, UserError
from ganvas.networks.layers import mixes_samples
from ganvas.recipe import steps_in
from ganvas.recipes import modern

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 30, 50), (1, 64, 64), (3, 128, 128), (3, 256, 256)]


def images_seen(recipe):
    return recipe.batch_size * steps_in(recipe.length, 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", modern.BUDGETS)
def test_both_networks_fit_pictures_of_every_shape(shape, budget):
    recipe = modern.recipe_for(shape, 60_000, budget)
    with torch.device("meta"):
        generator = recipe.generator.build(shape, recipe.latent.size, recipe.pixel_range)
        discriminator = recipe.discriminator.build(shape)
        assert generator(torch.empty(2, recipe.latent.size)).shape == (2, *shape)
        assert discriminator(torch.empty(2, *shape)).shape == (2,)
    assert not mixes_samples(discriminator)  # so that one backward pass serves both players


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_its_own_count_of_operations_is_near_the_layers_own(shape):
    recipe = modern.recipe_for(shape, 60_000)
    widths = [layer.channels for layer in recipe.discriminator.layers]
    counted = operations.step(recipe, shape) / recipe.batch_size
    assert modern._multiply_adds(shape, widths) == pytest.approx(counted, rel=0.5)


def test_a_larger_budget_sees_more_images_with_wider_layers():
    found = [modern.recipe_for((1, 28, 28), 60_000, budget) for budget in modern.BUDGETS]
    seen = [images_seen(recipe) for recipe in found]
    widths = [recipe.generator.base for recipe in found]
    assert seen == sorted(set(seen))
    assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    ("budget", "seconds", "width"),
    [("1m", 60, 32), ("4m", 240, 32), ("10m", 600, 48), ("60m", 3600, 96), ("99h", 356_400, 96)],
)
def test_any_minutes_and_hours_are_a_budget_with_the_layers_of_the_next_lower_level(budget, seconds, width):
    recipe = modern.recipe_for((1, 28, 28), 60_000, budget)
    widths = [layer.channels for layer in recipe.discriminator.layers]
    assert widths[0] == width
    step_seconds = modern._step_seconds((1, 28, 28), widths, 32)
    assert steps_in(recipe.length, 1) * step_seconds == pytest.approx(seconds, rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "first", "milliseconds"),
    [((1, 28, 28), 32, 12.1), ((1, 28, 28), 64, 22.9), ((3, 32, 32), 48, 22.4), ((3, 64, 64), 8, 31.0),
     ((3, 64, 64), 64, 110.2), ((3, 128, 128), 8, 127.1), ((3, 128, 128), 48, 354.1),
     ((3, 256, 256), 8, 532.0)],
)  # fmt: skip
def test_the_time_of_a_step_is_near_what_was_measured(shape, first, milliseconds):
    found = 1e3 * modern._step_seconds(shape, modern._widths(shape, first), 32)
    assert found == pytest.approx(milliseconds, rel=0.4)


@pytest.mark.parametrize(
    ("shape", "budget", "width"),
    [((3, 32, 32), "5m", 48), ((3, 64, 64), "5m", 24), ((3, 64, 64), "20m", 64), ((3, 128, 128), "20m", 32),
     ((3, 256, 256), "1h", 24)],
)  # fmt: skip
def test_large_pictures_get_narrower_layers_rather_than_fewer_steps(shape, budget, width):
    recipe = modern.recipe_for(shape, 5_000, budget)
    assert recipe.discriminator.layers[0].channels == width
    assert steps_in(recipe.length, 1) >= modern.STEPS


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 128, 128), (3, 256, 256)])
def test_layers_are_not_made_so_narrow_that_it_gains_few_steps(shape):
    recipe = modern.recipe_for(shape, 5_000, "1m")
    assert recipe.discriminator.layers[0].channels == 16
    assert steps_in(recipe.length, 1) < modern.STEPS


def test_larger_pictures_take_fewer_steps_in_the_same_time():
    steps = [images_seen(modern.recipe_for(shape, 60_000)) for shape in SHAPES[1:3] + SHAPES[5:]]
    assert steps == sorted(steps, reverse=True)


def test_pictures_that_are_seen_often_are_shown_changed_and_others_as_they_are():
    assert modern.recipe_for((1, 28, 28), 60_000, "5m").augment is None
    assert modern.recipe_for((1, 28, 28), 500, "5m").augment is not None
    assert modern.recipe_for((1, 28, 28), 5_000, "1m").augment is None


def test_a_batch_is_never_larger_than_half_of_the_pictures():
    assert [modern.recipe_for((1, 28, 28), n).batch_size for n in (2, 40, 1000)] == [1, 20, 32]


def test_an_unknown_budget_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"--budget 5min: did you mean '5m'\?"):
        modern.recipe_for((1, 28, 28), 100, "5min")
    for budget in ("", "0m", "m", "100m", "1d", "-1h", "1.5h", "5m\n"):
        with pytest.raises(RecipeError, match="any minutes or hours will do"):
            modern.recipe_for((1, 28, 28), 100, budget)


def test_the_named_recipe_is_the_one_for_mnist():
    assert recipes.find("modern") == modern.recipe_for((1, 28, 28), 60_000)


@pytest.fixture
def folder(tmp_path):
    """A user's own folder of colour pictures, of two sizes."""
    place = tmp_path / "pictures"
    place.mkdir()
    for i, image in enumerate(tiny.pictures(48, (3, 16, 16))):
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(place / f"{i}.png")
    return place


SMALL = ["--steps", "4", "--set", "scores=null", "--threads", "1", "--device", "cpu", "--quiet"]


def test_a_folder_in_the_recipes_place_is_trained_on_and_the_choice_explained(folder, tmp_path, capsys):
    assert main(["train", str(folder), "--out", str(tmp_path / "run"), *SMALL]) == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["recipe"]["name"] == "modern"
    assert record["data"]["image_shape"] == [3, 16, 16]
    (note,) = record["notes"]
    assert note.startswith("chosen for 48 RGB pictures of 16x16: modern, convolutions of 48 channels")
    assert note.endswith("4 steps, each seen 2 times")
    assert ganvas.open(tmp_path / "run").sample(2, seed=0).shape == (2, 3, 16, 16)
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "chosen for 48 RGB pictures" in capsys.readouterr().out


def test_without_any_name_the_pictures_of_data_decide(folder, tmp_path):
    same = [
        ganvas.train(data=folder, out=tmp_path / "a", steps=2, settings={"scores": None}, quiet=True),
        ganvas.train("modern", folder, tmp_path / "b", steps=2, settings={"scores": None}, quiet=True),
    ]
    assert same[0].record.recipe == same[1].record.recipe
    assert same[0].record.recipe.batch_size == 24


def test_a_setting_changes_what_is_drawn_for_these_pictures(folder, tmp_path):
    settings = {"scores": None, "augment": None, "generator.base": 8}
    run = ganvas.train(data=folder, out=tmp_path / "run", budget="1m", steps=2, settings=settings, quiet=True)
    assert (run.recipe.length, run.recipe.augment, run.recipe.generator.base) == ("2 steps", None, 8)
    wide = tiny.data_file(tmp_path, shape=(1, 8, 130))  # its layers are five, those of MNIST two
    run = ganvas.train(
        data=wide,
        out=tmp_path / "wide",
        steps=1,
        quiet=True,
        settings={"scores": None, "discriminator.layers.4.channels": 7},
    )
    assert run.recipe.discriminator.layers[4].channels == 7


def test_a_length_and_a_batch_that_are_asked_for_decide_the_rest_and_are_told():
    recipe, why = modern.drawn((1, 28, 28), 1000, "5m", {"length": "6 steps", "batch_size": 10})
    assert (recipe.length, recipe.batch_size, recipe.augment) == ("6 steps", 10, None)
    assert recipe.ema == 0.9
    assert recipe.checkpoint_every == "1 steps"
    assert why.endswith(
        "convolutions of 48 and 96 channels, 6 steps, each seen 0 times, 10 clusters of their pixels told"
    )
    recipe, why = modern.drawn((1, 28, 28), 1000, "5m", {"length": "200 epochs", "augment.cutout": 0.2})
    assert recipe.augment.cutout == 0.2
    assert "200 epochs, each seen 198 times, changed by DiffAugment" in why


def test_a_longer_length_stretches_the_schedule_and_the_run_says_so(folder, tmp_path):
    run = ganvas.train(data=folder, out=tmp_path / "run", steps=2, settings={"scores": None}, quiet=True)
    assert len(run.record.notes) == 1
    run = ganvas.resume(tmp_path / "run", steps=4, quiet=True)
    assert run.record.notes[1] == (
        "the schedule of the rates is stretched from 2 to 4 steps: at step 2 they stand at 52% of the "
        "recipe's instead of 5%"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mlp", "--budget", "1m"], "--budget is for a recipe drawn from the pictures"),
        (["FOLDER", "--data", "mnist-5k"], "is a data set, and so is --data mnist-5k: name one of them"),
        (["--data", "FOLDER", "--budget", "2 min"], "--budget 2 min: "),
        (["--data", "nowhere"], "nowhere"),
        (["nowhere"], "unknown recipe 'nowhere'"),
        (["~nobody-here/pictures"], "a path begins with ~"),
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
    settings = {"scores": None, "checkpoint_every": 5, "augment": {}}
    how = {"steps": 12, "settings": settings, "threads": 1, "quiet": True}
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


def test_a_recipe_and_its_budget_are_the_same_for_python_and_refuse_alike():
    with pytest.raises(UserError, match="--budget"):
        ganvas.train("mlp", budget="1m")

"""Classes told to both players: by the numbers, from the command line, and that images come as asked."""

import json

import numpy as np
import pytest
import torch

import ganvas
import tiny
from ganvas import cli, recipes
from ganvas.callbacks import d_accuracy, sample_grids
from ganvas.callbacks import scores as scores_observer
from ganvas.data.batches import Batches
from ganvas.data.image_set import ImageSet
from ganvas.errors import did_you_mean
from ganvas.evaluation import classification_accuracy_score, load_reference
from ganvas.networks.conditioning import Batch, append_one_hot, class_logits, select_class_logit
from ganvas.networks.layers import Logit
from ganvas.recipes.schema import Penalty
from ganvas.runs.image_batch import _folder_names
from ganvas.training import objectives, penalties, updates
from ganvas.training.rng import StepRNG, Stream, sample_labels
from ganvas.training.sampling import sample_inputs
from ganvas.training.state import new_state
from ganvas.utils.images import to_float

CPU = torch.device("cpu")
SHADES = (40, 128, 220)
LEARNS = {
    "generator.hidden": [32], "discriminator.hidden": [32], "batch_size": 20, "latent.size": 8,
    "generator_optimizer.learning_rate": 3e-3, "discriminator_optimizer.learning_rate": 3e-3,
}  # fmt: skip
NAMES = ("dark", "gray", "bright")


def shaded(folder, count=60, name="shades.npz", counts=None):
    """Flat squares with a little noise: the class is the brightness."""
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(3), counts) if counts else np.arange(count) % 3
    images = np.array(SHADES)[kinds][:, None, None, None] + rng.integers(-9, 10, (len(kinds), 1, 8, 8))
    path = folder / name
    np.savez(path, images=images.astype(np.uint8), labels=kinds)
    return path


def train(folder, recipe="mlp", **more):
    if "data" not in more:
        more["data"] = shaded(folder)
    return tiny.train(folder, recipe, conditional=True, **more)


# By the numbers


def test_the_logit_that_counts_is_that_of_the_images_own_class():
    logits = torch.arange(6.0).view(2, 3)
    assert select_class_logit(logits, torch.tensor([2, 0])).tolist() == [2.0, 3.0]
    assert select_class_logit(torch.ones(2), None).tolist() == [1.0, 1.0]


def test_a_logit_a_class_is_the_projection_of_miyato_and_koyama():
    torch.manual_seed(0)
    features, kinds = torch.randn(5, 7), torch.tensor([0, 2, 1, 1, 0])
    shared, own, bias = torch.randn(7), torch.randn(3, 7), torch.randn(())
    head = Logit(7, 3)
    with torch.no_grad():
        head.weight.copy_(shared + own)
        head.bias.fill_(bias)
    projected = features @ shared + bias + (own[kinds] * features).sum(1)
    torch.testing.assert_close(select_class_logit(head(features), kinds), projected)


def test_the_generator_is_given_the_class_as_one_of_k_behind_z():
    z = torch.tensor([[0.5, -1.0], [2.0, 3.0]])
    assert append_one_hot(z, torch.tensor([1, 0]), 2).tolist() == [[0.5, -1, 0, 1], [2, 3, 1, 0]]


def test_labels_come_as_often_as_their_shares_say_and_the_first_are_the_same_for_every_count():
    many = sample_labels(30_000, [1, 0, 3], np.random.default_rng(1))
    shares = np.bincount(many.numpy(), minlength=3) / len(many)
    assert shares == pytest.approx([0.25, 0, 0.75], abs=0.01)
    assert torch.equal(sample_labels(50, [1, 0, 3], np.random.default_rng(1)), many[:50])


def test_a_step_draws_its_labels_by_seed_and_step():
    def drawn(seed, step):
        return StepRNG(seed, step, 4, "normal", CPU, [0.5, 0.5]).labels(40).tolist()

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2) != drawn(1, 3)
    assert drawn(1, 2) != drawn(2, 2)


def recipe_of(name, **more):
    return recipes.load_recipe(name).with_overrides({**tiny.TINY[name], "classes": 3, **more})


@pytest.mark.parametrize("objective", ["non_saturating", "hinge", "relativistic"])
def test_one_pass_gives_the_gradients_of_two_where_classes_are_told(objective):
    recipe = recipe_of("tutorial-dcgan", **{"discriminator.dropout": 0})
    state = new_state(recipe, (1, 8, 8), 0, CPU)
    context = updates.make_update(recipe).args[1]
    random = StepRNG(0, 0, recipe.latent.size, "normal", CPU, [1, 1, 1])
    inputs = context.sample_inputs(16, random)
    assert set(inputs.labels.tolist()) == {0, 1, 2}
    real = Batch(torch.randn(16, 1, 8, 8).clamp(-1, 1), torch.arange(16) % 3)

    def gradients(how):
        fake = Batch(state.generator(inputs.z), inputs.labels)
        d, g, _ = how(objectives.OBJECTIVES.find(objective), state, real, fake)
        return [*d, *g]

    one, two = gradients(updates.fused_gradients), gradients(updates.separate_gradients)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", list(tiny.TINY))
def test_every_recipe_learns_with_classes_and_only_the_logits_of_the_batchs_classes_move(name):
    recipe = recipe_of(name, classes=4, batch_size=8)
    state = new_state(recipe, (1, 12, 12), 0, CPU)
    head = next(m for m in state.discriminator.modules() if isinstance(m, Logit))
    before = head.weight.detach().clone()
    real = Batch(
        torch.zeros(recipe.real_batch_size, 1, 12, 12), torch.zeros(recipe.real_batch_size, dtype=torch.int64)
    )
    random = StepRNG(0, 0, recipe.latent.size, recipe.latent.distribution, CPU, [1, 1, 0, 0])
    terms = updates.make_update(recipe)(state, real, random)
    assert all(torch.isfinite(term) for term in terms.values())
    moved = (head.weight != before).any(1).tolist()
    assert moved == [True, True, False, False]


@pytest.mark.parametrize("kind", ["r1", "r2", "wgan_gp", "dragan"])
def test_a_penalty_is_on_the_slope_of_the_own_classs_logit(kind):
    recipe = recipe_of("mlp")
    d = new_state(recipe, (1, 8, 8), 0, CPU).discriminator
    head = next(m for m in d.modules() if isinstance(m, Logit))
    images, kinds = torch.randn(6, 1, 8, 8), torch.full((6,), 1)
    batch = Batch(images, kinds)
    found = penalties.penalty_gradients(
        [Penalty(kind=kind, weight=1)], d, batch, batch, torch.rand, step=0, fraction=0
    )
    of_head = next(grad for grad, weight in zip(found, d.parameters(), strict=True) if weight is head.weight)
    assert (of_head != 0).any(1).tolist() == [False, True, False]


def test_batches_give_the_labels_of_their_images():
    kinds = np.arange(30) % 3
    images = np.broadcast_to(kinds[:, None, None, None], (30, 1, 8, 8)).astype(np.uint8)
    source = ImageSet("shades", images.copy(), kinds.astype(np.int64), NAMES, "here")
    how = {"order": "shuffle", "drop_last": "keep", "seed": 3, "device": CPU}
    batches = Batches(source, 8, num_classes=3, **how)
    for step in (0, 3, 5):
        assert batches.at(step)[:, 0, 0, 0].tolist() == batches.labels(step).tolist()
    assert Batches(source, 8, **how).labels(0) is None
    with pytest.raises(ganvas.GanvasError, match="classes 4: shades has 3"):
        Batches(source, 8, num_classes=4, **how)


# Runs


def test_pictures_of_a_class_come_as_asked(tmp_path):
    run = train(tmp_path, steps=400, overrides=LEARNS)
    assert run.recipe.classes == 3
    assert run.record.data.class_counts == (20, 20, 20)
    for number, shade in enumerate(SHADES):
        images = run.sample(30, class_=number)
        assert images.labels.tolist() == [number] * 30
        assert np.asarray(images).mean() == pytest.approx(shade, abs=25)


def test_the_grid_shows_a_class_a_column_and_the_drawn_recipe_has_as_many_columns(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        sample_grids, "generate", lambda g, z, _: seen.append(z) or np.zeros((len(z), 1, 8, 8), np.uint8)
    )
    run = train(tmp_path, "auto", steps=2, overrides={"generator.hidden": [16], "discriminator.hidden": [16]})
    assert run.recipe.grid.columns == 3
    assert "conditioned on 3 classes" in " ".join(run.record.notes)
    told = seen[0][:, run.recipe.latent.size :].argmax(1).view(run.recipe.grid.rows, 3)
    assert (told == torch.arange(3)).all()


def test_scores_and_training_draw_classes_as_often_as_in_the_data(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        scores_observer, "generate", lambda g, z, _: seen.append(z) or np.zeros((len(z), 1, 8, 8), np.uint8)
    )
    trained, plain = [], StepRNG.labels
    monkeypatch.setattr(StepRNG, "labels", lambda self, n: trained.append(plain(self, n)) or trained[-1])
    data = shaded(tmp_path, counts=(150, 12, 38))
    run = train(tmp_path, steps=40, data=data, overrides={"scores": {"images": 2000, "final": 24}})
    for told in (seen[0][:, run.recipe.latent.size :].argmax(1), torch.cat(trained)):
        drawn = torch.bincount(told, minlength=3) / len(told)
        assert drawn.tolist() == pytest.approx([0.75, 0.06, 0.19], abs=0.06)


def test_verdicts_tell_d_the_classes_of_what_it_judges(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        d_accuracy, "class_logits", lambda d, batch: told.append(batch) or torch.zeros(len(batch.images))
    )
    train(tmp_path, steps=2, overrides={"accuracy_probe": {"images": 30, "interval": "1 step"}})
    real, fake = told[:2]
    assert real.labels.tolist() == fake.labels.tolist()
    brightness = real.images.mean((1, 2, 3))
    assert brightness[real.labels == 2].min() > brightness[real.labels == 0].max()


def test_critique_takes_the_class_that_d_likes_best_and_fixed_fakes_their_own(tmp_path):
    run = train(tmp_path, steps=3)
    fakes, untrained, trained = run.compare_fixed_fakes()
    logits = run.discriminator()(to_float(torch.from_numpy(np.asarray(fakes)), run.recipe.pixel_range))
    assert run.discriminate(np.asarray(fakes)) == pytest.approx(logits.amax(1).tolist())
    kind = sample_inputs(run.recipe, 1, run.record.seed, Stream.GRID).labels.item()
    assert trained == pytest.approx(logits[:, kind].tolist())
    assert len(untrained) == 2


def test_classes_are_drawn_as_often_as_in_the_data(tmp_path):
    run = train(tmp_path, steps=1, data=shaded(tmp_path, counts=(60, 5, 15)))
    assert run.record.class_frequencies == pytest.approx((0.75, 0.0625, 0.1875))
    drawn = np.bincount(run.sample(2000).labels, minlength=3) / 2000
    assert drawn == pytest.approx(run.record.class_frequencies, abs=0.04)


def test_a_conditional_run_resumes_to_the_same_bits(tmp_path):
    whole = train(tmp_path, "tutorial-dcgan", steps=6, name="whole")
    part = train(tmp_path, "tutorial-dcgan", steps=3, name="part")
    part = ganvas.resume(part.path, steps=6, quiet=True)
    assert np.array_equal(whole.sample(9, seed=1), part.sample(9, seed=1))


def test_saved_pictures_keep_their_labels(tmp_path):
    run = train(tmp_path, steps=1)
    images = run.sample(12, seed=2)
    with np.load(images.save(tmp_path / "s.npz")) as found:
        assert found["labels"].tolist() == images.labels.tolist()
    folder = images.save(tmp_path / "folder")
    again = ganvas.load_dataset(folder)
    assert again.class_names == tuple(sorted({str(label) for label in images.labels}))
    assert len(again) == 12


def test_classes_whose_names_are_no_folders_get_their_numbers(tmp_path):
    run = train(tmp_path, steps=1)
    images = run.sample(4, class_=1)
    images.class_names = ("a", "../../outside", "b")
    folder = images.save(tmp_path / "folder")
    assert [p.name for p in folder.iterdir()] == ["class-1"]


def test_a_class_that_cannot_be_is_refused_in_one_line(tmp_path):
    run = train(tmp_path, steps=1)
    for name in ("9" * 5000, "1" * 7, "-1", "1.0", "", "\0", "\ud800", "x" * 100_000):
        with pytest.raises(ganvas.GanvasError, match=r"^class ") as caught:
            run.sample(4, class_=name)
        assert len(str(caught.value)) < 2100


def test_no_two_classes_share_a_folder():
    names = _folder_names(
        ("a:b", "class-0", "Cat", "cat", "nul", "aux.txt", "x" * 101, "fine", "com1", " s", "")
    )
    assert names[7] == "fine"
    assert names == [name if name == "fine" else f"class-{i}" for i, name in enumerate(names)]


def test_images_picked_out_keep_their_labels(tmp_path):
    images = train(tmp_path, steps=1).sample(12, seed=1)
    assert images[3:6].labels.tolist() == images.labels[3:6].tolist()
    assert images[[0, 5]].labels.tolist() == images.labels[[0, 5]].tolist()
    assert images[:, :, ::2].labels.tolist() == images.labels.tolist()
    assert images[0].labels is None


@pytest.mark.parametrize(
    "edited", [{"class_counts": []}, {"class_counts": [1, 2, 3, 4]}, {"class_counts": [0, 0, 0]},
               {"class_counts": [-1, 2, 3]}, {"class_names": []}],
)  # fmt: skip
def test_a_record_whose_classes_do_not_agree_is_refused_in_one_line(tmp_path, capsys, edited):
    run = train(tmp_path, steps=1)
    file = run.directory.record_path
    values = json.loads(file.read_text())
    values["data"].update(edited)
    file.write_text(json.dumps(values))
    assert cli.main(["sample", str(run.path)]) == 2
    error = capsys.readouterr().err
    assert "a run with 3 classes" in error
    assert error.count("\n") == 1


def test_classes_without_an_image_are_spoken_of_and_not_drawn(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 1, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "gap.npz", images=images, labels=np.arange(40) % 2 * 3)
    run = train(tmp_path, steps=1, data=tmp_path / "gap.npz")
    assert "no image is of classes 1, 2: it cannot be learned" in run.record.notes
    assert cli.main(["sample", str(run.path), "--class", "1"]) == 2
    assert "there was no image of it" in capsys.readouterr().err
    np.savez(tmp_path / "one.npz", images=images, labels=np.full(40, 3))
    with pytest.raises(ganvas.GanvasError, match="images of one class only"):
        train(tmp_path, name="other", data=tmp_path / "one.npz")


def test_where_names_are_numbers_only_names_count(tmp_path):
    run = train(tmp_path, steps=1)
    run.record = run.record.model_copy(
        update={"data": run.record.data.model_copy(update={"class_names": ("1", "2", "3")})}
    )
    assert run.sample(2, class_="1").labels.tolist() == [0, 0]
    with pytest.raises(ganvas.GanvasError, match=r"^class 0: known: 1, 2, 3"):
        run.sample(2, class_="0")


def test_names_with_control_characters_stay_in_one_line():
    assert did_you_mean("zz", ["a\nb", "c"]) == "known: a\\nb, c"


OWN = """
from torch import nn
from ganvas import recipes
from ganvas.networks import DiscriminatorSpec
class Plain(DiscriminatorSpec):
    kind: str = "plain-KIND"
    def build(self, image_shape, *CLASSES):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))
recipe = recipes.load_recipe("mlp").with_overrides({"batch_size": 8, "scores": None})
recipe = recipe.model_copy(update={"discriminator": Plain()})
"""


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("", "build() without the parameter 'classes'"), (", classes=0", "shape (2, 3)")],
)
def test_a_discriminator_of_ones_own_need_not_know_of_classes(tmp_path, capsys, classes, expected):
    file = tmp_path / f"own{len(classes)}.py"
    file.write_text(OWN.replace(", *CLASSES", classes).replace("KIND", str(len(classes))))
    words = ["train", str(file), "--data", str(shaded(tmp_path)), "--steps", "1", "--quiet"]
    assert cli.main([*words, "--out", str(tmp_path / "plain")]) == 0
    assert cli.main([*words, "--out", str(tmp_path / "told"), "--conditional"]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "told").exists()


def test_the_command_line_trains_and_samples_a_class(tmp_path, capsys):
    data, out = shaded(tmp_path), tmp_path / "run"
    words = [
        "train",
        "mlp",
        "--conditional",
        "--data",
        str(data),
        "--out",
        str(out),
        "--steps",
        "2",
        "--quiet",
    ]
    assert cli.main([*words, *tiny.words("mlp", {"scores": None})]) == 0
    assert (
        cli.main(["sample", str(out), "--class", "1", "--count", "5", "--out", str(tmp_path / "s.npz")]) == 0
    )
    with np.load(tmp_path / "s.npz") as found:
        assert found["labels"].tolist() == [1] * 5
    assert cli.main(["interpolate", str(out), "--class", "2", "--rows", "2", "--columns", "3"]) == 0
    assert cli.main(["discriminate", str(out)]) == 0
    assert cli.main(["show", str(out), "--layers"]) == 0
    capsys.readouterr()
    assert cli.main(["sample", str(out), "--class", "7"]) == 2
    assert "class 7: known: 0, 1, 2" in capsys.readouterr().err


def test_a_walk_within_a_class_tells_that_class_all_the_way(tmp_path):
    run = train(tmp_path, steps=1)
    network, inputs_seen = run.raw_generator(), []
    network.register_forward_pre_hook(lambda _, inputs: inputs_seen.append(inputs[0]))
    run.interpolate(rows=1, columns=4, class_=2)
    assert inputs_seen[0][:, run.recipe.latent.size :].tolist() == [[0, 0, 1]] * 4


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({}, "has no labels"),
        ({"labels": np.zeros(72, np.int64)}, "one class only"),
    ],
)
def test_data_without_classes_are_refused_in_one_line(tmp_path, capsys, made, expected):
    np.savez(tmp_path / "d.npz", images=tiny.images(), **made)
    words = ["train", "mlp", "--conditional", "--data", str(tmp_path / "d.npz"), "--out", str(tmp_path / "r")]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_run_that_was_told_no_classes_is_asked_for_none(tmp_path, capsys):
    run = tiny.train(tmp_path, "mlp", steps=1)
    assert cli.main(["sample", str(run.path), "--class", "1"]) == 2
    assert "is not conditional" in capsys.readouterr().err


def test_the_number_of_classes_is_kept_in_the_run_and_cannot_change_in_a_branch(tmp_path):
    run = train(tmp_path, steps=2)
    assert json.loads(run.directory.record_path.read_text())["recipe"]["classes"] == 3
    with pytest.raises(ganvas.GanvasError, match="classes cannot be changed"):
        ganvas.fork(run.path, step="newest", overrides={"classes": 0}, steps=4)


def test_one_class_is_none():
    with pytest.raises(ganvas.GanvasError, match="2 classes or more"):
        recipes.load_recipe("mlp").with_overrides({"classes": 1})


def test_d_with_classes_judges_a_batch_of_labeled_images():
    d = new_state(recipe_of("mlp"), (1, 8, 8), 0, CPU).discriminator
    images = torch.randn(5, 1, 8, 8)
    kinds = torch.tensor([0, 1, 2, 1, 0])
    all_logits = d(images)
    assert all_logits.shape == (5, 3)
    assert class_logits(d, Batch(images, kinds)).tolist() == [
        all_logits[i, k].item() for i, k in enumerate(kinds)
    ]


# The score of a classifier


@pytest.mark.slow
def test_a_run_that_draws_the_classes_apart_teaches_a_classifier_as_well_as_real_images(tmp_path):
    run = train(tmp_path, steps=400, overrides=LEARNS)
    found = ganvas.evaluate(run, count=60, features="fitted-classifier").as_json()
    assert found["cas_baseline"] > 0.9
    assert found["cas"] > 0.9
    assert 0 <= found["cas_stderr"] < 0.1
    assert any(line.startswith("Classifier") for line in ganvas.evaluate(run, count=60).lines())


def test_labels_that_do_not_fit_the_images_teach_nothing(tmp_path):
    reference = load_reference(shaded(tmp_path))
    images = reference.images.images
    right, baseline = classification_accuracy_score(images, reference.images.labels, reference)
    wrong, _ = classification_accuracy_score(images, (reference.images.labels + 1) % 3, reference)
    assert right.value > 0.9
    assert baseline > 0.9
    assert wrong.value < 0.1

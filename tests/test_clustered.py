"""Runs that are conditioned on clusters of the pixels: what they record, draw, resume to, and refuse."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch

import ganvas
import tiny
from ganvas import cli
from ganvas.callbacks import d_accuracy, sample_grids
from ganvas.data.batches import Batches
from ganvas.data.clusters import cluster_images
from ganvas.evaluation.history import read_evaluation
from ganvas.recipes import auto
from ganvas.runs.conditioning import restore_conditioning
from ganvas.training.rng import Stream, derive_seed

SHADES = np.array([30, 90, 160, 230])
LEARNS = {
    "generator.hidden": [32], "discriminator.hidden": [32], "batch_size": 20, "latent.size": 8,
    "generator_optimizer.learning_rate": 3e-3, "discriminator_optimizer.learning_rate": 3e-3,
}  # fmt: skip


def shaded(folder, counts=(20, 20, 20, 20), labels=False):
    """Flat squares of four shades with a little noise, with labels of two kinds or none."""
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.repeat(np.arange(4), counts))
    images = SHADES[kinds][:, None, None, None] + rng.integers(-5, 6, (len(kinds), 1, 8, 8))
    path = folder / "shades.npz"
    np.savez(path, images=images.astype(np.uint8), **({"labels": kinds % 2} if labels else {}))
    return path


def train(folder, recipe="mlp", *, clusters=4, **more):
    if "data" not in more:
        more["data"] = shaded(folder)
    return tiny.train(folder, recipe, clusters=clusters, **more)


def test_each_cluster_is_learned_and_comes_as_often_as_in_the_data(tmp_path):
    run = train(tmp_path, steps=400, overrides=LEARNS, data=shaded(tmp_path, counts=(40, 8, 12, 20)))
    counts = run.record.class_counts
    assert sorted(counts) == [8, 12, 20, 40]
    shade_of = {40: 30, 8: 90, 12: 160, 20: 230}
    for number, count in enumerate(counts):
        made = np.asarray(run.sample(30, class_=f"cluster-{number}")).mean()
        assert made == pytest.approx(shade_of[count], abs=25)
    dark = (np.asarray(run.sample(2000, seed=1)).mean((1, 2, 3)) < 60).mean()
    assert dark == pytest.approx(0.5, abs=0.06)


def test_the_run_records_its_clusters_and_the_file_that_holds_them(tmp_path):
    run = train(tmp_path, steps=1)
    values = json.loads(run.directory.record_path.read_text())
    assert values["recipe"]["classes"] == 4
    assert values["recipe"]["condition_on"] == "clusters"
    assert values["clusters"]["counts"] == [20, 20, 20, 20]
    images = ganvas.load_dataset(tmp_path / "shades.npz")
    again = restore_conditioning(run.directory, run.record, images, began=True)
    assert np.array_equal(again, cluster_images(images, 4, derive_seed(run.record.seed, Stream.CLUSTERS)))


def test_pictures_sampled_have_no_labels_where_none_were_there(tmp_path, capsys):
    run = train(tmp_path, steps=1)
    assert run.sample(3).labels is None
    assert cli.main(["sample", str(run.path), "--class", "cluster-2", "--out", str(tmp_path / "s.npz")]) == 0
    with np.load(tmp_path / "s.npz") as found:
        assert list(found) == ["images"]
    assert cli.main(["interpolate", str(run.path), "--out", str(tmp_path / "w.png")]) == 0
    assert cli.main(["discriminate", str(run.path)]) == 0
    assert cli.main(["show", str(run.path), "--layers"]) == 0
    capsys.readouterr()
    for asked in ("2", "cluster-4"):  # a number would be taken for a class
        assert cli.main(["sample", str(run.path), "--class", asked]) == 2
        error = capsys.readouterr().err
        assert "not on classes; train with the option conditional for these, or take one of" in error
        assert "cluster-0 to cluster-3" in error


def test_labels_are_scored_as_labels_while_clusters_are_told(tmp_path):
    data = shaded(tmp_path, labels=True)
    run = train(tmp_path, steps=2, data=data, overrides={"scores": {"images": 24, "final": 60}})
    assert run.record.data.class_counts == (40, 40)
    values = read_evaluation(run.directory.evaluation)
    assert values["modes_baseline"] == 2
    assert "cas" not in values


def test_verdicts_tell_d_the_clusters(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        d_accuracy, "class_logits", lambda d, batch: told.append(batch) or torch.zeros(len(batch.images))
    )
    train(tmp_path, steps=1, overrides={"accuracy_probe": {"images": 40, "interval": "1 step"}})
    shades = told[0].images.mean((1, 2, 3))
    for number in range(4):
        assert shades[told[0].labels == number].std() < 0.05


def test_it_resumes_to_the_same_bits_and_asks_the_file_not_the_pictures(tmp_path, monkeypatch):
    whole = train(tmp_path, "tutorial-dcgan", steps=6, name="whole")
    part = train(tmp_path, "tutorial-dcgan", steps=3, name="part")
    monkeypatch.setattr("ganvas.training.conditioning.cluster_images", lambda *_: pytest.fail("sorted again"))
    part = ganvas.resume(part.path, steps=6, quiet=True)
    assert np.array_equal(whole.sample(9, seed=1), part.sample(9, seed=1))


def test_a_branch_takes_the_clusters_along_and_cannot_change_them(tmp_path):
    run = train(tmp_path, steps=2)
    branch = ganvas.fork(run.path, step="newest", steps=4, out=tmp_path / "branch", quiet=True)
    assert branch.directory.clusters.read_bytes() == run.directory.clusters.read_bytes()
    for overrides in ({"condition_on": "labels"}, {"classes": 0}):
        with pytest.raises(ganvas.GanvasError, match="cannot be changed"):
            ganvas.fork(run.path, step="newest", steps=4, overrides=overrides)


LABELS = np.arange(80, dtype=np.int32) % 4


@pytest.mark.parametrize(
    "harm",
    [None, b"", b"half", {"labels": LABELS}, {"labels": LABELS.astype(np.float32)},
     {"labels": LABELS[:, None]}, {"labels": LABELS[:79]}, {"labels": -LABELS}, {"others": LABELS}],
)  # fmt: skip
def test_without_its_clusters_a_run_does_not_go_on(tmp_path, capsys, harm):
    run = train(tmp_path, steps=2)
    file = run.directory.clusters
    if harm is None:
        file.unlink()
    else:
        file.write_bytes(harm if isinstance(harm, bytes) else safetensors.numpy.save(harm))
    assert cli.main(["resume", str(run.path), "--steps", "4", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "which cluster each image is in" in error
    assert error.count("\n") == 1
    assert run.sample(2).shape == (2, 1, 8, 8)  # what was trained is there all the same


def test_a_run_killed_before_its_first_checkpoint_sorts_again(tmp_path):
    run = train(tmp_path, steps=2)
    expected = run.directory.clusters.read_bytes()
    for step in run.directory.checkpoints.iterdir():
        for file in step.iterdir():
            file.unlink()
        step.rmdir()
    run.directory.clusters.write_bytes(b"half")
    again = ganvas.resume(run.path, quiet=True)
    assert again.step == 2
    assert again.directory.clusters.read_bytes() == expected


@pytest.mark.parametrize(
    "edited",
    [None, {"counts": [40, 40], "sha256": ""}, {"counts": [-1, 1, 40, 40], "sha256": ""},
     {"counts": [], "sha256": ""}],
)  # fmt: skip
def test_a_record_without_its_clusters_is_refused_in_one_line(tmp_path, capsys, edited):
    run = train(tmp_path, steps=1)
    file = run.directory.record_path
    values = json.loads(file.read_text())
    values["clusters"] = edited
    file.write_text(json.dumps(values))
    assert cli.main(["sample", str(run.path)]) == 2
    error = capsys.readouterr().err
    assert "run.json is damaged" in error
    assert error.count("\n") == 1


def test_clusters_of_the_wrong_number_of_pictures_are_refused(tmp_path):
    run = train(tmp_path, steps=1)
    images = ganvas.load_dataset(tiny.data_file(tmp_path, shape=(1, 8, 8)))
    with pytest.raises(ganvas.GanvasError, match=r"clusters\.safetensors is damaged: .* one label per image"):
        restore_conditioning(run.directory, run.record, images, began=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--clusters", "1"], "clusters 1: expected 2 or more, or 0 for none"),
        (["--clusters", "-3"], "clusters -3: expected 2 or more"),
        (["--clusters", "81"], "clusters 81: expected 2 to 80"),
        (["--clusters", "4", "--conditional"], "choose one"),
        (["--conditional", "--set", "condition_on=clusters"], "choose one"),
        (["--clusters", "4", "--set", "classes=5"], "leave those out"),
        (["--set", "condition_on=clusters", "--set", "classes=500"], "clusters 500: expected 2 to 80"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(tmp_path, capsys, words, expected):
    out = tmp_path / "run"
    data = shaded(tmp_path, labels=True)
    assert cli.main(["train", "mlp", "--data", str(data), "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_another_writer_of_the_same_clusters_is_believed_again_and_again(tmp_path):
    run = train(tmp_path, steps=2)
    file = run.directory.clusters
    file.write_bytes(safetensors.numpy.save(safetensors.numpy.load_file(file), metadata={"by": "another"}))
    for steps in (4, 6):
        assert ganvas.resume(run.path, steps=steps, quiet=True).step == steps


def test_clusters_in_the_record_of_a_run_that_is_conditioned_on_none_are_refused(tmp_path, capsys):
    run = train(tmp_path, steps=1)
    file = run.directory.record_path
    values = json.loads(file.read_text())
    values["recipe"]["classes"] = 0
    file.write_text(json.dumps(values))
    assert cli.main(["resume", str(run.path), "--steps", "3"]) == 2
    assert "the recipe is not conditioned on them" in capsys.readouterr().err


def test_clusters_without_a_picture_are_neither_walked_to_nor_shown(tmp_path, monkeypatch):
    np.savez(tmp_path / "alike.npz", images=np.full((40, 1, 8, 8), 90, np.uint8))
    shown = []
    monkeypatch.setattr(
        sample_grids, "generate", lambda g, z, _: shown.append(z) or np.zeros((len(z), 1, 8, 8), np.uint8)
    )
    run = train(tmp_path, steps=1, data=tmp_path / "alike.npz")
    (full,) = np.flatnonzero(run.record.class_counts)
    network, inputs_seen = run.raw_generator(), []
    network.register_forward_pre_hook(lambda _, inputs: inputs_seen.append(inputs[0]))
    run.interpolate(rows=5, columns=2)
    run.compare_fixed_fakes()
    told = [z[:, run.recipe.latent.size :].argmax(1) for z in (*inputs_seen, *shown)]
    assert set(torch.cat(told).tolist()) == {full}


def test_a_grid_too_small_for_all_clusters_shows_them_as_often_as_they_come(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        sample_grids, "generate", lambda g, z, _: shown.append(z) or np.zeros((len(z), 1, 8, 8), np.uint8)
    )
    data = shaded(tmp_path, counts=(900, 20, 30, 50))
    overrides = {"grid": {"rows": 1, "columns": 3, "interval": "1 step"}}
    run = train(tmp_path, steps=1, data=data, overrides=overrides)
    told = shown[0][:, run.recipe.latent.size :].argmax(1)
    assert set(told.tolist()) == {int(np.argmax(run.record.class_counts))}


def test_clusters_of_a_few_pictures_are_spoken_of(tmp_path):
    run = train(tmp_path, steps=1, clusters=16)
    assert any("16 clusters have 5.0 images each" in note for note in run.record.notes)
    assert "clusters" not in " ".join(train(tmp_path, steps=1, name="four").record.notes)


def test_the_clusters_are_shown(tmp_path, capsys):
    run = train(tmp_path, steps=1)
    capsys.readouterr()
    assert cli.main(["show", str(run.path)]) == 0
    assert "conditioned  on 4 clusters of their pixels" in capsys.readouterr().out


def drawn(images, overrides=None):
    return auto.auto_recipe((1, 28, 28), images, "1m", overrides or {})


@pytest.mark.parametrize(("images", "expected"), [(150, 0), (200, 2), (5_000, 50), (60_000, 100)])
def test_the_drawn_recipe_tells_a_cluster_for_each_hundred_pictures(images, expected):
    recipe, why = drawn(images)
    assert recipe.classes == expected
    assert recipe.conditioned_on_clusters == (expected > 0)
    assert (f"{expected} clusters of their pixels" in why) == (expected > 0)
    assert recipe.grid.columns == (2 if expected == 2 else 8)


def test_the_drawn_recipe_tells_what_is_asked_for():
    asked = {
        0: {"classes": 0, "condition_on": "labels"},
        7: {"classes": 7, "condition_on": "clusters"},
        10: {"classes": 10},
    }
    for count, overrides in asked.items():
        recipe, why = drawn(5_000, overrides)
        assert recipe.classes == count
        assert recipe.conditioned_on_clusters == (count == 7)
        assert ("conditioned on" in why) == (count > 0)
    assert "conditioned on 10 classes" in why
    assert drawn(5_000, {"condition_on": "labels"})[0].classes == 0
    assert drawn(5_000, {"condition_on": "clusters"})[0].classes == 50


def test_batches_of_a_set_with_labels_of_its_own_give_the_clusters_and_leave_the_set_as_it_was(tmp_path):
    images = ganvas.load_dataset(shaded(tmp_path, labels=True))
    clusters = cluster_images(images, 4, seed=0)
    batches = Batches(
        images, 16, order="shuffle", drop_last=True, seed=0, device=torch.device("cpu"),
        labels=clusters, num_classes=4,
    )  # fmt: skip
    assert np.array_equal(batches.labels(0), clusters[batches.indices(0)])
    assert images.num_classes == 2

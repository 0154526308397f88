"""Training as a whole: what a run writes, and that neither stops nor callbacks change its bits."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import ganvas
import tiny
from ganvas import recipes
from ganvas.errors import RunError, TrainingError, UserError

RECIPES = list(recipes.PRESETS)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_holds_record_metrics_grids_animation_and_checkpoint(tmp_path, recipe):
    run = tiny.train(tmp_path, recipe, overrides={"grid.interval": 2})
    steps = [line["step"] for line in run.history() if "generator_loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [p.name for p in run.directory.sample_files()] == [f"0000000{i}.png" for i in (0, 2, 4, 6)]
    assert run.step == 6
    with Image.open(run.directory.animation) as gif:
        assert gif.n_frames == 4
    record = json.loads(run.directory.record_path.read_text())
    assert record["recipe"]["name"] == recipe
    assert record["data"]["fingerprint"] == ganvas.load_dataset(tmp_path / "discs.npz").fingerprint
    for value in run.history()[-1].values():
        assert np.isfinite(value)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 15, 15), (1, 8, 20)])
def test_every_recipe_trains_on_gray_and_rgb_of_any_size_and_says_that_it_was_refitted(
    tmp_path, recipe, shape
):
    run = tiny.train(tmp_path, recipe, steps=1, data=tiny.data_file(tmp_path, shape=shape))
    assert run.sample(3).shape == (3, *shape)
    assert any("designed for 28x28" in note for note in run.record.notes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_on_after_a_stop_gives_the_same_bits_as_never_stopping(tmp_path, recipe):
    overrides = {"ema": 0.9}
    whole = tiny.train(tmp_path, recipe, steps=8, name="whole", overrides=overrides)
    tiny.train(tmp_path, recipe, steps=3, name="parts", overrides=overrides)
    parts = ganvas.resume(tmp_path / "parts", steps=8, quiet=True)
    assert tiny.weights(parts) == tiny.weights(whole)
    assert parts.directory.sample_file(8).read_bytes() == whole.directory.sample_file(8).read_bytes()


def test_callbacks_do_not_change_the_weights(tmp_path):
    busy = {
        "grid.interval": 1,
        "checkpoint_interval": 1,
        "accuracy_probe": {"interval": 1},
        "generator_interval": 1,
    }
    calm = {"grid.interval": 6, "checkpoint_interval": 6, "log_interval": 6}
    a = tiny.train(tmp_path, "tutorial-dcgan", name="busy", overrides=busy)
    b = tiny.train(tmp_path, "tutorial-dcgan", name="calm", overrides=calm)
    assert tiny.weights(a) == tiny.weights(b)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    a, b, c = (tiny.train(tmp_path, name=n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert tiny.weights(a) == tiny.weights(b)
    assert tiny.weights(a) != tiny.weights(c)


def test_checkpoints_are_kept_newest_k_and_every_nth(tmp_path):
    overrides = {"checkpoint_interval": 1, "keep_last": 2, "keep_interval": 3}
    run = tiny.train(tmp_path, steps=8, overrides=overrides)
    assert sorted(int(p.name) for p in run.directory.checkpoints.iterdir()) == [3, 6, 7, 8]


def test_the_keras_recipe_saves_generators_with_their_epoch_and_a_verdict(tmp_path):
    run = tiny.train(
        tmp_path,
        "keras-cnn",
        steps=8,
        overrides={"generator_interval": "1 epoch", "accuracy_probe.interval": 4},
    )
    assert run.record.steps_per_epoch == 72 // 16
    assert [p.name for p in sorted(run.directory.generators.iterdir())] == [
        "epoch-0001.safetensors", "epoch-0002.safetensors"
    ]  # fmt: skip
    early, last = run.sample(3, epoch=1), run.sample(3, epoch=2)
    assert (early != last).any()
    assert (last == run.sample(3)).all()
    with pytest.raises(RunError, match="no generator of epoch 7; there are: 1, 2"):
        run.generator(epoch=7)
    verdicts = [line for line in run.history() if "probe_real_accuracy" in line]
    assert [line["step"] for line in verdicts] == [4, 8]
    assert all(0 <= line["probe_fake_accuracy"] <= 1 for line in verdicts)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step_and_name_and_keeps_the_last_good_checkpoint(
    tmp_path,
):
    overrides = {"discriminator_optimizer.learning_rate": 1e18, "checkpoint_interval": 1, "log_interval": 50}
    with pytest.raises(TrainingError, match=r"became (nan|inf|-inf) at step \d+.*checkpoint") as caught:
        tiny.train(tmp_path, steps=100, overrides=overrides)
    assert "\n" not in str(caught.value)
    run = ganvas.open_run(tmp_path / "run")
    for path in run.directory.checkpoints.iterdir():
        step = int(path.name)
        for network in (run.generator(step=step), run.discriminator(step=step)):
            assert all(bool(w.isfinite().all()) for w in network.state_dict().values())


def test_a_run_moved_elsewhere_opens_samples_and_resumes(tmp_path):
    whole = tiny.train(tmp_path, steps=6, name="whole")
    tiny.train(tmp_path, steps=3, name="run")
    (tmp_path / "far").mkdir()
    shutil.move(tmp_path / "run", tmp_path / "far" / "moved")
    shutil.move(tmp_path / "discs.npz", tmp_path / "far" / "set.npz")
    moved = ganvas.open_run(tmp_path / "far" / "moved")
    assert moved.sample(2).shape == (2, 1, 12, 12)
    resumed = ganvas.resume(moved.path, steps=6, data=tmp_path / "far" / "set.npz", quiet=True)
    assert tiny.weights(resumed) == tiny.weights(whole)


def test_resuming_on_other_images_is_refused(tmp_path):
    run = tiny.train(tmp_path)
    (tmp_path / "other").mkdir()
    other = tiny.data_file(tmp_path / "other", seed=5)
    with pytest.raises(RunError, match="other images"):
        ganvas.resume(run.path, steps=9, data=other, quiet=True)


def test_a_finished_run_is_left_as_it_is_by_resume(tmp_path):
    run = tiny.train(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    ganvas.resume(run.path, quiet=True)
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before


def test_resuming_a_finished_run_removes_what_killed_processes_left_of_its_files(tmp_path):
    run = tiny.train(tmp_path)
    before = sorted(run.path.rglob("*"))
    (run.path / ".report.html.a1b2c3_4.partial").write_text("<html>")
    (run.directory.samples / ".00000006.png.a1b2c3_4.partial").write_bytes(b"")
    for name in (".partial-00000006-4711", ".partial-00000003-old"):
        shutil.copytree(run.directory.checkpoints / "00000006", run.directory.checkpoints / name)
    ganvas.resume(run.path, quiet=True)
    assert sorted(run.path.rglob("*")) == before


NO_RUNS = {
    "missing": "no-such-run",
    "a long name": "x" * 5000,
    "a long path": "x/" * 3000,
    "a null character": "a\0b",
    "a file": "discs.npz",
    "below a file": "discs.npz/run",
}


@pytest.mark.parametrize("name", NO_RUNS.values(), ids=NO_RUNS)
def test_a_path_that_is_no_run_is_answered_in_one_line(tmp_path, name):
    tiny.data_file(tmp_path)
    with pytest.raises(RunError) as caught:
        ganvas.open_run(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_existing_run_is_never_overwritten_unless_asked(tmp_path):
    run = tiny.train(tmp_path, seed=1)
    before = tiny.weights(run)
    with pytest.raises(RunError, match="replace it with overwrite"):
        tiny.train(tmp_path, seed=2)
    assert tiny.weights(run) == before
    again = tiny.train(tmp_path, seed=2, overwrite=True)
    assert tiny.weights(again) != before


def test_overwrite_never_removes_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="no run"):
        tiny.train(tmp_path, overwrite=True)
    assert (tmp_path / "run" / "thesis.txt").read_text() == "years of work"


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, capsys):
    whole = tiny.train(tmp_path, steps=6, name="whole", overrides={"checkpoint_interval": 2})
    run = tiny.train(tmp_path, steps=6, name="run", overrides={"checkpoint_interval": 2})
    file = run.directory.checkpoints / "00000006" / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    assert run.sample(1).shape[0] == 1
    assert "00000006" in run.notes[0]
    assert "damaged" in run.notes[0]
    resumed = ganvas.resume(run.path)
    assert "falling back" in capsys.readouterr().err
    assert tiny.weights(resumed) == tiny.weights(whole)


def test_a_run_of_an_earlier_format_is_refused_with_what_to_do(tmp_path):
    run = tiny.train(tmp_path)
    record = json.loads(run.directory.record_path.read_text())
    run.directory.record_path.write_text(json.dumps({**record, "format": 1}))
    with pytest.raises(RunError, match=r"of an earlier ganvas .* or train it again"):
        ganvas.open_run(run.path)


def test_a_run_of_a_newer_format_is_refused(tmp_path):
    run = tiny.train(tmp_path)
    record = json.loads(run.directory.record_path.read_text())
    run.directory.record_path.write_text(json.dumps({**record, "format": 3}))
    with pytest.raises(RunError, match="update ganvas"):
        ganvas.open_run(run.path)


def test_a_batch_larger_than_the_set_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="larger than the data set"):
        tiny.train(tmp_path, overrides={"batch_size": 100})
    assert not (tmp_path / "run").exists()


def test_metrics_after_the_resumed_checkpoint_are_written_once(tmp_path):
    run = tiny.train(tmp_path, steps=4, overrides={"checkpoint_interval": 2})
    shutil.rmtree(run.directory.checkpoints / "00000004")
    with run.directory.metrics.open("a") as file:
        file.write('{"step": 5, "gener')  # cut off by a kill
    ganvas.resume(run.path, steps=6, quiet=True)
    assert [line["step"] for line in run.history()] == [1, 2, 3, 4, 5, 6]


def test_no_file_of_a_run_is_a_pickle(tmp_path):
    run = tiny.train(tmp_path, "keras-cnn", steps=8, overrides={"generator_interval": "1 epoch"})
    suffixes = {p.suffix for p in run.path.rglob("*") if p.is_file() and p.name != ".lock"}
    assert suffixes == {".json", ".jsonl", ".png", ".gif", ".html", ".safetensors"}


def test_a_memory_mapped_set_trains_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    loaded = tiny.train(tmp_path, steps=6, name="loaded")
    np.save(tmp_path / "discs.npy", tiny.images())
    mapped = {"data": tmp_path / "discs.npy", "mmap_threshold": 0}
    assert isinstance(ganvas.load_dataset(mapped["data"], mmap_threshold=0).images, np.memmap)
    tiny.train(tmp_path, steps=3, name="mapped", **mapped)
    resumed = ganvas.resume(tmp_path / "mapped", steps=6, mmap_threshold=0, quiet=True)
    assert resumed.record.data.fingerprint == loaded.record.data.fingerprint
    assert tiny.weights(resumed) == tiny.weights(loaded)


def test_a_run_directory_is_trained_by_one_process_at_a_time(tmp_path):
    from ganvas.runs.lock import exclusive_lock

    run = tiny.train(tmp_path)
    with exclusive_lock(run.path), pytest.raises(RunError, match="another process"):
        ganvas.resume(run.path, steps=9, quiet=True)


@pytest.mark.full_data
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_finds_its_own_full_data(tmp_path, recipe):
    run = ganvas.train(
        recipe,
        out=tmp_path / "run",
        steps=1,
        overrides={**tiny.TINY[recipe], "tensorboard": False, "scores": None},
        quiet=True,
    )
    assert run.record.data.name == ("fashion-mnist" if recipe == "fashion-dcgan" else "mnist")
    assert run.record.data.images == (70_000 if recipe == "tf1-dcgan" else 60_000)
    batches = {
        "tutorial-dcgan": 3750,
        "fashion-dcgan": 3750,
        "keras-cnn": 3750,
        "mlp": 3750,
        "tf1-dcgan": 4375,
    }
    assert run.record.steps_per_epoch == batches[recipe]

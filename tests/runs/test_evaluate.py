"""`ganvas evaluate` on runs, folders and files: real images reach the baseline, corrupted ones do not."""

import json

import numpy as np
import pytest

import ganvas
import tiny
from ganvas import cli
from ganvas.errors import DataError, UserError
from ganvas.evaluation import Protocol, load_reference, require_same
from ganvas.evaluation.history import read_evaluation, read_evaluations
from ganvas.runs import evaluate as scoring

SCORED = ["fid", "kid", "precision", "recall", "density", "coverage", "vendi", "authenticity", "copies"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run that was scored twice while training."""
    overrides = {"scores": {"interval": 3, "images": 40, "final": 60}}
    return tiny.train(tmp_path_factory.mktemp("scored"), overrides=overrides)


@pytest.fixture(scope="module")
def digits():
    return ganvas.load_dataset("mnist-5k")


def saved(path, images):
    np.save(path, images) if path.suffix == ".npy" else np.savez(path, images=images)
    return path


def scores_of(path, **how):
    return scoring.evaluate_images(path, data="mnist-5k", **how).as_json()


def test_a_run_is_scored_into_its_directory_with_baseline_stderr_and_protocol(run):
    result = read_evaluation(run.directory.evaluation)
    assert result["subject"].endswith("step 6") or result["subject"].endswith("step 3")
    for key in SCORED:
        assert np.isfinite(result[key])
        assert np.isfinite(result[f"{key}_baseline"])
    for key in ("fid", "kid", "precision", "recall", "density", "coverage"):
        assert result[f"{key}_stderr"] >= 0
    protocol = result["protocol"]
    assert protocol["images"] == 60
    assert protocol["features"] == "gv1"
    assert protocol["text"].startswith(f"gv1 ({protocol['features_version']}), 60 images against discs")
    assert run.directory.neighbors.read_bytes().startswith(b"\x89PNG")
    assert "<html" in run.directory.report.read_text().lower()


def test_the_command_prints_a_table_or_one_json_object(run, capsys):
    assert cli.main(["evaluate", str(run.path), "--count", "50"]) == 0
    table = capsys.readouterr().out
    assert "FID" in table
    assert "baseline: " in table
    assert cli.main(["evaluate", str(run.path), "--count", "50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["protocol"]["images"] == 50
    assert result["fid"] == read_evaluations(run.directory.evaluation)[-1]["fid"]


def test_the_same_images_score_the_same_as_npy_npz_and_folder(tmp_path, digits):
    images = digits.images[::100]
    ganvas.runs.image_batch.ImageBatch.of(np.ascontiguousarray(images)).save(tmp_path / "folder")
    paths = [saved(tmp_path / "a.npy", images), saved(tmp_path / "a.npz", images), tmp_path / "folder"]
    result = [scores_of(path) for path in paths]
    for other in result[1:]:
        assert all(other[key] == result[0][key] for key in SCORED)


def test_a_missing_class_is_named_and_noise_is_far_from_everything(tmp_path, digits):
    without = digits.images[digits.labels != 7][::3]
    real = scores_of(saved(tmp_path / "all.npy", digits.images[::3]))
    lost = scores_of(saved(tmp_path / "lost.npy", without))
    noise = np.random.default_rng(0).integers(0, 256, without.shape, dtype=np.uint8)
    wild = scores_of(saved(tmp_path / "noise.npy", noise))
    assert real["modes"] == 10
    assert real["modes_missing"] == []
    assert lost["modes"] == 9
    assert lost["modes_missing"] == ["7"]
    assert real["fid"] < lost["fid"] < wild["fid"]
    assert wild["fid"] > 100 * real["fid"]
    assert wild["precision"] == wild["coverage"] == 0


def test_the_training_images_themselves_are_recognized_as_copies(tmp_path, digits):
    result = scores_of(saved(tmp_path / "train.npy", digits.images[::4]))
    assert result["copies"] > 0.3  # those of the half that stands for the training images
    assert result["copying"] < -3
    assert result["copies_baseline"] < 0.03


def test_a_set_without_a_test_split_is_compared_with_itself_in_halves(digits):
    reference = load_reference("mnist-5k")
    assert len(reference.features) == len(digits)
    assert len(reference.train_features) == len(reference.held_out) == 2500
    both = np.concatenate([reference.train_features.numpy(), reference.held_out.numpy()])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(reference.features.numpy()[:, 0]))


def test_features_of_real_images_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    data = tiny.data_file(tmp_path)
    first = load_reference(data)
    files = sorted((tmp_path / "cache" / "features").iterdir())
    assert len(files) == 1
    monkeypatch.setattr(type(first.extractor), "__call__", lambda *_: pytest.fail("computed again"))
    again = load_reference(data)
    assert again.features.equal(first.features)


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_a_damaged_cache_is_computed_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    data = tiny.data_file(tmp_path)
    first = load_reference(data)
    (file,) = (tmp_path / "cache" / "features").iterdir()
    file.write_bytes(damage)
    assert load_reference(data).features.equal(first.features)
    assert file.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    assert len(load_reference(tiny.data_file(tmp_path)).features) == 72


def test_scores_of_different_protocols_refuse_to_be_compared():
    a = load_reference("mnist-5k").protocol(1000)
    require_same(a, Protocol(**a.model_dump()))
    with pytest.raises(UserError, match=r"cannot be compared, their protocols differ in images.*ganvas eval"):
        require_same(a, a.model_copy(update={"images": 2000}))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nothing.npy"], "no such file or folder"),
        (["{few}", "--data", "mnist-5k"], "at least 24 images"),
        (["{rgb}", "--data", "mnist-5k"], "give a size for both"),
        (["{rgb}"], "give the real images"),
        (["{good}", "--data", "mnist-5k", "--count", "10"], "count 10: expected 24 to"),
        (["{good}", "--data", "mnist-5k", "--features", "gv2"], "did you mean 'gv1'"),
        (["{good}", "--data", "mnist-5k", "--step", "5"], "step is for a run"),
        (["{good}", "--data", "mnist-5k", "--out", "x.txt"], "expected a .json"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(tmp_path, capsys, words, expected):
    files = {
        "few": saved(tmp_path / "few.npy", tiny.images(5, (1, 28, 28))),
        "rgb": saved(tmp_path / "rgb.npy", tiny.images(30, (3, 16, 16))),
        "good": saved(tmp_path / "good.npy", tiny.images(30, (1, 28, 28))),
    }
    words = [word.format(**files) for word in words]
    if words[0] == "nothing.npy":
        words[0] = str(tmp_path / "nothing.npy")
    assert cli.main(["evaluate", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_run_of_rgb_images_is_scored_by_the_color_features(tmp_path):
    run = tiny.train(tmp_path, data=tiny.data_file(tmp_path, shape=(3, 16, 16)), steps=2)
    result = scoring.evaluate_run(run, count=40)
    assert result.evaluation.protocol.features == "gv1-color"
    assert np.isfinite(result.as_json()["fid"])


def test_a_run_can_be_compared_with_other_real_images_of_its_shape_only(tmp_path, run):
    others = tmp_path / "others.npy"
    np.save(others, tiny.images(80, (1, 12, 12), seed=5))
    assert scoring.evaluate_run(run, data=others, count=40).evaluation.protocol.reference == "others"
    with pytest.raises(DataError, match="give other real images as data"):
        scoring.evaluate_run(run, data="mnist-5k", count=40)


def test_another_test_split_is_another_protocol_and_another_baseline(tmp_path):
    train = tiny.images(80, (1, 28, 28))
    results = []
    for seed in (5, 6):
        path = tmp_path / "set.npz"
        arrays = {"x_train": train[:, 0], "x_test": tiny.images(60, (1, 28, 28), seed=seed)[:, 0]}
        labels = {f"y_{part}": np.zeros(len(arrays[f"x_{part}"]), np.int64) for part in ("train", "test")}
        np.savez(path, **arrays, **labels)
        images = saved(tmp_path / "fakes.npy", tiny.images(60, (1, 28, 28), seed=9))
        results.append(scoring.evaluate_images(images, data=path))
    with pytest.raises(UserError, match="held_out_fingerprint"):
        require_same(*(f.evaluation.protocol for f in results))
    assert results[0].evaluation.baseline != results[1].evaluation.baseline


def test_a_run_trained_on_the_test_split_is_scored_against_that(tmp_path):
    path = tmp_path / "set.npz"
    parts = {"train": tiny.images(80), "test": tiny.images(72, seed=3)}
    np.savez(
        path,
        **{f"x_{part}": images[:, 0] for part, images in parts.items()},
        **{f"y_{part}": np.zeros(len(images), np.int64) for part, images in parts.items()},
    )
    test = tiny.train(tmp_path, steps=1, data=path, name="test", split="test")
    both = tiny.train(tmp_path, steps=1, data=path, name="all", split="all")
    assert scoring.evaluate_run(test, count=40).evaluation.protocol.reference == "set test"
    result = scoring.evaluate_run(both, count=40)
    assert result.evaluation.protocol.reference == "set train"
    assert "trained on the test split, too" in result.notes[0]


def test_a_run_whose_data_has_changed_is_not_scored_against_the_change(tmp_path, capsys):
    run = tiny.train(tmp_path, steps=2)
    tiny.data_file(tmp_path, seed=8)
    assert cli.main(["evaluate", str(run.path), "--count", "30"]) == 2
    assert "holds other images than" in capsys.readouterr().err
    tiny.data_file(tmp_path, shape=(3, 16, 16))
    assert cli.main(["report", str(run.path)]) == 0
    assert "nearest training images are left out" in capsys.readouterr().err


def test_data_that_moved_is_scored_where_it_lies_now(tmp_path):
    import ganvas

    overrides = {"scores": {"interval": 2, "images": 24, "final": 24}}
    run = tiny.train(tmp_path, steps=2, overrides=overrides)
    moved = (tmp_path / "discs.npz").rename(tmp_path / "moved.npz")
    again = ganvas.resume(run.path, steps=4, data=moved, quiet=True)
    assert [line["step"] for line in again.history() if "score" in line] == [2, 4]
    assert read_evaluation(again.directory.evaluation)["step"] in (2, 4)
    assert scoring.evaluate_run(again, count=30).evaluation.protocol.images == 30


def test_other_questions_leave_the_runs_own_evaluation_alone(tmp_path, run, capsys):
    before = run.directory.evaluation.read_bytes()
    words = [
        "evaluate",
        str(run.path),
        "--count",
        "30",
        "--step",
        "newest",
        "--out",
        str(tmp_path / "x.json"),
    ]
    assert cli.main(words) == 0
    assert run.directory.evaluation.read_bytes() == before
    assert json.loads((tmp_path / "x.json").read_text())["protocol"]["images"] == 30


def test_a_missing_checkpoint_is_refused_before_any_work(run, monkeypatch, capsys):
    monkeypatch.setattr(scoring, "load_reference", lambda *_, **__: pytest.fail("loaded"))
    assert cli.main(["evaluate", str(run.path), "--step", "999"]) == 2
    assert "no checkpoint of step 999" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.full_data
def test_mnists_own_test_set_reaches_the_baseline_exactly(tmp_path):
    test = ganvas.load_dataset("mnist", split="test")
    result = scoring.evaluate_images(saved(tmp_path / "test.npy", test.images), data="mnist").as_json()
    for key in ("fid", "kid", "precision", "recall", "density", "coverage", "vendi"):
        assert result[key] == result[f"{key}_baseline"]
    assert result["modes"] == 10
    assert 0.5 < result["precision"] < 1
    assert 0.98 < 1 - result["copies"] < 1


@pytest.fixture
def mean_shift():
    """A registered metric: the distance of the means of the features."""
    from ganvas.evaluation.metric_info import CUSTOM_METRICS

    @ganvas.register.metric("mean_shift", title="Mean shift", better="lower", meaning="distance of the means")
    def mean_shift(fake_features, real_features):
        return (fake_features.mean(0) - real_features.mean(0)).norm()

    yield
    CUSTOM_METRICS.remove("mean_shift")


def test_a_registered_metric_is_evaluated_with_its_baseline(tmp_path, digits, request):
    path = saved(tmp_path / "a.npy", digits.images[::50])
    before = scoring.evaluate_images(path, data="mnist-5k")
    request.getfixturevalue("mean_shift")
    evaluated = scoring.evaluate_images(path, data="mnist-5k")
    values = evaluated.as_json()
    expected = (evaluated.features.mean(0) - evaluated.reference.features.mean(0)).norm().item()
    assert values["mean_shift"] == pytest.approx(expected, abs=1e-5)
    assert values["mean_shift_baseline"] >= 0
    assert any(line.startswith("Mean shift") and "lower is better" in line for line in evaluated.lines())
    assert evaluated.evaluation.protocol == before.evaluation.protocol
    assert {key: values[key] for key in SCORED} == {key: before.as_json()[key] for key in SCORED}


def test_fewer_images_do_not_replace_the_evaluation_of_more(tmp_path):
    run = tiny.train(tmp_path, steps=2, overrides={"scores": {"interval": 2, "images": 24, "final": 60}})
    ganvas.evaluate(run, count=30)
    assert [entry["protocol"]["images"] for entry in read_evaluations(run.directory.evaluation)] == [60, 30]
    assert read_evaluation(run.directory.evaluation)["protocol"]["images"] == 60


def test_options_of_a_path_are_refused_for_a_run_and_the_other_way_round(tmp_path, run):
    with pytest.raises(UserError, match="size and resize are for the images of a path"):
        ganvas.evaluate(run, size=28)
    with pytest.raises(UserError, match="step is for a run"):
        ganvas.evaluate(tmp_path / "x.npy", step=3)

"""The command line: what is printed, and how bad input is refused.

Every refusal is one line on stderr that begins with "ganvas: ", exit code 2 for the user's mistakes and 1 for
the machine's, no traceback, and nothing half-written.
"""

import ast
import dataclasses
import inspect
import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import ganvas
import tiny
from ganvas import errors
from ganvas.cli import main, parse
from ganvas.cli.parser import COMMANDS
from ganvas.errors import UserError
from ganvas.runs.options import ForkOptions, ResumeOptions, TrainOptions
from ganvas.training.objectives import OBJECTIVES

PLUGIN = """
from pathlib import Path
import torch.nn.functional as F
import ganvas
from ganvas.callbacks import Callback

@ganvas.register.objective("plain")
def plain(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()

@ganvas.register.callback("end")
class End(Callback):
    def on_end(self):
        Path("ended").touch()
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small finished run that tests only read."""
    return tiny.train(tmp_path_factory.mktemp("finished"), "tutorial-dcgan")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder to work in, where no data set of this machine is seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    return tmp_path


def refused(capsys, words, code=2):
    """Run `words`; check the form of the refusal and return its line."""
    assert main([str(w) for w in words]) == code
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("ganvas: ")
    assert "mistake in ganvas" not in lines[0]
    return lines[0]


SOURCES = sorted(Path(ganvas.__file__).parent.rglob("*.py"))
ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, UserError)
}


def raised_text(source):
    """The string constants of every `raise` of a UserError in a source file, with their lines."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and getattr(getattr(node.exc, "func", None), "id", None) in ERRORS:
            constants = (part for part in ast.walk(node) if isinstance(part, ast.Constant))
            yield from ((part.lineno, part.value) for part in constants if isinstance(part.value, str))


@pytest.mark.parametrize("source", [s for s in SOURCES if s.parent.name != "cli"], ids=lambda s: s.stem)
def test_no_error_that_python_users_see_names_a_flag(source):
    assert not [(line, text) for line, text in raised_text(source) if re.search(r"(^|\W)--[a-z]", text)]


def test_errors_name_the_option_as_python_and_the_command_line_spell_it(finished, work):
    run = ganvas.open_run(finished.path)
    for option, call in {
        "count 0": lambda: run.sample(0),
        "seed -1": lambda: run.sample(1, seed=-1),
        "class 7": lambda: run.sample(1, class_=7),
        "step late": lambda: run.sample(1, step="late"),
        "rows 0": lambda: run.interpolate(rows=0),
        "out x.jpg": lambda: run.sample(1).save("x.jpg"),
        "count 3": lambda: ganvas.evaluate(run, count=3),
        "steps 0": lambda: ganvas.resume(run.path, steps=0),
        "threads 0": lambda: ganvas.train("mlp", "mnist-5k", "r", threads=0),
    }.items():
        with pytest.raises(UserError) as caught:
            call()
        assert str(caught.value).startswith(f"{option}:")
        assert "--" not in str(caught.value)


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_recipes_lists_all_six_with_source_data_length_and_cost(capsys):
    assert main(["recipes"]) == 0
    out = capsys.readouterr().out
    for name in tiny.TINY:
        assert f"\n{name}:" in "\n" + out
    for word in ("source", "data", "length", "cost"):
        assert out.count(f"    {word}") == 6


def test_recipes_show_prints_json_that_trains_again(work, capsys):
    assert main(["recipes", "show", "mlp", "--set", "batch_size=16"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["batch_size"] == 16
    (work / "mine.json").write_text(text)
    data = tiny.data_file(work)
    assert main(["train", "mine.json", "--data", str(data), "--out", "r", "--steps", "1"]) == 0


def test_the_whole_way_from_data_to_images_through_the_command_line(work, capsys):
    data = tiny.data_file(work)
    words = ["train", "mlp", "--data", str(data), "--out", "r", "--steps", "3", "--seed", "4"]
    words += tiny.words("mlp")
    assert main(words) == 0
    captured = capsys.readouterr()
    assert "72 gray images of 12x12" in captured.err
    assert "step 3/3" in captured.err
    assert main(["resume", "r", "--steps", "5"]) == 0
    assert main(["show", "r"]) == 0
    output = capsys.readouterr().out
    assert "step 5 of 5" in output
    assert "ganvas train mlp" in output
    for out in ("s.png", "s.npz", "s.npy", "folder"):
        assert main(["sample", "r", "--count", "10", "--out", out, "--seed", "3"]) == 0
    array = np.load("s.npy")
    assert array.dtype == np.uint8
    assert array.shape == (10, 1, 12, 12)
    assert (np.load("s.npz")["images"] == array).all()
    with Image.open("folder/00003.png") as image:
        assert (np.asarray(image) == array[3, 0]).all()
    with Image.open("s.png") as sheet:
        assert sheet.size == (4 * 13 + 1, 3 * 13 + 1)
    assert main(["interpolate", "r", "--rows", "2", "--columns", "4", "--out", "walk.png"]) == 0
    with Image.open("walk.gif") as gif:
        assert gif.n_frames == 6
    assert main(["animate", "r", "--out", "a.gif", "--no-subsample"]) == 0
    with Image.open("a.gif") as gif:
        assert gif.n_frames >= 2
    capsys.readouterr()
    assert main(["discriminate", "r", "folder/00003.png", "folder"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 + 1 + 10
    logit = float(lines[5].split()[-2])
    assert float(lines[5].split()[-1]) == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)


def test_sampling_twice_with_one_seed_gives_the_same_file_and_another_seed_another(finished, work):
    for name, seed in (("a.npy", 0), ("b.npy", 0), ("c.npy", 1)):
        assert main(["sample", str(finished.path), "--out", name, "--seed", str(seed), "--count", "4"]) == 0
    a, b, c = ((work / n).read_bytes() for n in ("a.npy", "b.npy", "c.npy"))
    assert a == b
    assert a != c


def test_data_prints_the_facts_and_writes_the_preview(work, capsys):
    assert main(["data", "mnist-5k", "--out", "p.png"]) == 0
    out = capsys.readouterr().out
    assert "5,000" in out
    assert "500" in out
    with Image.open("p.png") as preview:
        width, height = preview.size
    assert width / (6 * 29 + 1) == height / (5 * 29 + 1)


def test_training_without_mnist_falls_back_to_the_bundled_digits_and_says_so(work, capsys, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    words = ["train", "mlp", "--out", "r", "--steps", "1"]
    words += tiny.words("mlp")
    assert main(words) == 0
    err = capsys.readouterr().err
    assert "mnist-5k" in err
    assert "MNIST" in err


BAD_TRAIN = {
    "unknown recipe": (["mlpp"], "did you mean 'mlp'"),
    "unknown key": (["mlp", "--set", "batch_sise=3"], "did you mean 'batch_size'"),
    "unknown nested key": (["mlp", "--set", "discriminator.dropuot=0"], "'discriminator.dropout'"),
    "wrong type": (["mlp", "--set", "batch_size=many"], "'batch_size'"),
    "wrong sign": (["mlp", "--set", "batch_size=-1"], "greater than or equal to 1"),
    "a boolean for a number": (["mlp", "--set", "batch_size=true"], "'batch_size'"),
    "not a number": (["mlp", "--set", "generator_optimizer.learning_rate=NaN"], "learning_rate"),
    "no equals sign": (["mlp", "--set", "batch_size"], "key=value"),
    "negative steps": (["mlp", "--steps", "-5"], "steps -5"),
    "zero epochs": (["mlp", "--epochs", "0"], "epochs 0"),
    "steps and epochs": (["mlp", "--epochs", "1", "--steps", "2"], "not both"),
    "steps no number": (["mlp", "--steps", "x"], "--steps"),
    "negative seed": (["mlp", "--seed", "-1"], "seed -1"),
    "unknown device": (["mlp", "--device", "tpu"], "auto, cpu or cuda"),
    "unknown option": (["mlp", "--bacth", "3"], "--bacth"),
    "unknown objective": (["mlp", "--set", "objective=hinged"], "objective"),
    "unknown split": (["mlp", "--split", "half"], "split"),
    "no threads": (["mlp", "--threads", "0"], "threads 0"),
    "batch larger than the set": (["mlp", "--set", "batch_size=6000"], "larger than the data set"),
    "unknown fit": (["mlp", "--size", "20", "--resize", "squash"], "crop"),
    "missing recipe file": (["nothing.json"], "nothing.json"),
}


@pytest.mark.parametrize("name", BAD_TRAIN)
def test_a_bad_request_to_train_is_refused_in_one_line_and_nothing_is_written(work, capsys, name):
    words, expected = BAD_TRAIN[name]
    assert expected in refused(capsys, ["train", *words, "--data", "mnist-5k", "--out", work / "r"])
    assert not (work / "r").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_refused_in_one_line(work, capsys):
    words = ["train", "mlp", "--data", "mnist-5k", "--out", "r", "--device", "cuda"]
    assert "use device cpu" in refused(capsys, words)
    assert not (work / "r").exists()


def idx(kind, shape, payload):
    return bytes([0, 0, kind, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + payload


def png(shape=(12, 12), mode="L", noise=False):
    buffer = io.BytesIO()
    image = Image.effect_noise(shape, 90) if noise else Image.new(mode, shape)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_bad_data(name, folder):
    """Write the bad data set called `name` and return its path."""
    path = folder / "bad"
    images = np.zeros((4, 12, 12), np.uint8)
    if name == "missing path":
        return folder / "missing"
    if name == "zip with names outside":
        with zipfile.ZipFile(folder / "bad.zip", "w") as archive:
            archive.writestr("../evil.png", png())
        return folder / "bad.zip"
    if name == "zip bomb":
        with zipfile.ZipFile(folder / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", bytes(300 * 2**20))
        return folder / "bad.zip"
    if name == "npz with pickled objects":
        np.savez(folder / "bad.npz", images=np.array([{"a": 1}], dtype=object))
        return folder / "bad.npz"
    if name == "labels of another length":
        np.savez(folder / "bad.npz", images=images, labels=np.zeros(3, np.int64))
        return folder / "bad.npz"
    if name == "not a data set":
        path = folder / "bad.txt"
        path.write_text("hello")
        return path
    path.mkdir()
    content = {
        "empty folder": {},
        "truncated IDX": {"train-images-idx3-ubyte": idx(8, (4, 12, 12), bytes(500))},
        "labels as images": {"train-images-idx3-ubyte": idx(8, (4,), bytes(4))},
        "wrong magic": {"train-images-idx3-ubyte": b"\x12\x34" + bytes(600)},
        "an image that is none": {"a.png": b"not an image", "b.png": png()},
        "truncated image": {"a.png": png((64, 64), noise=True)[:900], "b.png": png((64, 64))},
        "mixed sizes": {"a.png": png((12, 12)), "b.png": png((16, 12))},
        "mixed modes": {"a.png": png(), "b.png": png(mode="RGB")},
        "too small": {"a.png": png((4, 4))},
        "too large": {"a.png": png((300, 300))},
    }[name]
    for file, payload in content.items():
        (path / file).write_bytes(payload)
    return path


BAD_DATA = [
    "missing path", "zip with names outside", "zip bomb", "npz with pickled objects",
    "labels of another length", "not a data set", "empty folder", "truncated IDX", "labels as images",
    "wrong magic", "an image that is none", "truncated image", "mixed sizes", "mixed modes",
    "too small", "too large",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_DATA)
@pytest.mark.parametrize("command", ["train", "data"])
def test_bad_data_is_refused_in_one_line_and_nothing_is_written(work, capsys, name, command):
    folder = work / "folder"
    folder.mkdir()
    path = make_bad_data(name, folder)
    before = files_in(folder)
    words = (
        ["train", "mlp", "--data", path, "--out", work / "r", "--set", "batch_size=2"]
        if command == "train"
        else ["data", path]
    )
    refused(capsys, words)
    assert files_in(folder) == before
    assert not (work / "r").exists()
    assert not list(work.glob("*.png"))


@pytest.mark.parametrize("command", ["show", "sample", "interpolate", "animate", "discriminate", "resume"])
def test_a_path_that_is_no_run_is_refused_in_one_line(work, capsys, command):
    assert "no run at" in refused(capsys, [command, "nowhere"])
    assert not (work / "nowhere").exists()


def test_a_command_that_does_not_exist_is_refused_with_the_nearest(capsys):
    assert "did you mean 'sample'" in refused(capsys, ["sampl", "r"])
    assert "COMMAND" in refused(capsys, [])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sample", "--out", "x.jpg"], ".npz"),
        (["sample", "--count", "0"], "count 0"),
        (["sample", "--count", "-3"], "count -3"),
        (["sample", "--seed", "-3"], "seed -3"),
        (["sample", "--step", "99"], "no checkpoint of step 99"),
        (["interpolate", "--columns", "1"], "columns 1"),
        (["interpolate", "--out", "x.gif"], ".png"),
        (["animate", "--out", "x.png"], ".gif"),
        (["discriminate", "missing.png"], "missing.png"),
    ],
)
def test_bad_requests_to_a_run_are_refused_in_one_line(finished, work, capsys, words, expected):
    command, *rest = words
    assert expected in refused(capsys, [command, finished.path, *rest])
    assert not list(work.glob("x.*"))


def test_images_of_another_size_are_judged_only_with_resize(finished, work, capsys):
    (work / "big.png").write_bytes(png((30, 30)))
    assert "30" in refused(capsys, ["discriminate", finished.path, "big.png"])
    assert main(["discriminate", str(finished.path), "big.png", "--resize", "resize"]) == 0


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_in_one_line(work, capsys):
    run = tiny.train(work, "mlp")
    for file in run.directory.checkpoints.rglob("generator.safetensors"):
        file.write_bytes(file.read_bytes()[:50])
    for command in ("sample", "resume"):
        more = ["--steps", "20"] if command == "resume" else []
        assert "damaged" in refused(capsys, [command, run.path, *more])
    assert not (run.path / "sample.png").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 2}', '{"format": "one"}'])
def test_an_edited_run_json_is_refused_in_one_line(work, capsys, text):
    (work / "r").mkdir()
    (work / "r" / "run.json").write_text(text)
    for command in ("show", "sample", "resume"):
        assert "run.json" in refused(capsys, [command, "r"])


def test_an_existing_run_is_refused_and_untouched(finished, capsys):
    before = files_in(finished.path)
    words = ["train", "mlp", "--data", "mnist-5k", "--out", finished.path]
    assert "replace it with overwrite" in refused(capsys, words)
    assert files_in(finished.path) == before


def test_a_path_that_may_not_be_written_is_the_machines_fault(finished, work, capsys):
    (work / "file").write_text("")
    line = refused(capsys, ["sample", finished.path, "--out", "file/x.png"], code=1)
    assert "could not write" in line


def test_more_images_than_memory_holds_are_refused_at_once(finished, work, capsys):
    line = refused(capsys, ["sample", finished.path, "--count", 10**12, "--out", "x.npy"], code=1)
    assert "GiB" in line
    assert not (work / "x.npy").exists()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps_per_epoch",), 0),
        (("seed",), -1),
        (("data", "image_shape"), [1, 99999, 99999]),
        (("recipe", "batch_size"), 0),
        (("recipe", "latent", "size"), 10**15),
        (("recipe", "generator", "kind"), "os:system"),
        (("recipe", "generator", "base"), 10**12),
        (("recipe", "grid", "rows"), 10**7),
        (("recipe", "name"), "../../escaped"),
        (("machine",), None),
    ],
)
def test_a_run_json_with_absurd_values_is_refused_in_one_line(work, capsys, path, value):
    run = tiny.train(work, "tutorial-dcgan", steps=1)
    record = json.loads(run.directory.record_path.read_text())
    node = record
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    run.directory.record_path.write_text(json.dumps(record))
    for command in (["sample", run.path, "--out", "x.png"], ["resume", run.path, "--steps", "3"]):
        refused(capsys, command)
    assert not (work / "x.png").exists()


def test_networks_that_would_not_fit_into_memory_are_refused_at_once(work, capsys):
    words = [
        "train",
        "mlp",
        "--data",
        "mnist-5k",
        "--out",
        "r",
        "--set",
        "generator.hidden=[1048576, 1048576]",
    ]
    assert "GiB" in refused(capsys, words, code=1)
    assert not (work / "r").exists()


def test_a_run_goes_on_only_with_the_recipe_it_began_with(work, capsys):
    run = tiny.train(work, "mlp", steps=2)
    record = json.loads(run.directory.record_path.read_text())
    record["recipe"]["generator_optimizer"]["learning_rate"] = 0.5
    run.directory.record_path.write_text(json.dumps(record))
    assert "generator_optimizer" in refused(capsys, ["resume", run.path, "--steps", "3"])


def test_a_name_beside_a_folder_of_that_name_is_still_the_sets(work, capsys):
    (work / "mnist-5k").mkdir()
    words = ["train", "mlp", "--data", "mnist-5k", "--out", "r", "--steps", "1", *tiny.words("mlp")]
    assert main(words) == 0
    assert main(["resume", "r", "--steps", "2"]) == 0


def test_a_recipe_whose_own_data_is_a_path_is_resumed_from_another_folder(work, capsys, monkeypatch):
    tiny.data_file(work)
    words = ["train", "mlp", "--set", "data=discs.npz", "--out", work / "r", "--steps", "1"]
    assert main([str(w) for w in [*words, *tiny.words("mlp")]]) == 0
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    assert main(["resume", str(work / "r"), "--steps", "2"]) == 0


def test_a_lost_animation_is_made_again_by_resume(work):
    run = tiny.train(work, "mlp", steps=2)
    run.directory.animation.unlink()
    assert main(["resume", str(run.path)]) == 0
    assert run.directory.animation.exists()


def test_a_directory_that_a_killed_start_left_bare_can_be_used(work):
    data = tiny.data_file(work)
    (work / "r" / "samples").mkdir(parents=True)
    (work / "r" / ".run.json.abc1_def.partial").write_text("{")
    (work / "r" / ".lock").write_text("")
    words = ["train", "mlp", "--data", str(data), "--out", "r", "--steps", "1", *tiny.words("mlp")]
    assert main(words) == 0
    assert not (work / "r" / ".run.json.abc1_def.partial").exists()


OWN = """
from typing import Literal
from torch import nn
from ganvas.networks import GeneratorSpec
from ganvas.recipes.schema import Recipe
from ganvas.recipes import load_recipe

class Straight(GeneratorSpec):
    kind: Literal["straight"] = "straight"

    def build(self, image_shape, latent_size, pixel_range):
        c, h, w = image_shape
        return nn.Sequential(nn.Linear(latent_size, c * h * w), nn.Tanh(), nn.Unflatten(1, (c, h, w)))

recipe = load_recipe("mlp").model_copy(update={"name": "mine", "generator": Straight(), "batch_size": 16})
"""


def test_a_run_with_networks_of_ones_own_is_opened_with_their_code_and_never_without(work, capsys):
    data = tiny.data_file(work)
    (work / "mine.py").write_text(OWN)
    assert main(["train", "mine.py", "--data", str(data), "--out", "r", "--steps", "1"]) == 0
    capsys.readouterr()
    from ganvas.networks.spec import GeneratorSpec

    GeneratorSpec.kinds.remove("straight")  # as in another process
    assert "as a plugin" in refused(capsys, ["sample", "r", "--out", "x.png"])
    assert main(["sample", "r", "--out", "x.png", "--plugin", "mine.py"]) == 0
    GeneratorSpec.kinds.remove("straight")


def test_a_recipe_module_beside_the_user_is_found_by_its_name(work, monkeypatch, capsys):
    (work / "besides.py").write_text(OWN)
    assert main(["recipes", "show", "besides"]) == 0
    assert main(["recipes", "show", "besides:recipe"]) == 0
    from ganvas.networks.spec import GeneratorSpec

    GeneratorSpec.kinds.remove("straight")


def test_options_may_come_before_the_images_that_are_judged(finished, work, capsys):
    (work / "big.png").write_bytes(png((30, 30)))
    assert main(["discriminate", str(finished.path), "--resize", "resize", "big.png"]) == 0
    assert "big.png" in capsys.readouterr().out


def test_metrics_of_the_wrong_kind_do_not_keep_a_run_from_being_printed(work, capsys):
    run = tiny.train(work, "mlp", steps=2)
    with run.directory.metrics.open("ab") as file:
        file.write(b'\xff\xfe\n{"step": "three"}\n{"step": 3, "generator_loss": "low"}\n[]\n')
    assert main(["show", str(run.path)]) == 0
    assert "step 2 of 2" in capsys.readouterr().out


def test_an_unknown_flag_is_refused_with_the_nearest(capsys):
    assert "did you mean '--budget'?" in refused(capsys, ["train", "mlp", "--buget", "5m"])


def test_a_missing_folder_instead_of_a_recipe_is_refused_as_a_folder(work, capsys):
    assert "no such file or folder: photos/" in refused(capsys, ["train", "photos/"])
    assert files_in(work) == []


def test_a_dry_run_prints_the_plan_and_writes_nothing(work, capsys):
    words = ["train", "mlp", "--data", "mnist-5k", "--steps", "100", "--dry-run"]
    assert main(words) == 0
    out = capsys.readouterr().out
    for text in ("mnist-5k: 5,000 gray images of 28x28", "1,489,936 parameters", "100 steps of 1024 images",
                 "two processor cores", "runs/mlp", "ganvas train mlp"):  # fmt: skip
        assert text in out
    assert files_in(work) == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_help_ends_with_examples_that_its_own_parser_accepts(capsys, command):
    assert main([*command.words.split(), "--help"]) == 0
    lines = capsys.readouterr().out.partition("examples:\n")[2].splitlines()
    assert 2 <= len(lines) <= 3
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])[1:]
        assert parse(words).command.words.startswith(command.words)


@pytest.mark.parametrize(
    ("function", "kind"),
    [(ganvas.train, TrainOptions), (ganvas.resume, ResumeOptions), (ganvas.fork, ForkOptions)],
)
def test_python_parameters_are_the_fields_that_make_the_flags(function, kind):
    parameters = inspect.signature(function).parameters
    assert set(parameters) == {field.name for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            assert parameters[field.name].default == field.default


def test_a_plugin_file_registers_what_the_command_line_then_uses(work, capsys):
    (work / "mine.py").write_text(PLUGIN)
    data = tiny.data_file(work)
    settings = tiny.words("mlp", {"update.rule": "simultaneous"})
    words = ["train", "mlp", "--data", str(data), "--steps", "2", *settings]
    assert (
        main([*words, "--out", "r", "--plugin", "mine.py", "--callback", "end", "--set", "objective=plain"])
        == 0
    )
    assert (work / "ended").exists()
    assert json.loads((work / "r" / "run.json").read_text())["recipe"]["objective"] == "plain"
    capsys.readouterr()
    assert "unknown callback" in refused(capsys, [*words, "--out", "r2", "--callback", "nothing"])
    assert not (work / "r2").exists()


def test_a_loss_given_as_a_function_is_recorded_by_name_and_missed_by_name_later(work):
    def softplus_loss(real, fake):
        return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()

    overrides = {"objective": softplus_loss, "update.rule": "simultaneous"}
    run = tiny.train(work, "mlp", steps=2, overrides=overrides)
    assert run.recipe.objective == "softplus_loss"
    OBJECTIVES.remove("softplus_loss")
    with pytest.raises(UserError, match=r"unknown objective 'softplus_loss'.*as a plugin"):
        ganvas.resume(run.path, steps=4, quiet=True)


def test_a_budget_gives_a_named_recipe_its_steps_and_a_note_says_so(work):
    plan = ganvas.plan("mlp", "mnist-5k", budget="1m")
    again = ganvas.plan("mlp", "mnist-5k", budget="2m")
    assert again.record.steps == pytest.approx(2 * plan.record.steps, abs=1)
    assert any("budget 1m" in note for note in plan.record.notes)
    with pytest.raises(UserError, match="give one of them"):
        ganvas.plan("mlp", "mnist-5k", budget="1m", steps=5)
    assert files_in(work) == []

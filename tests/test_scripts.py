"""Scripts that draw data, and the soak: it passes what keeps the promises and finds what breaks them."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ganvas

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_drawn_shapes_are_a_folder_of_rgb_images_in_four_classes_and_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        command = [
            sys.executable,
            SCRIPTS / "draw_shapes.py",
            tmp_path / name,
            "--count",
            "20",
            "--size",
            "16",
        ]
        subprocess.run(command, check=True, capture_output=True)
    images, again = (ganvas.load_dataset(tmp_path / name) for name in ("a", "b"))
    assert images.image_shape == (3, 16, 16)
    assert images.class_names == ("disc", "ring", "square", "triangle")
    assert len(images) == 20
    assert images.fingerprint == again.fingerprint
    assert all(image.std() > 3 for image in images.images)  # a shape on a ground, whatever its colors


def test_stacked_digits_have_three_digits_as_channels_and_the_number_that_they_spell(tmp_path):
    out = tmp_path / "stacked.npz"
    command = [sys.executable, SCRIPTS / "stack_mnist.py", out, "--data", "mnist-5k", "--count", "300"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "300 images of" in done.stdout
    stacked, digits = ganvas.load_dataset(out), ganvas.load_dataset("mnist-5k")
    assert stacked.image_shape == (3, 28, 28)
    known = {image.tobytes(): label for image, label in zip(digits.images[:, 0], digits.labels, strict=True)}
    for image, label in zip(stacked.images[:20], stacked.labels[:20], strict=True):
        spelt = [known[np.ascontiguousarray(channel).tobytes()] for channel in image]
        assert int(stacked.class_names[label]) == 100 * spelt[0] + 10 * spelt[1] + spelt[2]


@pytest.mark.slow
def test_a_soak_resumes_a_killed_run_to_the_same_bits_and_prints_its_seed_and_table(tmp_path):
    words = ["--minutes", "0", "--seed", "3", "--recipes", "mlp", "--kinds", "SIGKILL"]
    command = [sys.executable, SCRIPTS / "soak.py", *words, "--keep", str(tmp_path / "tries")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 3\n")
    assert "| recipe | SIGKILL |" in done.stdout
    assert "| mlp | 1 / 1 / 0 |" in done.stdout
    assert "1 tries, 1 resumed to the same bits, 0 faults" in done.stdout


@pytest.fixture
def soak(monkeypatch):
    """The module of the soak, with data and folders as small as they are."""
    spec = importlib.util.spec_from_file_location("soak", SCRIPTS / "soak.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "soak", module)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        ("raise SystemError('no')", "printed 'SystemError: no'"),
        ("sys.exit(7)", "exit code 7, expected one of"),
        ("sys.exit(1)", "exit code 1, expected one of"),
        ("Path('thesis/chapter.md').unlink(missing_ok=True)", "changed what is not the run's: .*chapter.md"),
        ("Path('disk/run/notes.md').unlink(missing_ok=True)", "changed what is not the run's: .*notes.md"),
        ("Path('home/left').touch()", "changed what is not the run's: .*left"),
    ],
)
def test_a_soak_finds_what_breaks_a_promise(soak, tmp_path, monkeypatch, deed, fault):
    (tmp_path / "bad.py").write_text(f"import sys\nfrom pathlib import Path\n{deed}\n")

    def start(attempt, **_):
        (attempt.run / "checkpoints").mkdir(parents=True, exist_ok=True)
        (attempt.run / "run.json").touch()
        command = [sys.executable, str(tmp_path / "bad.py")]
        return subprocess.Popen(command, cwd=attempt.folder, stderr=subprocess.PIPE, start_new_session=True)

    monkeypatch.setattr(soak.Try, "start", start)
    rng = random.Random(0)
    with pytest.raises(soak.Fault, match=fault):
        soak.run_try(tmp_path / "try", "mlp", "SIGTERM", rng, {}, 60.0)

"""Scripts that draw data: what they say they draw is what a data set needs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import ganvas

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_drawn_shapes_are_a_folder_of_rgb_pictures_in_four_classes_and_the_same_each_time(tmp_path):
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

"""Scripts that draw data: what they say they draw is what a data set needs."""

import subprocess
import sys
from pathlib import Path

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
    images, again = (ganvas.load(tmp_path / name) for name in ("a", "b"))
    assert images.image_shape == (3, 16, 16)
    assert images.class_names == ("disc", "ring", "square", "triangle")
    assert len(images) == 20
    assert images.fingerprint == again.fingerprint
    assert all(image.std() > 3 for image in images.images)  # a shape on a ground, whatever its colours

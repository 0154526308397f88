"""What gv1 is for: every defect lies farther from the real images the stronger it is, as one does to the eye.

The defects are those of `benchmarks/defects.py`, whose table is in docs/features.md.
"""

import importlib.util
import os
import sys
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest

from ganvas import load_dataset
from ganvas.data import ImageSet
from ganvas.features import get_extractor

FILE = Path(__file__).parents[2] / "benchmarks" / "defects.py"
FOLDER = os.environ.get("GANVAS_DATA", "")


@pytest.fixture(scope="module")
def defects():
    spec = importlib.util.spec_from_file_location("benchmark_of_defects", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def hold_the_order(rows):
    """The baseline is lowest, and each defect's distance grows strictly with its strength."""
    baseline, *defects = rows
    for defect, group in groupby(defects, key=lambda row: row.defect):
        distances = [baseline.distance, *(row.distance for row in group)]
        assert len(distances) == 4
        assert all(low < high for low, high in pairwise(distances)), defect


def every(images, start, step):
    """A part of a set that is sorted by class."""
    part = slice(start, None, step)
    return ImageSet(images.name, images.images[part], images.labels[part], images.class_names, images.source)


def test_defects_of_the_bundled_digits_grow_with_their_strength(defects):
    digits = load_dataset("mnist-5k")
    hold_the_order(list(defects.measure(get_extractor("gv1"), every(digits, 0, 4), every(digits, 1, 12))))


@pytest.mark.slow
@pytest.mark.full_data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_defects_of_the_official_test_images_grow_with_their_strength(defects, name):
    train, test = (
        defects.first(load_dataset(name), 10_000),
        defects.first(load_dataset(name, split="test"), 2_000),
    )
    hold_the_order(list(defects.measure(get_extractor("gv1"), train, test)))


def small(defects):
    images = np.zeros((30, 1, 9, 9), np.uint8)
    images[:, :, 4, 4] = 200
    images[:, 0, 0, 0] = np.arange(30)
    return ImageSet("dots", images, np.arange(30) % 3, ("a", "b", "c"), "made up")


def test_the_defects_do_what_their_names_say(defects):
    images, random = small(defects), np.random.default_rng(0)
    noisy = defects.noise(images, 5, random)
    assert 1 < (noisy[:, :, 4, 4].astype(float) - 200).std() < 10
    blurred = defects.blur(images, 0.6, random)
    assert blurred[0, 0, 4, 4] < 150
    assert blurred[0, 0, 4, 3] == blurred[0, 0, 4, 5] == blurred[0, 0, 3, 4] > 0
    assert blurred[0].sum() == pytest.approx(images.images[0].sum(), rel=0.05)
    assert len(defects.dropped(images, 1, random)) == 20
    copies = defects.repeated(images, 10, random)
    assert len(copies) == 30
    assert len({image.tobytes() for image in copies}) == 3
    moved = defects.shifted(images, 2, random)
    assert (moved[:, :, 4, 6] == 200).all()
    assert (moved[:, :, :, :2] == 0).all()

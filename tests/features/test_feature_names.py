"""The room's door: names in, extractors out."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from ganvas import features
from ganvas.errors import DataError, DeviceError, UserError
from ganvas.features.extractor import digest


@pytest.mark.parametrize(
    ("shape", "name"), [((1, 28, 28), "gv1"), ((3, 28, 28), "gv1-colour"), ((1, 200, 8), "gv1")]
)
def test_grey_images_are_seen_by_gv1_and_coloured_ones_by_gv1_colour(shape, name):
    assert features.default_name(shape) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gv2", "did you mean 'gv1'"), ("gv1-color", "did you mean 'gv1-colour'"), ("", "known: gv1, ")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(UserError, match=hint):
        features.find(name)


@pytest.mark.parametrize("name", ["own-classifier", "own-contrast"])
def test_a_network_to_be_fitted_needs_a_set(name):
    with pytest.raises(UserError, match=f"{name}: expected a set of images to fit on, got none"):
        features.find(name)


def test_the_names_are_listed_without_torch():
    code = "from ganvas.features import NAMES, default_name; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("name", ["gv1", "gv1-colour"])
def test_frozen_networks_can_be_compared_and_tell_their_version(name):
    extractor = features.find(name)
    assert extractor.name == name
    assert extractor.comparable
    assert len(extractor.version) == 12
    assert int(extractor.version, 16) >= 0
    assert extractor.version == features.find(name).version
    assert extractor(np.zeros((3, 1, 28, 28), np.uint8)).shape == (3, extractor.dimensions)


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (np.zeros((2, 1, 28, 28), np.float32), "expected uint8"),
        (np.zeros((2, 28, 28), np.uint8), "expected images"),
        (np.zeros((2, 2, 28, 28), np.uint8), "expected images"),
        (np.zeros((0, 1, 28, 28), np.uint8), "at least one image"),
        (np.zeros((2, 1, 28, 257), np.uint8), "sides of 8 to 256"),
    ],
)
def test_what_are_no_images_is_refused(images, what):
    with pytest.raises(DataError, match=f"gv1: .*{what}"):
        features.find("gv1")(images)


def test_a_digest_changes_with_names_shapes_types_values_and_words():
    base = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.full((2, 3), 1e-30)},
    ]
    found = {digest(base), digest(base, "word"), *(digest(other) for other in others)}
    assert len(found) == 6
    assert digest(base) == digest({"a": torch.zeros(3, 2).T})


def test_the_settings_of_cudnn_are_left_as_they_were():
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32
    features.find("gv1")(np.zeros((1, 1, 28, 28), np.uint8))
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == before


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        features.find("gv1", device="tpu")

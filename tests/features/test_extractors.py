"""Extractors by name."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from ganvas import features
from ganvas.errors import DataError, DeviceError, UserError
from ganvas.features.extractor import digest


@pytest.mark.parametrize(
    ("shape", "name"), [((1, 28, 28), "gv1"), ((3, 28, 28), "gv1-color"), ((1, 200, 8), "gv1")]
)
def test_the_default_is_gv1_for_gray_images_and_gv1_color_for_rgb(shape, name):
    assert features.default_features(shape) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gv2", "did you mean 'gv1'"), ("gv1-colour", "did you mean 'gv1-color'"), ("", "known: gv1, ")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(UserError, match=hint):
        features.get_extractor(name)


@pytest.mark.parametrize("name", ["fitted-classifier", "fitted-contrast"])
def test_a_network_to_be_fitted_needs_a_set(name):
    with pytest.raises(UserError, match=f"{name}: expected a set of images to fit on, got none"):
        features.get_extractor(name)


def test_the_names_are_listed_without_torch():
    code = (
        "import sys, ganvas.features as f; f.FEATURE_NAMES, f.default_features; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("name", ["gv1", "gv1-color"])
def test_frozen_networks_can_be_compared_and_know_their_version(name):
    extractor = features.get_extractor(name)
    assert extractor.name == name
    assert extractor.comparable
    assert len(extractor.version) == 12
    assert int(extractor.version, 16) >= 0
    assert extractor.version == features.get_extractor(name).version
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
        features.get_extractor("gv1")(images)


def test_a_digest_changes_with_names_shapes_types_values_and_words():
    base = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.full((2, 3), 1e-30)},
    ]
    result = {digest(base), digest(base, "word"), *(digest(other) for other in others)}
    assert len(result) == 6
    assert digest(base) == digest({"a": torch.zeros(3, 2).T})


def test_the_settings_of_cudnn_are_left_as_they_were():
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32
    features.get_extractor("gv1")(np.zeros((1, 1, 28, 28), np.uint8))
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == before


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        features.get_extractor("gv1", device="tpu")


def test_a_registered_extractor_is_known_by_name_and_suggested():
    import ganvas

    @ganvas.register.features("my-features")
    def my_features(images, device):
        return "extractor", images, device

    try:
        assert features.get_extractor("my-features") == ("extractor", None, torch.device("cpu"))
        assert "my-features" in features.feature_names()
        with pytest.raises(UserError, match="did you mean 'my-features'"):
            features.get_extractor("my-feature")
    finally:
        features.EXTRACTORS.remove("my-features")

"""gv1 is frozen: the same file, the same features, whatever size and order the images come in."""

import hashlib
from importlib import resources

import numpy as np
import pytest
import torch

from ganvas import load_dataset
from ganvas.errors import MachineError
from ganvas.features import get_extractor, gv1
from ganvas.features.extractor import gray, resized

# The first 8 features of each; a change of the network or of how images are prepared shows here.
EXPECTED = [
    [-0.14439, -0.08729, 1.64637, 1.23939, -0.84228, 1.15982, -0.51904, -1.22725],
    [-0.09120, -0.10558, -0.77059, -0.56517, -1.10644, -0.35517, -0.46206, 2.06315],
    [-0.06991, -0.12662, 0.15488, 1.88714, -0.78379, -0.84915, 0.01390, -0.87847],
    [-0.07346, -0.08283, 1.56260, 1.20862, -0.66385, -0.07127, 1.04409, -1.81630],
    [-0.17365, -0.12291, -1.17383, -0.98422, -0.91434, -0.09652, -0.98979, 1.61312],
    [-0.12688, -0.09246, 2.39194, 0.11843, -0.79113, 0.92532, 0.87509, -1.10470],
    [-0.13150, -0.08741, 0.69725, -0.50821, -0.78958, 2.27329, 1.74858, -1.02521],
    [-0.07804, -0.12303, 1.29751, 1.55003, -0.86860, -0.89791, 0.02395, -0.65664],
    [-0.13193, -0.12786, 1.33799, 1.91259, -0.79265, 1.59242, 1.14233, -1.41148],
    [-0.10903, -0.05683, 0.90970, 1.49287, -0.69919, 0.08791, 1.63935, -0.62683],
    [-0.03587, -0.04644, 0.19197, 0.22415, -0.32028, 0.19786, 0.60476, 0.71197],
]
FILE = resources.files("ganvas.features") / "gv1.safetensors"


@pytest.fixture(scope="module")
def extractor():
    return get_extractor("gv1")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("mnist-5k")


def fixed_images(digits):
    """The first bundled digit of each class, and a ramp from black to white."""
    first = [int(np.flatnonzero(digits.labels == label)[0]) for label in range(10)]
    ramp = np.tile(np.linspace(0, 255, 28).astype(np.uint8), (28, 1))
    return np.concatenate([digits.images[first], ramp[None, None]])


def test_the_file_is_the_one_that_was_released_and_small():
    content = FILE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == gv1.SHA256
    assert len(content) < 2 * 2**20


def test_the_features_of_fixed_images_are_these(extractor, digits):
    result = extractor(fixed_images(digits))
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result[:, :8].numpy(), EXPECTED, rtol=1e-4, atol=2e-5)


def test_the_mean_variance_on_digits_is_about_half_of_the_one_on_both_sets(extractor, digits):
    assert 0.4 < extractor(digits.images[:1000]).var(0).mean() < 0.55


def test_a_damaged_file_is_refused(monkeypatch, tmp_path):
    content = bytearray(FILE.read_bytes())
    content[-1] ^= 1
    (tmp_path / "gv1.safetensors").write_bytes(content)
    monkeypatch.setattr(gv1.resources, "files", lambda _: tmp_path)
    gv1.network.cache_clear()
    try:
        with pytest.raises(MachineError, match=r"gv1 is damaged.*install ganvas again"):
            get_extractor("gv1")
    finally:
        gv1.network.cache_clear()


def test_the_version_changes_with_the_weights(monkeypatch, extractor):
    other = gv1.Gv1().eval()
    monkeypatch.setattr(gv1, "network", lambda: other)
    assert get_extractor("gv1").version != extractor.version


def test_images_of_28_pixels_are_not_resized(extractor, digits):
    images = torch.from_numpy(digits.images[:5])
    assert torch.equal(resized(gray(images), 28), images.float())
    with torch.no_grad():
        direct = gv1.network()(images.float() / 255)
    torch.testing.assert_close(extractor(digits.images[:5]), direct)


def test_the_shipped_network_is_not_moved_or_changed_by_an_extractor():
    before = {name: t.clone() for name, t in gv1.network().state_dict().items()}
    get_extractor("gv1")(np.zeros((2, 1, 28, 28), np.uint8))
    assert all(torch.equal(t, before[name]) for name, t in gv1.network().state_dict().items())
    assert not gv1.network().training


def test_pieces_do_not_matter(extractor, digits):
    whole = extractor(digits.images[:300])
    apart = torch.cat([extractor(digits.images[k : k + 7]) for k in range(0, 294, 7)])
    torch.testing.assert_close(whole[: len(apart)], apart, rtol=1e-4, atol=1e-5)


def test_twice_is_the_same_to_the_bit(extractor, digits):
    assert torch.equal(extractor(digits.images[:50]), extractor(digits.images[:50]))


def test_memory_mapped_images_are_read_and_left_alone(extractor, digits, tmp_path):
    path = tmp_path / "digits.npy"
    np.save(path, digits.images[:40])
    mapped = np.load(path, mmap_mode="r")
    assert torch.equal(extractor(mapped), extractor(digits.images[:40]))


def test_three_equal_channels_are_exactly_gray(extractor, digits):
    images = digits.images[:20]
    assert torch.equal(extractor(np.repeat(images, 3, 1)), extractor(images))


def test_luma_is_that_of_bt_601():
    colors = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    result = gray(colors.view(4, 3, 1, 1)).flatten() / 255
    torch.testing.assert_close(result, torch.tensor([0.299, 0.587, 0.114, 1]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (56, 56), (256, 256), (20, 64)])
def test_images_of_other_sizes_are_brought_to_28_pixels(extractor, size):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, *size), dtype=np.uint8)
    result = extractor(images)
    assert result.shape == (3, 128)
    assert result.isfinite().all()


def test_a_digit_of_twice_the_size_has_nearly_its_own_features(extractor, digits):
    images = digits.images[:200]
    doubled = images.repeat(2, axis=2).repeat(2, axis=3)
    near = (extractor(doubled) - extractor(images)).norm(dim=1).mean()
    apart = (extractor(images) - extractor(images).roll(1, 0)).norm(dim=1).mean()
    assert near < apart / 2


def test_loading_and_extracting_leave_global_random_numbers_alone():
    gv1.network.cache_clear()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    get_extractor("gv1-color")(np.zeros((2, 1, 28, 28), np.uint8))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])

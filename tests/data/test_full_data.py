"""The real MNIST and Fashion-MNIST, where GANVAS_DATA names a folder that holds them."""

import os

import numpy as np
import pytest

from ganvas.data import load_dataset

FOLDER = os.environ.get("GANVAS_DATA", "")
pytestmark = [
    pytest.mark.full_data,
    pytest.mark.skipif(not FOLDER, reason="GANVAS_DATA is not set"),
]


@pytest.fixture(autouse=True)
def real_data(bare_machine, monkeypatch):
    monkeypatch.setenv("GANVAS_DATA", FOLDER)


@pytest.mark.parametrize(
    ("name", "mean", "fingerprint"),
    [
        ("mnist", 33.318421, "8b2ade0d7c3fe367df83364753e5600af1eac44a9d983f3dbbfb5facfdced9c8"),
        ("fashion-mnist", 72.940352, "f72341a5dd34697f0233cc8845a2cfb64d0a156fef7529ee8682b7f349ffdc25"),
    ],
)
def test_the_real_sets_have_their_published_hashes_and_facts(name, mean, fingerprint):
    # Loading by name holds the payload to its SHA-256.
    train, test = (
        load_dataset(name, allow_download=False),
        load_dataset(name, split="test", allow_download=False),
    )
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.images.mean() == pytest.approx(mean, abs=1e-4)
    assert train.fingerprint == fingerprint
    both = load_dataset(name, split="all", mmap_threshold=0.0, allow_download=False)
    np.testing.assert_array_equal(both.images[:60_000], train.images)
    np.testing.assert_array_equal(both.images[60_000:], test.images)
    np.testing.assert_array_equal(both.labels, np.concatenate([train.labels, test.labels]))


def test_the_bundled_digits_are_all_in_mnist():
    whole = load_dataset("mnist", split="all", allow_download=False)
    known = {image.tobytes() for image in whole.images}
    assert all(image.tobytes() in known for image in load_dataset("mnist-5k").images)

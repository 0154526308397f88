"""Clusters of pixels: planted ones are found, by a seed, whatever the set lies in."""

import numpy as np
import pytest
import torch

from ganvas.data.clusters import clusters, sorted_into
from ganvas.data.imageset import ImageSet
from ganvas.errors import UserError

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 16, 16), (1, 64, 40), (3, 96, 64)]


def planted(kinds, count, shape, noise=8, seed=0):
    """As many patterns as kinds, each `count` times, a little noisy and shuffled."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    coarse = rng.integers(20, 236, (kinds, channels, 4, 4))
    patterns = np.kron(coarse, np.ones((1, 1, height // 4, width // 4), int))
    labels = rng.permutation(np.repeat(np.arange(kinds), count))
    images = patterns[labels] + rng.integers(-noise, noise + 1, (len(labels), *shape))
    return ImageSet("planted", images.astype(np.uint8), None, (), "here"), labels


def agree(found, labels):
    """Whether the two sort alike, by whatever numbers."""
    pairs = set(zip(found.tolist(), labels.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(labels.tolist()))


@pytest.mark.parametrize("shape", SHAPES)
def test_planted_clusters_are_found_at_every_size_and_colour(shape):
    images, labels = planted(4, 30, shape)
    found = clusters(images, 4, seed=1)
    assert found.dtype == np.int64
    assert agree(found, labels)


def test_clusters_are_a_function_of_the_seed_and_leave_the_global_one_alone():
    images, _ = planted(6, 30, (1, 8, 8), noise=20)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = clusters(images, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(first, clusters(images, 5, seed=1))


def test_a_mapped_set_is_sorted_as_one_in_memory(tmp_path):
    images, _ = planted(5, 40, (3, 16, 16))
    np.save(tmp_path / "images.npy", images.images)
    mapped = ImageSet("mapped", np.load(tmp_path / "images.npy", mmap_mode="r"), None, (), "there")
    assert np.array_equal(clusters(images, 5, seed=2), clusters(mapped, 5, seed=2))


def test_fewer_different_pictures_than_clusters_leave_some_empty():
    alike = ImageSet("alike", np.full((30, 1, 8, 8), 7, np.uint8), None, (), "here")
    assert set(clusters(alike, 4, seed=0).tolist()) <= set(range(4))


@pytest.mark.parametrize("count", [-1, 0, 1, 121])
def test_a_number_of_clusters_that_cannot_be_is_refused(count):
    images, _ = planted(4, 30, (1, 8, 8))
    with pytest.raises(UserError, match=rf"{count} clusters: expected 2 to 120, the pictures of planted"):
        clusters(images, count, seed=0)


def test_a_sorted_set_has_the_clusters_for_labels_and_the_same_pictures():
    images, _ = planted(3, 10, (1, 8, 8))
    found = clusters(images, 3, seed=0)
    told = sorted_into(images, found, 3)
    assert told.images is images.images
    assert told.class_names == ("0", "1", "2")
    assert np.array_equal(told.labels, found)

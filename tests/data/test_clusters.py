"""Clusters of pixels: planted ones are found, by a seed, whatever the set lies in."""

import numpy as np
import pytest
import torch

from ganvas.data import clusters as module
from ganvas.data import image_set
from ganvas.data.clusters import cluster_images
from ganvas.data.image_set import ImageSet
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


def agree(result, labels):
    """Whether the two sort alike, by whatever numbers."""
    pairs = set(zip(result.tolist(), labels.tolist(), strict=True))
    return len(pairs) == len(set(result.tolist())) == len(set(labels.tolist()))


@pytest.mark.parametrize("shape", SHAPES)
def test_planted_clusters_are_found_at_every_size_and_color(shape):
    images, labels = planted(4, 30, shape)
    result = cluster_images(images, 4, seed=1)
    assert result.dtype == np.int64
    assert agree(result, labels)


def test_clusters_are_a_function_of_the_seed_and_leave_the_global_ones_alone():
    images, _ = planted(6, 30, (1, 8, 8), noise=20)
    torch.manual_seed(3)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = cluster_images(images, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys)
    assert np.array_equal(first, cluster_images(images, 5, seed=1))
    assert not np.array_equal(first, cluster_images(images, 5, seed=2))


def test_a_large_mapped_set_is_sorted_piece_by_piece_as_one_in_memory(tmp_path, monkeypatch):
    images, labels = planted(5, 80, (3, 40, 40))
    np.save(tmp_path / "images.npy", images.images)
    mapped = ImageSet("mapped", np.load(tmp_path / "images.npy", mmap_mode="r"), None, (), "there")
    monkeypatch.setattr(module, "SAMPLES", 150)  # the centers are found from a part, as in a set of millions
    monkeypatch.setattr(image_set, "_CHUNK_BYTES", 3 * 40 * 40 * 70)
    pieces, plain = [], module._coarse
    monkeypatch.setattr(module, "_coarse", lambda part: pieces.append(len(part)) or plain(part))
    result = cluster_images(mapped, 5, seed=2)
    assert np.array_equal(result, cluster_images(images, 5, seed=2))
    assert agree(result, labels)
    assert sum(pieces) == 2 * (150 + 400)
    assert max(pieces) == 70  # never more at once, as floats


def test_images_that_are_all_alike_are_of_one_cluster():
    alike = ImageSet("alike", np.full((30, 1, 8, 8), 7, np.uint8), None, (), "here")
    assert len(set(cluster_images(alike, 4, seed=0).tolist())) == 1


@pytest.mark.parametrize("count", [-1, 0, 1, 121])
def test_a_number_of_clusters_that_cannot_be_is_refused(count):
    images, _ = planted(4, 30, (1, 8, 8))
    with pytest.raises(UserError, match=rf"clusters {count}: expected 2 to 120 for the 120 images of"):
        cluster_images(images, count, seed=0)


def test_more_clusters_than_k_means_can_take_are_refused():
    many = ImageSet("many", np.zeros((3000, 1, 8, 8), np.uint8), None, (), "here")
    with pytest.raises(UserError, match="expected 2 to 2,000 for the 3,000 images of many"):
        cluster_images(many, 2001, seed=0)

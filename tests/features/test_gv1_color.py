"""gv1-color sees what gv1 sees, and color: a fault of either is farther away the stronger it is."""

import numpy as np
import pytest
import torch
from distance import frechet
from scenes import scenes

from ganvas.features import color, get_extractor
from ganvas.features.extractor import digest

WEIGHTS = [-0.34072452783584595, 0.46045252680778503, -0.033689722418785095, 0.4572873115539551]
FILTERS = "4eea71e43c31"
STRENGTHS = (0.15, 0.3, 0.6, 1.0)


@pytest.fixture(scope="module")
def extractor():
    return get_extractor("gv1-color")


@pytest.fixture(scope="module")
def real(extractor):
    return extractor(scenes(700, seed=1))


@pytest.fixture(scope="module")
def images():
    return scenes(400, seed=2)


def chroma(images):
    """Luma and how far each channel lies from it."""
    luma = np.tensordot([0.299, 0.587, 0.114], images.astype(float), (0, 1))[:, None]
    return luma, images - luma


def turned(images, strength):
    """Hues turned by up to 90 degrees about the gray axis, luma kept."""
    luma, away = chroma(images)
    angle = strength * np.pi / 2
    axis = np.ones(3) / np.sqrt(3)
    across = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    return luma + np.einsum("ij,njhw->nihw", rotation, away)


def swapped(images, strength):
    """Red and blue in part exchanged."""
    return (1 - strength) * images + strength * images[:, ::-1]


def paled(images, strength):
    """Part of the saturation taken away, luma kept."""
    luma, away = chroma(images)
    return luma + (1 - strength) * away


def noisy(images, strength):
    """Noise of a deviation of up to 40 on every pixel."""
    return images + np.random.default_rng(0).normal(0, 40 * strength, images.shape)


@pytest.mark.parametrize("fault", [turned, swapped, paled, noisy])
def test_a_fault_of_color_or_detail_is_farther_away_the_stronger_it_is(extractor, real, images, fault):
    corrupted = [np.clip(np.rint(fault(images, s)), 0, 255).astype(np.uint8) for s in (0, *STRENGTHS)]
    distances = [frechet(extractor(images), real) for images in corrupted]
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]


def test_gv1_alone_is_blind_to_saturation(images):
    luma, _ = chroma(images[:50])
    gray = np.rint(luma.repeat(3, 1)).astype(np.uint8)
    plain = get_extractor("gv1")
    assert (plain(gray) - plain(images[:50])).abs().max() < 0.2


def test_the_first_128_features_are_gv1s(extractor, images):
    torch.testing.assert_close(extractor(images[:30])[:, :128], get_extractor("gv1")(images[:30]))


def test_the_color_features_have_a_mean_variance_of_about_one_on_images(extractor):
    result = extractor(scenes(1000, seed=3))[:, 128:]
    assert 0.8 < result[:, :64].var(0).mean() < 1.25
    assert 0.8 < result[:, 64:].var(0).mean() < 1.25


def test_the_filters_are_the_same_bits_on_every_machine():
    filters = color.RandomFilters()
    assert filters.get_buffer("weight0").flatten()[:4].tolist() == WEIGHTS
    assert digest(filters.state_dict())[:12] == FILTERS


def test_images_of_32_pixels_are_not_resized(extractor, images):
    with torch.no_grad():
        direct = color.RandomFilters()(torch.from_numpy(images[:9]).float())
    torch.testing.assert_close(extractor(images[:9])[:, 128:], direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 100, 60), (1, 28, 28)])
def test_images_of_other_sizes_and_gray_ones_are_accepted(extractor, shape):
    result = extractor(np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8))
    assert result.shape == (2, 256)
    assert result.isfinite().all()

"""Networks fitted on the user's own set: the same every time, cached, refitted when damaged."""

import numpy as np
import pytest
import torch
from distance import frechet

import tiny
from ganvas import load_dataset
from ganvas.data import ImageSet
from ganvas.errors import StorageError, UserError
from ganvas.features import fitted, fitting, get_extractor
from ganvas.features.fitting import contrast_loss, view

NAMES = ("fitted-classifier", "fitted-contrast")


@pytest.fixture(autouse=True)
def few_steps(request, monkeypatch):
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(fitting, "STEPS", 4)
        monkeypatch.setattr(fitting, "BATCH", 16)


def discs(count=40, shape=(1, 12, 12), labeled=True, classes=2, seed=0):
    images = tiny.images(count, shape, seed)
    labels = np.arange(count) % classes if labeled else None
    return ImageSet("discs", images, labels, tuple("abc"[:classes]) if labeled else (), "made up")


def steps_taken(name, images):
    taken = []
    extractor = get_extractor(name, images=images, progress=lambda step, steps: taken.append((step, steps)))
    return extractor, taken


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 40, 32), (3, 32, 32)])
def test_a_network_is_fitted_on_images_of_any_kind(name, shape):
    images = discs(shape=shape)
    extractor, taken = steps_taken(name, images)
    result = extractor(images.images)
    assert (extractor.name, extractor.dimensions, extractor.comparable) == (name, 128, False)
    assert result.shape == (40, 128)
    assert result.dtype == torch.float32
    assert result.var(0).mean() == pytest.approx(1, abs=0.02)
    assert taken == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_time_it_comes_from_the_cache_with_the_same_features(name, fitted_cache):
    images = discs()
    first, _ = steps_taken(name, images)
    second, taken = steps_taken(name, images)
    assert taken == []
    assert first.version == second.version
    assert torch.equal(first(images.images), second(images.images))
    (file,) = fitted_cache.iterdir()
    assert file.name.startswith(f"{name}-{fitted.RECIPE}-{images.fingerprint}")


@pytest.mark.parametrize("name", NAMES)
def test_fitting_twice_gives_the_same_bits(name, fitted_cache):
    first, _ = steps_taken(name, discs())
    for path in fitted_cache.iterdir():
        path.unlink()
    second, taken = steps_taken(name, discs())
    assert len(taken) == 4
    assert first.version == second.version


@pytest.mark.parametrize("other", [discs(seed=1), discs(shape=(3, 12, 12)), None])
def test_a_network_of_other_images_is_not_used(other, fitted_cache):
    images = discs()
    first, _ = steps_taken("fitted-contrast", images)
    (path,) = fitted_cache.iterdir()
    if other is None:
        steps_taken("fitted-classifier", images)
    else:
        steps_taken("fitted-contrast", other)
    (other_path,) = set(fitted_cache.iterdir()) - {path}
    other_path.replace(path)
    second, taken = steps_taken("fitted-contrast", images)
    assert len(taken) == 4
    assert second.version == first.version
    _, taken = steps_taken("fitted-contrast", images)
    assert taken == []


@pytest.mark.parametrize("name", NAMES)
def test_fitting_leaves_global_random_numbers_and_threads_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    first, _ = steps_taken(name, discs())
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert torch.get_num_threads() == before[2]
    assert torch.is_grad_enabled()
    assert not first(discs().images).requires_grad


def test_another_set_another_network_and_labels_belong_to_the_set(fitted_cache):
    versions = {
        get_extractor(name, images=images).version
        for name in NAMES
        for images in (discs(), discs(seed=1), discs(classes=3))
    }
    assert len(list(fitted_cache.iterdir())) == 6
    assert len(versions) == 5  # fitted-contrast does not look at the labels


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (discs(labeled=False), "labels of two classes or more, got none in discs; use fitted-contrast"),
        (discs(classes=1), "labels of two classes or more, got 1 in discs; use fitted-contrast"),
        (discs(count=23), "24 images or more to fit on, got 23 in discs"),
    ],
)
def test_a_set_that_a_classifier_cannot_be_fitted_on_is_refused(images, what):
    with pytest.raises(UserError, match=what):
        get_extractor("fitted-classifier", images=images)


def test_fitted_contrast_needs_no_labels():
    assert get_extractor("fitted-contrast", images=discs(labeled=False)).dimensions == 128


def test_memory_mapped_images_are_fitted_on(tmp_path):
    images = discs(labeled=False)
    np.save(tmp_path / "discs.npy", images.images)
    mapped = ImageSet("discs", np.load(tmp_path / "discs.npy", mmap_mode="r"), None, (), "made up")
    assert (
        get_extractor("fitted-contrast", images=mapped).version
        == get_extractor("fitted-contrast", images=images).version
    )


def test_of_a_large_set_a_part_is_drawn_with_its_own_labels(monkeypatch):
    monkeypatch.setattr(fitting, "MOST_IMAGES", 30)
    images = discs(count=50, shape=(1, 32, 32), classes=3)
    chosen, index = fitting.training_images(images)
    assert len(set(index.tolist())) == 30
    assert sorted(index.tolist()) == index.tolist()
    np.testing.assert_array_equal(chosen.numpy(), images.images[index])
    assert get_extractor("fitted-classifier", images=images).dimensions == 128


def test_images_that_are_all_the_same_are_fitted_on():
    same = ImageSet("same", np.full((30, 1, 8, 8), 7, np.uint8), np.arange(30) % 2, ("a", "b"), "made up")
    for name in NAMES:
        assert get_extractor(name, images=same)(same.images).isfinite().all()


def test_a_cache_that_cannot_be_written_is_reported_before_the_fit(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "file"))
    taken = []
    with pytest.raises(StorageError, match="GANVAS_CACHE"):
        get_extractor("fitted-contrast", images=discs(), progress=lambda step, _: taken.append(step))
    assert taken == []


def test_the_contrast_loss_is_the_papers_equation():
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    unit = z / z.norm(dim=1, keepdim=True)
    losses = []
    for i in range(6):
        j = (i + 3) % 6
        others = sum(torch.exp(unit[i] @ unit[k] / 0.2) for k in range(6) if k != i)
        losses.append(-torch.log(torch.exp(unit[i] @ unit[j] / 0.2) / others))
    torch.testing.assert_close(contrast_loss(z, 0.2), torch.stack(losses).mean())


def test_a_view_is_a_crop_of_the_image_that_is_neither_mirrored_nor_recolored():
    ramp = torch.linspace(0.2, 0.8, 32).expand(50, 1, 32, 32) * torch.tensor([1, 0.5, 0.1]).view(3, 1, 1)
    result = view(ramp, torch.Generator().manual_seed(0))
    assert result.shape == ramp.shape
    assert (result.diff(dim=3) > -1e-6).all()
    assert (result.diff(dim=2).abs() < 1e-5).all()
    steps = result.diff(dim=3).mean((2, 3))
    torch.testing.assert_close(steps[:, 1] / steps[:, 0], torch.full((50,), 0.5), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_fitted_on_digits_faults_are_farther_away_than_other_digits(name):
    digits = load_dataset("mnist-5k")
    # Every other one: the set is sorted by class.
    train = ImageSet("train", digits.images[::2], digits.labels[::2], digits.class_names, "half")
    other, labels = digits.images[1::2], digits.labels[1::2]
    extractor = get_extractor(name, images=train)
    real = extractor(train.images)
    baseline = frechet(extractor(other), real)
    noise = np.random.default_rng(0).normal(0, 1, other.shape)
    noised = [np.clip(np.rint(other + s * noise), 0, 255).astype(np.uint8) for s in (10, 20, 40)]
    noisy = [frechet(extractor(images), real) for images in noised]
    missing = [frechet(extractor(other[labels >= k]), real) for k in (1, 3, 5)]
    assert baseline < noisy[0] < noisy[1] < noisy[2]
    assert baseline < missing[0] < missing[1] < missing[2]

"""Projection onto what a generator makes, and what D looks at."""

import numpy as np
import pytest
import torch

import tiny
from ganvas.errors import UserError
from ganvas.runs.inversion import project, saliency
from ganvas.training.sampling import sample_z
from ganvas.utils.images import to_float


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learned something of the discs."""
    overrides = {"latent.size": 16, "generator.hidden": [32], "discriminator.hidden": [32]}
    return tiny.train(tmp_path_factory.mktemp("inversion"), "mlp", steps=300, overrides=overrides)


def test_an_image_of_the_generator_is_found_again(run):
    for seed in range(3):
        image = np.asarray(run.sample(1, seed=seed))[0]
        result = project(run, image)
        others = np.asarray(run.sample(200, seed=99)).astype(float)
        nearest = np.sqrt(((others - image) ** 2).mean((1, 2, 3))).min()
        assert result.error < 0.6 * nearest
        assert np.sqrt(((result.image.astype(float) - image) ** 2).mean()) == pytest.approx(result.error)


def test_the_same_target_gives_the_same_answer_and_z_makes_the_image(run):
    target = tiny.images(1, seed=5)[0]
    first, second = project(run, target), project(run, target)
    assert torch.equal(first.z, second.z)
    with torch.no_grad():
        made = run.raw_generator()(first.z[None])
    assert (
        np.abs(np.asarray(to_float(torch.from_numpy(first.image[None]), run.recipe.pixel_range) - made)).max()
        < 0.01
    )


def test_a_mask_frees_the_rest_of_the_image(run):
    target = np.asarray(run.sample(1, seed=1))[0].copy()
    spoiled = target.copy()
    spoiled[:, :, 6:] = 255 - spoiled[:, :, 6:]
    mask = np.zeros(target.shape[1:], np.uint8)
    mask[:, :6] = 1
    masked, whole = project(run, spoiled, mask=mask), project(run, spoiled)

    def left(result):
        return np.abs(result.image.astype(float) - target)[:, :, :6].mean()

    assert left(masked) < left(whole)


def test_an_edit_stays_near_its_start(run):
    start = torch.randn(16, generator=torch.Generator().manual_seed(3))
    target = np.asarray(run.sample(1, seed=2))[0]
    near, free = project(run, target, start=start), project(run, target)
    assert (near.z - start).norm() < (free.z - start).norm()


def test_a_brush_is_followed_where_it_painted_and_the_rest_stays(run):
    kept, followed = [], []
    for seed in range(4):
        start = sample_z(run.recipe.latent, 1, seed)[0]
        before = np.asarray(run.sample(1, seed=seed))[0].astype(float)
        mask = np.zeros(before.shape[1:], np.uint8)
        mask[4:8, 4:8] = 1
        target = before.copy()
        target[:, 4:8, 4:8] = 255 - target[:, 4:8, 4:8]
        edited = project(run, target.astype(np.uint8), mask=mask, start=start)
        free = project(run, target.astype(np.uint8), mask=mask)
        inside, outside = mask > 0, mask == 0
        followed.append(
            np.abs(edited.image - target)[:, inside].mean() / np.abs(before - target)[:, inside].mean()
        )
        kept.append(
            np.abs(edited.image - before)[:, outside].mean() / np.abs(free.image - before)[:, outside].mean()
        )
        assert edited.error == pytest.approx(np.sqrt(((edited.image - target) ** 2)[:, inside].mean()))
    assert np.mean(followed) < 0.8
    assert np.mean(kept) < 0.8


def test_a_class_that_is_asked_for_is_the_class_of_the_answer(tmp_path):
    np.savez(tmp_path / "discs.npz", images=tiny.images(), labels=np.arange(72) % 3)
    run = tiny.train(tmp_path, "mlp", steps=5, data=tmp_path / "discs.npz", conditional=True)
    target = tiny.images(1)[0]
    assert project(run, target, label=2).label == 2
    assert project(run, target).label in (0, 1, 2)
    with pytest.raises(UserError, match="label 3: expected 0 to 2"):
        project(run, target, label=3)


def test_targets_of_another_shape_are_refused(run):
    with pytest.raises(UserError, match="expected an image"):
        project(run, np.zeros((3, 12, 12), np.uint8))
    with pytest.raises(UserError, match="mask"):
        project(run, np.zeros((1, 12, 12), np.uint8), mask=np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match="start"):
        project(run, np.zeros((1, 12, 12), np.uint8), start=torch.zeros(3))


def test_saliency_agrees_with_what_covering_pixels_does_to_the_logit(run):
    images = tiny.images(24, seed=1)
    predicted, measured = [], []
    slope = saliency(run, images)
    scale = (run.recipe.pixel_range[1] - run.recipe.pixel_range[0]) / 255
    base = np.array(run.discriminate(images))
    for row in range(0, 12, 3):
        for column in range(0, 12, 3):
            covered = images.copy()
            patch = covered[:, :, row : row + 3, column : column + 3]
            change = (128 - patch.astype(float)) * scale * 0.25
            patch[:] = (patch + 0.25 * (128 - patch.astype(float))).astype(np.uint8)
            measured.append(np.array(run.discriminate(covered)) - base)
            part = slope[:, :, row : row + 3, column : column + 3].numpy()
            predicted.append((part * change).sum((1, 2, 3)))
    assert np.corrcoef(np.ravel(predicted), np.ravel(measured))[0, 1] > 0.8

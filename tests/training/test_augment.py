"""Differentiable augmentation: what each change does, that gradients pass, and that both kinds get it."""

import pytest
import torch
from small import random_of, real_images, recipe_of, state_of

from ganvas.networks.classes import Batch
from ganvas.recipe import Augment
from ganvas.training import updates
from ganvas.training.augment import augmented

NONE = {"colour": 0, "translation": 0, "cutout": 0}


def fixed(value):
    return lambda *shape: torch.full(shape, value)


def drawn(seed=0):
    source = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=source)


def pictures(n=50, channels=3, height=12, width=16):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1)) + 0.5


def test_without_changes_images_stay_as_they_are():
    assert torch.equal(augmented(pictures(), Augment(**NONE), drawn()), pictures())


def test_in_the_middle_of_its_range_every_colour_change_is_none():
    x = pictures()
    torch.testing.assert_close(augmented(x, Augment(**NONE | {"colour": 1}), fixed(0.5)), x)


def test_brightness_moves_saturation_keeps_grey_and_contrast_keeps_the_mean():
    x = pictures()
    y = augmented(x, Augment(**NONE | {"colour": 1}), fixed(0.75))  # +0.25, 1.5 times, 1.25 times
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)) + 0.25)
    grey, grey_before = y.mean(1), x.mean(1)
    stretched = (grey_before - x.mean((1, 2, 3)).view(-1, 1, 1)) * 1.25
    torch.testing.assert_close(grey - y.mean((1, 2, 3)).view(-1, 1, 1), stretched)
    torch.testing.assert_close(y - grey.unsqueeze(1), (x - grey_before.unsqueeze(1)) * 1.5 * 1.25)


def test_a_grey_image_stays_grey_and_of_one_channel():
    assert augmented(pictures(channels=1), Augment(), drawn()).shape == (50, 1, 12, 16)


def test_a_moved_image_is_the_image_shifted_with_zeros_coming_in():
    x = pictures(n=200)
    y = augmented(x, Augment(**NONE | {"translation": 0.125}), drawn())
    seen = set()
    for before, after in zip(x, y, strict=True):
        matches = []
        for down in range(-2, 3):  # an eighth of 12, rounded, and of 16
            for right in range(-2, 3):
                shifted = torch.zeros_like(before)
                h, w = 12 - abs(down), 16 - abs(right)
                to, of = (max(-down, 0), max(-right, 0)), (max(down, 0), max(right, 0))
                shifted[:, to[0] : to[0] + h, to[1] : to[1] + w] = before[
                    :, of[0] : of[0] + h, of[1] : of[1] + w
                ]
                if torch.equal(shifted, after):
                    matches.append((down, right))
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 25  # every shift comes up


def test_a_cutout_blanks_a_rectangle_of_half_of_each_side_and_nothing_else():
    x = pictures(n=300)
    blank = augmented(x, Augment(**NONE | {"cutout": 0.5}), drawn()) == 0
    for image in blank:
        rows, columns = image[0].any(1).nonzero().flatten(), image[0].any(0).nonzero().flatten()
        assert 1 <= len(rows) <= 6
        assert 1 <= len(columns) <= 8
        assert image.sum() == 3 * len(rows) * len(columns)
    assert blank.any(1).sum((1, 2)).max() == 48
    kept = torch.where(blank, x, augmented(x, Augment(**NONE | {"cutout": 0.5}), drawn()))
    assert torch.equal(kept, x)


def test_in_another_pixel_range_the_same_pictures_change_in_the_same_way():
    x = pictures() - 1  # -0.5 to 0.5
    y = augmented(x, Augment(), drawn())
    halved = augmented((x + 1) / 2, Augment(), drawn(), (0, 1))
    torch.testing.assert_close(halved, (y + 1) / 2)


def test_gradients_pass_through_every_change():
    x = pictures(n=2, height=6, width=6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augmented(x, Augment(), drawn()), x)


@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "alternating_mixed", "alternating_separate"])
def test_the_discriminator_never_sees_an_image_as_it_is(rule):
    """A cutout leaves its mark on every image, real and fake, in both players' turns."""
    change = NONE | {"cutout": 0.5}
    recipe = recipe_of("tutorial-dcgan", **{"update.rule": rule, "augment": change})
    state, seen = state_of(recipe), []
    state.discriminator.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    updates.find(recipe)(state, Batch(real_images(recipe) + 3), random_of(recipe))
    assert seen
    for images in seen:
        assert ((images == 0).sum((1, 2, 3)) >= 2 * 2).all()  # of 8 x 8, at a corner
    before = [p.clone() for p in state.generator.parameters()]
    updates.find(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    assert any((a != b).any() for a, b in zip(before, state.generator.parameters(), strict=True))

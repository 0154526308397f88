"""Differentiable augmentation: what each change does, that gradients pass, and that both kinds get it."""

import pytest
import torch
from small import CPU, SHAPE, random_of, real_images, recipe_of, state_of

from ganvas.errors import RecipeError
from ganvas.networks.conditioning import Batch
from ganvas.recipes.schema import Augment
from ganvas.training import checkpoint, updates
from ganvas.training.augmentation import augment_images, initial_ada_state, random_affine, update_probability
from ganvas.utils.devices import autocast

NONE = {"color": 0, "translation": 0, "cutout": 0}


def fixed(value):
    return lambda *shape: torch.full(shape, value)


def uniform(seed=0):
    source = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=source)


def images(n=50, channels=3, height=12, width=16):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1)) + 0.5


def test_without_changes_images_stay_as_they_are():
    assert torch.equal(augment_images(images(), Augment(**NONE), uniform()), images())


def test_in_the_middle_of_its_range_every_color_change_is_none():
    x = images()
    torch.testing.assert_close(augment_images(x, Augment(**NONE | {"color": 1}), fixed(0.5)), x)


def test_brightness_moves_saturation_keeps_gray_and_contrast_keeps_the_mean():
    x = images()
    y = augment_images(x, Augment(**NONE | {"color": 1}), fixed(0.75))  # +0.25, 1.5 times, 1.25 times
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)) + 0.25)
    gray, gray_before = y.mean(1), x.mean(1)
    stretched = (gray_before - x.mean((1, 2, 3)).view(-1, 1, 1)) * 1.25
    torch.testing.assert_close(gray - y.mean((1, 2, 3)).view(-1, 1, 1), stretched)
    torch.testing.assert_close(y - gray.unsqueeze(1), (x - gray_before.unsqueeze(1)) * 1.5 * 1.25)


def test_a_gray_image_stays_gray_and_of_one_channel():
    assert augment_images(images(channels=1), Augment(), uniform()).shape == (50, 1, 12, 16)


def test_a_moved_image_is_the_image_shifted_with_zeros_coming_in():
    x = images(n=200)
    y = augment_images(x, Augment(**NONE | {"translation": 0.125}), uniform())
    shifts = set()
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
        shifts.add(matches[0])
    assert len(shifts) == 25  # every shift comes up


def test_a_cutout_blanks_a_rectangle_of_half_of_each_side_and_nothing_else():
    x = images(n=300)
    blank = augment_images(x, Augment(**NONE | {"cutout": 0.5}), uniform()) == 0
    for image in blank:
        rows, columns = image[0].any(1).nonzero().flatten(), image[0].any(0).nonzero().flatten()
        assert 1 <= len(rows) <= 6
        assert 1 <= len(columns) <= 8
        assert image.sum() == 3 * len(rows) * len(columns)
    assert blank.any(1).sum((1, 2)).max() == 48
    kept = torch.where(blank, x, augment_images(x, Augment(**NONE | {"cutout": 0.5}), uniform()))
    assert torch.equal(kept, x)


def test_in_another_pixel_range_the_same_images_change_in_the_same_way():
    x = images() - 1  # -0.5 to 0.5
    y = augment_images(x, Augment(), uniform())
    halved = augment_images((x + 1) / 2, Augment(), uniform(), (0, 1))
    torch.testing.assert_close(halved, (y + 1) / 2)


def test_gradients_pass_through_every_change():
    x = images(n=2, height=6, width=6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment_images(x, Augment(), uniform()), x)


@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "alternating_joint", "alternating_separate"])
def test_the_discriminator_never_sees_an_image_as_it_is(rule):
    """A cutout leaves its mark on every image, real and fake, in both players' turns."""
    change = NONE | {"cutout": 0.5}
    recipe = recipe_of("tutorial-dcgan", **{"update.rule": rule, "augment": change})
    state, inputs_seen = state_of(recipe), []
    state.discriminator.register_forward_hook(lambda _, inputs, __: inputs_seen.append(inputs[0].detach()))
    updates.make_update(recipe)(state, Batch(real_images(recipe) + 3), random_of(recipe))
    assert inputs_seen
    for images in inputs_seen:
        assert ((images == 0).sum((1, 2, 3)) >= 2 * 2).all()  # of 8 x 8, at a corner
    before = [p.clone() for p in state.generator.parameters()]
    updates.make_update(recipe)(state, Batch(real_images(recipe)), random_of(recipe))
    assert any((a != b).any() for a, b in zip(before, state.generator.parameters(), strict=True))


# As often as D shows that it needs it (ADA)

ADA = {"affine": True, "target": 0.6}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_at_probability_0_nothing_changes(precision):
    x = images()
    with autocast(precision, CPU):
        nothing = augment_images(x, Augment(**ADA), uniform(), probability=torch.tensor(0.0))
    torch.testing.assert_close(nothing, x, rtol=0, atol=1e-5)


def test_at_probability_1_colors_change_as_without_one():
    x = images()
    color = Augment(**NONE | {"color": 1})
    assert torch.equal(
        augment_images(x, color, fixed(0.75), probability=torch.tensor(1.0)),
        augment_images(x, color, fixed(0.75)),
    )


def test_each_change_is_applied_to_its_fraction_of_the_images():
    x = images(n=4000, height=8, width=8)
    y = augment_images(x, Augment(**NONE | {"cutout": 0.5}), uniform(), probability=torch.tensor(0.3))
    changed = (x != y).flatten(1).any(1).float().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.03)


def affine(name, value):
    """`turned` where all random numbers are such that one change alone is done."""
    order = ["mirror", "mirrored", "quarter", "turns", "scale", "scaled", "before", "angle_before", "stretch",
             "stretched", "after", "angle_after", "moved", "right", "down"]  # fmt: skip
    chances = {"mirror", "quarter", "scale", "before", "stretch", "after", "moved"}
    numbers = {key: 0.99 if key in chances else 0.5 for key in order} | {name: 0.0} | value
    source = iter([numbers[key] for key in order])
    return lambda n: torch.full((n,), next(source))


@pytest.mark.parametrize("sides", [(8, 8), (6, 10)])
def test_images_are_mirrored_and_turned_by_half(sides):
    x = images(n=2, height=sides[0], width=sides[1])
    half = torch.tensor(0.5)
    mirrored = random_affine(x, affine("mirror", {"mirrored": 0.1}), half)
    torch.testing.assert_close(mirrored, x.flip(3), rtol=0, atol=1e-5)
    around = random_affine(x, affine("quarter", {"turns": 0.6}), half)  # two quarters of four
    torch.testing.assert_close(around, x.flip(2, 3), rtol=0, atol=1e-5)


def test_a_quarter_turn_of_a_square_is_one():
    x = images(n=2, height=8, width=8)
    y = random_affine(x, affine("quarter", {"turns": 0.3}), torch.tensor(0.5))
    close = [torch.allclose(y, x.rot90(k, (2, 3)), atol=1e-4) for k in (1, 3)]
    assert sorted(close) == [False, True]


def test_a_turn_of_a_wide_image_keeps_its_pixels_square():
    """A disc stays a disc."""
    y_, x_ = torch.meshgrid(torch.arange(20.0), torch.arange(40.0), indexing="ij")
    disc = (((x_ - 19.5) ** 2 + (y_ - 9.5) ** 2) < 36).float()[None, None]
    result = random_affine(disc, affine("before", {"angle_before": 0.625}), torch.tensor(0.5))
    middle = (..., slice(11, 29))  # towards the corners it is mirrored in
    assert disc[middle].sum() == disc.sum()
    assert (result - disc)[middle].abs().mean() < 0.05  # an ellipse would differ by 0.2
    assert (result - disc).abs().mean() > 0.01  # and it was turned: the corners show it


@pytest.mark.parametrize("turn", ["before", "after"])
def test_turns_before_and_after_stretching_are_turns(turn):
    bar = torch.zeros(1, 1, 17, 17)
    bar[..., 8, 2:15] = 1
    result = random_affine(bar, affine(turn, {f"angle_{turn}": 0.75}), torch.tensor(0.5))  # a quarter
    torch.testing.assert_close(result, bar.transpose(2, 3), rtol=0, atol=1e-3)


def test_stretching_widens_one_way_and_narrows_the_other():
    disc = torch.zeros(1, 1, 32, 32)
    disc[..., 12:20, 12:20] = 1
    result = random_affine(disc, affine("stretch", {"stretched": 0.01}), torch.tensor(0.5))[0, 0] > 0.5
    across, down = result.any(0).sum(), result.any(1).sum()
    assert across > 8 > down or down > 8 > across


def test_shifts_move_by_an_eighth_of_the_side_as_a_rule():
    x = torch.zeros(1, 1, 64, 64)
    x[..., 30:34, 30:34] = 1
    one_deviation = 0.8413  # of N(0, 1), as a fraction
    result = random_affine(x, affine("moved", {"right": one_deviation, "down": 0.5}), torch.tensor(0.5))
    torch.testing.assert_close(result[0, 0].roll(8, 1), x[0, 0], rtol=0, atol=0.02)


def test_scaling_enlarges_or_shrinks_about_the_middle():
    x = torch.zeros(1, 1, 16, 16)
    x[..., 6:10, 6:10] = 1
    small = random_affine(x, affine("scale", {"scaled": 0.99}), torch.tensor(0.5))
    assert small.sum() < 0.75 * x.sum()
    torch.testing.assert_close(small, small.flip(2, 3), rtol=0, atol=1e-4)


def test_the_probability_rises_where_d_is_sure_of_real_images_and_falls_where_it_is_not():
    state = initial_ada_state()
    for step in range(8):
        update_probability(state, torch.tensor(0.9), 1000, 0.6, step)
    assert state.tolist() == pytest.approx([2 * 4000 / 500_000, 0, 0])
    for step in range(8, 11):
        update_probability(state, torch.tensor(0.0), 1000, 0.6, step)
    assert state.tolist() == pytest.approx([0.016, 0, 3000])  # a fourth is to come
    update_probability(state, torch.tensor(0.0), 1000, 0.6, 11)
    assert state[0].item() == pytest.approx(0.008)
    for step in range(12, 40):
        update_probability(state, torch.tensor(-1.0), 1000, 0.6, step)
    assert state[0] == 0


def test_the_probability_is_logged_saved_and_goes_on(tmp_path):
    recipe = recipe_of("mlp", augment=ADA | {"target": -0.9}, batch_size=8)
    state, update = state_of(recipe), updates.make_update(recipe)
    state.adaptive[0] = 0.25
    for step in range(5):
        terms = update(state, Batch(real_images(recipe, seed=step)), random_of(recipe, step))
        state.step += 1
        state.images_seen += 8
    assert terms["augment_probability"] == state.adaptive[0] == pytest.approx(0.25 + 4 * 8 / 500_000)
    folder = checkpoint.save(tmp_path, state, recipe)
    again = checkpoint.load(folder, SHAPE, CPU)
    assert torch.equal(again.adaptive, state.adaptive)
    assert again.adaptive[2] == 8


def test_geometry_without_a_target_is_refused():
    with pytest.raises(RecipeError, match="affine changes every image"):
        recipe_of("mlp", augment={"affine": True})


def test_gradients_pass_through_turned_images():
    x = images(n=2, height=6, width=6).double().requires_grad_()
    how = Augment(**ADA)
    assert torch.autograd.gradcheck(
        lambda x: augment_images(x, how, lambda *s: uniform()(*s).double(), probability=torch.tensor(0.8)), x,
        eps=1e-5, atol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("objective", ["wasserstein", "relativistic"])
def test_a_target_for_the_sign_of_logits_that_have_none_is_refused(objective):
    with pytest.raises(RecipeError, match="leaves open"):
        recipe_of("mlp", augment={"target": 0.6}, objective=objective)

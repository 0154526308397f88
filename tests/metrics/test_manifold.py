"""Precision, recall, density, coverage: points placed by hand, expectations, and prdc."""

import pytest
import torch
from prdc import compute_prdc

from ganvas.errors import DataError, UserError
from ganvas.metrics import density_coverage, knn, manifold_scores, nearest_neighbors, precision_recall


def line(*places):
    return torch.tensor(places, dtype=torch.float32).unsqueeze(1)


REAL = line(0, 1, 3, 10)  # balls for k = 1: radius 1, 1, 2, 7
FAKE = line(-1.5, 0.5, 2.5, 18)  # balls for k = 1: radius 2, 2, 2, 15.5


def test_four_points_on_a_line_score_as_counted_by_hand():
    result = manifold_scores(FAKE, REAL, k_precision=1, k_density=1)
    # In the balls [-1, 1], [0, 2], [1, 5], [3, 17] lie: none of -1.5, two of 0.5, one of 2.5, none of 18.
    assert result.precision.value == 0.5
    assert result.density.value == 0.75
    # 0.5 lies in the first two, 2.5 in the third.
    assert result.coverage.value == 0.75
    # The fakes' balls [-3.5, 0.5], [-1.5, 2.5], [0.5, 4.5], [2.5, 33.5] hold all reals.
    assert result.recall.value == 1


def test_a_standard_error_is_that_of_the_mean_over_samples():
    result = manifold_scores(FAKE, REAL, k_precision=1, k_density=1)
    half = torch.tensor([0.0, 1, 1, 0]).double()
    assert result.precision.stderr == pytest.approx(half.std().item() / 2)
    assert result.density.stderr == pytest.approx(torch.tensor([0.0, 2, 1, 0]).double().std().item() / 2)
    assert result.recall.stderr == 0


def test_the_edge_of_a_ball_is_inside():
    # Kynkäänniemi et al., section 3: at most as far as the k-th neighbor.
    assert precision_recall(line(4, 40), line(0, 2, 40), k=1)[0].value == 1


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize(("k_precision", "k_density"), [(3, 5), (5, 2)])
def test_the_four_agree_with_prdc(draw, capsys, shift, k_precision, k_density):
    fake, real = draw(400, 10, 1, scale=0.9, shift=shift), draw(700, 10, 2)
    result = manifold_scores(fake, real, k_precision=k_precision, k_density=k_density)
    first = compute_prdc(real.double().numpy(), fake.double().numpy(), k_precision)
    second = compute_prdc(real.double().numpy(), fake.double().numpy(), k_density)
    assert result.precision.value == pytest.approx(first["precision"], rel=1e-4)
    assert result.recall.value == pytest.approx(first["recall"], rel=1e-4)
    assert result.density.value == pytest.approx(second["density"], rel=1e-4)
    assert result.coverage.value == pytest.approx(second["coverage"], rel=1e-4)


def test_equal_distributions_have_density_1_and_the_known_coverage(draw):
    density, coverage = density_coverage(draw(2000, 4, 1), draw(2000, 4, 2), k=5)
    # Naeem et al. 2020, section 3.3: E density = 1; E coverage = 1 - Π (N - i)/(2N - i), about 1 - 2^-k.
    assert density.value == pytest.approx(1, abs=5 * density.stderr)
    assert coverage.value == pytest.approx(1 - 0.5**5, abs=5 * coverage.stderr)


def test_lost_modes_cost_recall_and_coverage_and_noise_costs_precision_and_density(draw):
    real = torch.cat([draw(300, 6, 1, shift=-4.0), draw(300, 6, 2, shift=4.0)])
    lost = manifold_scores(draw(600, 6, 3, shift=4.0), real)
    assert lost.precision.value > 0.7
    assert lost.recall.value < 0.5
    assert lost.coverage.value < 0.55
    noise = manifold_scores(draw(600, 6, 4, scale=12.0), real)
    assert noise.precision.value < 0.1
    assert noise.density.value < 0.1


def test_order_rotation_and_translation_do_not_matter(draw):
    fake, real = draw(300, 5, 1), draw(300, 5, 2, scale=1.3)
    expected = manifold_scores(fake, real)
    turn = torch.linalg.qr(draw(5, 5, 3))[0]
    for x, y in ((fake.flip(0), real.roll(5, 0)), (fake @ turn, real @ turn), (fake + 2, real + 2)):
        result = manifold_scores(x, y)
        for name in ("precision", "recall", "density", "coverage"):
            assert getattr(result, name) == pytest.approx(getattr(expected, name), rel=1e-9)


def test_copies_of_repeated_samples_are_in_their_balls_of_no_size(draw):
    # Every real four times over: its third neighbor is itself.
    real = draw(100, 30, 1, shift=5.0).repeat(4, 1)
    result = manifold_scores(real[:100], real, k_precision=3, k_density=3)
    assert result.precision.value == 1
    assert result.coverage.value == 1


def test_blocks_of_fakes_give_what_one_block_gives(draw, monkeypatch):
    fake, real = draw(203, 6, 1), draw(300, 6, 2)
    whole = manifold_scores(fake, real)
    monkeypatch.setattr(knn, "BLOCK_BYTES", 300 * 4 * 20)
    assert manifold_scores(fake, real) == whole


def test_radii_handed_in_give_the_same_scores(draw):
    fake, real = draw(100, 6, 1), draw(150, 6, 2)
    radii = nearest_neighbors(real, real, 7, exclude_self=True)[0]
    assert manifold_scores(fake, real, real_radii=radii) == manifold_scores(fake, real)
    assert manifold_scores(fake, real, real_radii=radii * 100).precision.value == 1


def test_two_of_the_four_are_those_of_all_four(draw):
    fake, real = draw(90, 4, 1), draw(120, 4, 2)
    result = manifold_scores(fake, real)
    assert precision_recall(fake, real) == (result.precision, result.recall)
    assert density_coverage(fake, real) == (result.density, result.coverage)


def test_what_does_not_fit_is_refused(draw):
    fake, real = draw(4, 3, 1), draw(9, 3, 2)
    with pytest.raises(UserError, match="k_precision: expected 1 to 3, got 4"):
        manifold_scores(fake, real, k_precision=4)
    with pytest.raises(UserError, match="k_density: expected 1 to 8, got 9"):
        manifold_scores(fake, real, k_density=9)
    for radii in (torch.ones(9, 4), torch.ones(8, 5), torch.ones(9)):
        with pytest.raises(DataError, match=r"real_radii: expected \[9, 5 or more\], got"):
            manifold_scores(fake, real, real_radii=radii)

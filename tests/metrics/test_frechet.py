"""FID: closed forms for Gaussians, invariances, its standard error, its limit, and torchmetrics."""

import math

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from ganvas.errors import DataError, UserError
from ganvas.metrics import Moments, fid, fid_infinity, frechet, frechet_distance, moments


def of(mean, covariance):
    return Moments(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64), 1000
    )


def standard(width):
    """The moments of N(0, I), known exactly."""
    return Moments(torch.zeros(width).double(), torch.eye(width).double(), 10**9)


def rotation(width, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(width, width, generator=source, dtype=torch.float64))[0]


def root_of_2_by_2(m):
    """The trace of a 2x2 matrix's root: √(tr M + 2 √det M)."""
    return math.sqrt(m.trace().item() + 2 * math.sqrt(torch.linalg.det(m).item()))


def test_distance_of_commuting_covariances_is_that_of_their_deviations():
    a = of([0.0, 0.0, 0.0], [[4.0, 0, 0], [0, 9, 0], [0, 0, 1]])
    b = of([1.0, 2.0, 2.0], [[1.0, 0, 0], [0, 25, 0], [0, 0, 1]])
    assert frechet_distance(a, b) == pytest.approx(9 + (2 - 1) ** 2 + (3 - 5) ** 2, rel=1e-12)


def test_distance_of_covariances_that_do_not_commute_is_the_closed_form():
    a, b = of([0.0, 0.0], [[4.0, 1.5], [1.5, 1.0]]), of([1.0, -1.0], [[1.0, -0.7], [-0.7, 3.0]])
    product = a.covariance @ b.covariance
    assert not torch.allclose(product, b.covariance @ a.covariance)
    expected = 2 + 5 + 4 - 2 * root_of_2_by_2(product)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)


def test_distance_of_gaussians_on_lines_is_real_and_known():
    # Covariances of rank 1, u uᵀ and v vᵀ: the trace of their product's root is |u·v|.
    u, v = torch.tensor([3.0, 4.0, 0.0]).double(), torch.tensor([1.0, 0.0, 2.0]).double()
    a, b = (Moments(torch.zeros(3).double(), torch.outer(w, w), 9) for w in (u, v))
    assert frechet_distance(a, b) == pytest.approx(25 + 5 - 2 * 3, rel=1e-6)


@pytest.mark.parametrize(("count", "width"), [(300, 8), (20, 50)])
def test_a_set_is_at_0_from_itself(draw, count, width):
    result = moments(draw(count, width, shift=3.0))
    assert 0 <= frechet_distance(result, result) < 1e-5


def test_moments_are_those_of_the_definition(draw):
    x = draw(50, 4, scale=2.0, shift=1.0)
    result = moments(x)
    assert result.count == 50
    torch.testing.assert_close(result.mean, x.double().mean(0))
    torch.testing.assert_close(result.covariance, torch.cov(x.double().T))


def test_moments_in_chunks_are_moments_at_once(draw, monkeypatch):
    x = draw(1000, 6, shift=5.0)
    whole = moments(x)
    monkeypatch.setattr(frechet, "CHUNK", 7)
    chunked = moments(x)
    torch.testing.assert_close(chunked.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(chunked.covariance, whole.covariance, rtol=1e-12, atol=1e-12)


def test_moments_keep_their_digits_far_from_the_origin(draw):
    x = draw(500, 3)
    far = (x.double() + 1e6).double()
    torch.testing.assert_close(moments(far).covariance, moments(x).covariance, rtol=1e-6, atol=1e-6)


def test_fid_is_invariant_to_order_rotation_or_translation(draw):
    fake, real = draw(400, 12, 1, scale=1.5).double(), draw(500, 12, 2, shift=0.2).double()
    value = fid(fake, real).value
    turn, away = rotation(12), torch.linspace(-3, 3, 12).double()
    assert fid(fake.flip(0), real.roll(7, 0)).value == pytest.approx(value, rel=1e-9)
    assert fid(fake @ turn, real @ turn).value == pytest.approx(value, rel=1e-9)
    assert fid(fake + away, real + away).value == pytest.approx(value, rel=1e-9)
    assert fid(fake * 3, real * 3).value == pytest.approx(9 * value, rel=1e-9)


def test_fid_against_reals_is_fid_against_their_moments(draw):
    fake, real = draw(300, 5, 1), draw(400, 5, 2, shift=0.5)
    assert fid(fake, real) == fid(fake, moments(real))
    assert fid_infinity(fake, real) == fid_infinity(fake, moments(real))


def test_fid_agrees_with_torchmetrics(draw):
    class Given(nn.Module):
        num_features = 24

        def forward(self, x):
            return x.flatten(1)

    other = FrechetInceptionDistance(feature=Given(), normalize=True, input_img_size=(1, 1, 24))
    mix = draw(24, 24, 3)
    fake, real = draw(700, 24, 1) @ mix + 0.1, draw(900, 24, 2, scale=1.2)
    for features, is_real in ((fake, False), (real, True)):
        other.update(features.view(-1, 1, 1, 24), real=is_real)
    assert fid(fake, real).value == pytest.approx(other.compute().item(), rel=1e-4)


def test_the_jackknifes_group_sums_give_what_leaving_out_gives(draw):
    fake, real = draw(103, 4, 1), standard(4)
    without = []
    for i in range(10):
        kept = torch.ones(103, dtype=torch.bool)
        kept[i::10] = False
        without.append(frechet_distance(moments(fake[kept]), real))
    expected = math.sqrt(9 * torch.tensor(without, dtype=torch.float64).var(correction=0))
    assert fid(fake, real, groups=10).stderr == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.4, 0.3)])
def test_fids_standard_error_is_that_of_repeated_draws_within_a_factor(draw, scale, shift):
    result = [fid(draw(600, 16, seed, scale=scale, shift=shift), standard(16)) for seed in range(60)]
    observed = torch.tensor([e.value for e in result]).std().item()
    claimed = sum(e.stderr for e in result) / len(result)
    # Near 0 FID is a square, which the jackknife overrates; elsewhere it is right.
    assert 0.8 * observed < claimed < (2.2 if scale == 1.0 else 1.3) * observed


def test_fids_standard_error_does_not_come_from_classes_left_out(draw):
    # Two far clusters, sorted: stretches of fakes would be all of one.
    fake = torch.cat([draw(300, 4, 1, shift=-5.0), draw(300, 4, 2, shift=5.0)])
    shuffled = fake[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    ordered, mixed = (fid(x, standard(4), groups=20) for x in (fake, shuffled))
    assert ordered.value == pytest.approx(mixed.value, rel=1e-9)
    assert ordered.stderr < 2 * mixed.stderr


def test_too_few_fakes_to_leave_any_out_have_no_stderr(draw):
    assert math.isnan(fid(draw(3, 2), standard(2)).stderr)
    assert math.isfinite(fid(draw(4, 2), standard(2)).stderr)


def test_fid_has_the_known_bias_and_fid_at_infinity_little_of_it(draw):
    values, limits = [], []
    for seed in range(4):
        fake = draw(3000, 32, seed)
        values.append(fid(fake, standard(32)).value)
        limits.append(fid_infinity(fake, standard(32)))
    bias = 32**2 / (4 * 3000) + 32 / 3000
    assert sum(values) / 4 == pytest.approx(bias, rel=0.1)
    assert abs(sum(limits) / 4) < 0.15 * bias


def test_fid_at_infinity_keeps_a_true_distance(draw):
    fake = draw(4000, 8, scale=1.5, shift=0.5)
    assert fid_infinity(fake, standard(8)) == pytest.approx(8 * (0.25 + 0.25), rel=0.1)


def test_fid_at_infinity_leaves_out_parts_with_few_samples_a_feature(draw):
    fake = draw(500, 50, scale=1.2)  # 5 parts of 100 are the last with two a feature
    ten, five, four = (fid_infinity(fake, standard(50), points=points) for points in (10, 5, 4))
    assert ten == five
    assert five != four
    small = draw(60, 50)
    assert fid_infinity(small, standard(50)) == fid_infinity(small, standard(50), points=2)


def test_fid_at_infinity_is_a_function_of_its_seed(draw):
    fake = draw(200, 5)
    assert fid_infinity(fake, standard(5), seed=1) == fid_infinity(fake, standard(5), seed=1)
    assert fid_infinity(fake, standard(5), seed=1) != fid_infinity(fake, standard(5), seed=2)


@pytest.mark.slow
def test_two_samples_of_128_features_have_fid_0_84_and_half_of_it_at_infinity(draw):
    fake, real = draw(10_000, 128, 1), draw(10_000, 128, 2)
    assert fid(fake, real).value == pytest.approx(0.84, abs=0.05)
    # The bias that comes of the reals' number remains.
    assert fid_infinity(fake, real) == pytest.approx(0.42, abs=0.06)


def test_features_that_cannot_be_scored_are_refused(draw):
    with pytest.raises(DataError, match=r"fake and real: .* got 4 and 5 per sample"):
        fid(draw(10, 4), draw(10, 5))
    with pytest.raises(DataError, match="real: expected 2 or more samples, got 1"):
        fid(draw(10, 4), draw(1, 4))
    with pytest.raises(DataError, match="fake: expected 4 or more samples, got 3"):
        fid_infinity(draw(3, 4), standard(4))
    with pytest.raises(UserError, match="groups: expected at least 2, got 1"):
        fid(draw(10, 4), standard(4), groups=1)

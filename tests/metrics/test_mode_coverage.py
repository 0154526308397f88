"""Modes: fractions, coverage, and the divergence from what is expected."""

import math

import pytest
import torch

from ganvas.errors import DataError
from ganvas.metrics import STACKED_SAMPLES, mode_coverage, stacked_modes


def of(*numbers):
    """Classes with so many samples each."""
    return torch.arange(len(numbers)).repeat_interleave(torch.tensor(numbers))


def test_equal_fractions_have_no_divergence_and_miss_nothing():
    result = mode_coverage(of(7, 7, 7), 3)
    assert result.histogram == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert (result.covered, result.missing) == (3, ())
    assert result.kl == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("count", range(2, 60))
def test_rounding_makes_no_divergence_negative(count):
    for numbers in ([3] * count, [1 + i % 3 for i in range(count)], list(range(1, count + 1))):
        fractions = [number / sum(numbers) for number in numbers]
        assert 0 <= mode_coverage(of(*numbers), count, expected=fractions).kl < 1e-15


def test_one_mode_of_ten_diverges_by_log_10():
    result = mode_coverage(torch.full((50,), 4), 10)
    assert result.kl == pytest.approx(math.log(10))
    assert result.covered == 1
    assert result.missing == (0, 1, 2, 3, 5, 6, 7, 8, 9)


def test_divergence_is_of_the_samples_fractions_to_the_expected():
    result = mode_coverage(of(3, 1), 2, expected=[1, 1])
    assert result.kl == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    skewed = mode_coverage(of(5, 5), 2, expected=[0.9, 0.1])
    assert skewed.kl == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))


def test_expected_numbers_serve_as_fractions():
    assert mode_coverage(of(3, 5), 2, expected=[600, 200]) == mode_coverage(
        of(3, 5), 2, expected=[0.75, 0.25]
    )


def test_a_mode_is_covered_from_a_tenth_of_its_expected_number_on():
    # 1,000 samples, 250 expected of each of 4: covered from 25 on.
    assert mode_coverage(of(24, 25, 451, 500), 4).missing == (0,)
    # 8 samples, 2 expected of each: one will do, none will not.
    assert mode_coverage(of(1, 7, 0, 0), 4).missing == (2, 3)


def test_a_mode_that_is_not_expected_is_never_missing_and_diverges_without_end():
    result = mode_coverage(of(5, 5), 3, expected=[1, 1, 0])
    assert (result.covered, result.missing, result.kl) == (2, (), pytest.approx(0))
    assert mode_coverage(of(5, 4, 1), 3, expected=[1, 1, 0]).kl == math.inf


def test_order_of_the_samples_does_not_matter():
    classes = of(3, 9, 4)
    assert mode_coverage(classes.flip(0), 3) == mode_coverage(classes, 3)


def test_stacked_digits_are_one_mode_a_triple_and_one_sample_covers_it():
    result = stacked_modes(torch.tensor([[1, 2, 3], [1, 2, 3], [9, 9, 9], [0, 0, 0]]))
    assert result.covered == 3
    assert len(result.missing) == 997
    assert result.histogram[123] == 0.5
    assert result.histogram[999] == result.histogram[0] == 0.25
    assert result.kl == pytest.approx(0.5 * math.log(500) + 0.5 * math.log(250))


def test_uniform_triples_cover_all_modes_with_the_divergence_of_chance():
    source = torch.Generator().manual_seed(0)
    result = stacked_modes(torch.randint(0, 10, (STACKED_SAMPLES, 3), generator=source))
    assert result.covered == 1000
    # Of N samples over K modes: about (K - 1)/2N nats.
    assert result.kl == pytest.approx(999 / (2 * 26_000), rel=0.15)


def test_stacked_digits_diverge_from_the_datas_fractions_where_given():
    classes = torch.tensor([[0, 0, 1], [0, 0, 2]])
    expected = [0.0, 1.0, 1.0, *[0.0] * 997]
    assert stacked_modes(classes, expected).kl == pytest.approx(0)


def test_what_are_not_fractions_or_triples_is_refused():
    for wrong in ([1.0], [1.0, -0.5, 0.5], [0.0, 0.0, 0.0], [1.0, math.nan, 1.0]):
        with pytest.raises(DataError, match="expected: expected 3 fractions"):
            mode_coverage(of(1, 1, 1), 3, expected=wrong)
    with pytest.raises(DataError, match=r"int64 \[N, 3\], got int64 \[5\]"):
        stacked_modes(torch.zeros(5, dtype=torch.int64))
    with pytest.raises(DataError, match="from 0 to 9, got 0 to 10"):
        stacked_modes(torch.tensor([[0, 10, 0]]))

"""Charts: their ticks, their subsampled lines, and that any numbers can be drawn."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganvas.evaluation.history import LARGEST
from ganvas.report.charts import (
    Chart,
    Line,
    Points,
    draw,
    interpolate_at,
    linear_ticks,
    log_ticks,
    moving_mean,
    subsample_points,
    tick_text,
)
from ganvas.report.numbers import format_duration, format_number, format_with_error

anything = st.floats(-LARGEST / 2, LARGEST / 2)
ordered = st.lists(st.integers(0, 2**53), min_size=1, max_size=30, unique=True).map(sorted)


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 1002, 5000])
def test_a_subsampled_line_keeps_its_ends_and_its_extremes(count):
    y = np.random.default_rng(count).normal(size=count).tolist()
    x = list(range(count))
    subsample = subsample_points(Points(x, y), 1000)
    assert len(subsample.x) <= 1000
    assert set(zip(*subsample, strict=True)) <= set(zip(x, y, strict=True))
    assert list(subsample.x) == sorted(set(subsample.x))
    assert (subsample.x[0], subsample.x[-1]) == (0, count - 1)
    assert (min(subsample.y), max(subsample.y)) == (min(y), max(y))


def test_a_single_spike_survives_subsampling():
    y = [0.0] * 50_000
    y[31_234] = 1.0
    subsample = subsample_points(Points(range(50_000), y), 100)
    assert (31_234, 1.0) in zip(*subsample, strict=True)


def test_the_moving_mean_of_a_straight_line_is_the_line_until_it_leans_back():
    mean = moving_mean(Points(range(100), [2.0 * i for i in range(100)]), 7)
    assert np.allclose(mean.y[:93], [2.0 * i for i in range(93)])
    assert math.isclose(mean.y[99], 2.0 * (99 - 3.5))


def test_between_points_a_line_is_straight():
    points = Points([0, 10, 20], [0.0, 1.0, 5.0])
    assert [interpolate_at(points, at) for at in (0, 5, 10, 15, 20)] == [0.0, 0.5, 1.0, 3.0, 5.0]
    assert interpolate_at(points, 21) is None
    assert interpolate_at(Points([], []), 0) is None


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e6))
def test_ticks_are_round_few_and_within_the_axis(low, size):
    high = low + size
    ticks = linear_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-6 * size <= tick <= high + 1e-6 * size for tick in ticks)
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0], atol=1e-5 * size)
    words = [tick_text(tick, ticks) for tick in ticks]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 50_000, ["0", "10,000", "20,000", "30,000", "40,000", "50,000"]),
        (-2, 2, ["−2", "−1", "0", "1", "2"]),
        (0, 5e6, ["0", "1M", "2M", "3M", "4M", "5M"]),
    ],
)
def test_ticks_have_the_digits_they_need(low, high, expected):
    ticks = linear_ticks(low, high)
    assert [tick_text(tick, ticks) for tick in ticks] == expected


def test_logarithmic_ticks_are_powers_of_ten_where_there_are_many():
    assert log_ticks(8, 300) == [10, 20, 50, 100, 200]
    assert log_ticks(0.5, 2e5) == [1, 10, 100, 1000, 1e4, 1e5]


@given(ordered, st.data(), st.booleans(), st.sampled_from([None, 0.0]), st.sampled_from([None, 1.0]))
def test_any_finite_numbers_can_be_drawn(x, data, noisy, low, high):
    y = data.draw(st.lists(anything, min_size=len(x), max_size=len(x)))
    source = draw(Chart("t", "r", [Line("a", Points(x, y))], noisy=noisy, low=low, high=high))
    paths = re.findall(r'd="M([^"]*)" class="stroke', source)
    numbers = [float(word) for path in paths for word in path.replace("L", " ").split()]
    assert numbers
    assert all(-1000 <= value <= 2000 for value in numbers)
    assert "nan" not in source
    assert "inf" not in source


@given(ordered, st.data())
def test_any_positive_numbers_can_be_drawn(x, data):
    y = data.draw(st.lists(st.floats(0, 1e30, exclude_min=True), min_size=len(x), max_size=len(x)))
    draw(Chart("t", "r", [Line("a", Points(x, y)), Line("empty", Points([], []))]))


def test_a_score_that_falls_far_is_drawn_on_a_logarithmic_scale():
    far = draw(Chart("FID", "", [Line("FID", Points([1, 2, 3], [300.0, 30.0, 3.0]))]))
    near = draw(Chart("FID", "", [Line("FID", Points([1, 2, 3], [9.0, 8.0, 7.0]))]))
    assert "The scale is logarithmic." in far
    assert "logarithmic" not in near
    heights = [float(p.split()[1]) for p in re.search(r'd="M([^"]*)"', far).group(1).split("L")]
    assert math.isclose(heights[1] - heights[0], heights[2] - heights[1], abs_tol=0.2)


def test_an_outlier_of_a_noisy_line_leaves_the_axis_and_is_named():
    y = [1.0 + i % 5 / 10 for i in range(500)]
    y[0] = 80.0
    source = draw(Chart("Losses", "", [Line("G", Points(range(500), y))], noisy=True))
    assert "the highest value is 80.0" in source


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"), (0, "0"), (9.1, "9.10"), (0.742, "0.742"), (0.0123, "0.0123"), (12.34, "12.3"),
        (12_345.6, "12,346"), (-0.5, "−0.500"), (1e-7, "1.00e-07"), (3e12, "3.00e+12"), (17, "17.0"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_or_so(value, expected):
    assert format_number(value) == expected


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [(9.1, 0.083, "9.10 ± 0.08"), (9.1, None, "9.10"), (None, 1, "–"), (9.1, 0.004, "9.100 ± 0.004")],
)
def test_a_standard_error_has_the_digits_of_its_mean(value, error, expected):
    assert format_with_error(value, error) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "–"), (1.25, "1.2 s"), (42.4, "42 s"), (187, "3:07 min"), (3720, "1:02 h"), (3599.7, "1:00 h")],
)
def test_a_duration_has_its_unit(seconds, expected):
    assert format_duration(seconds) == expected

"""KID: the definition, its lack of bias, its standard error, and torchmetrics."""

import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from ganvas.errors import DataError, UserError
from ganvas.metrics import kid


def by_definition(x, y):
    """MMD²_u, pair by pair."""

    def k(a, b):
        return ((a * b).sum().item() / len(a) + 1) ** 3

    n = len(x)
    within = sum(k(s[i], s[j]) for s in (x, y) for i in range(n) for j in range(n) if i != j)
    between = sum(k(a, b) for a in x for b in y)
    return within / (n * (n - 1)) - 2 * between / n**2


def test_kid_of_whole_sets_is_the_definition(draw):
    x, y = draw(9, 4, 1, shift=0.5).double(), draw(9, 4, 2).double()
    assert kid(x, y, subsets=3).value == pytest.approx(by_definition(x, y), rel=1e-10)


def test_kid_agrees_with_torchmetrics(draw):
    x, y = draw(500, 20, 1, scale=1.1), draw(500, 20, 2, shift=0.1)
    expected = poly_mmd(y.double(), x.double()).item()
    assert kid(x, y, subsets=2, size=500).value == pytest.approx(expected, rel=1e-6)


def test_kid_of_one_distribution_is_0_on_average_for_any_size(draw):
    for size in (5, 50):
        values = torch.tensor(
            [kid(draw(size, 8, s), draw(size, 8, s + 1000), subsets=2).value for s in range(400)]
        )
        assert abs(values.mean()) < 3 * values.std() / 20
        assert (values < 0).float().mean() > 0.3


def test_kids_standard_error_covers_0_for_one_distribution_and_not_for_two(draw):
    real = draw(3000, 16, 1)
    same, other = (kid(draw(3000, 16, 2, shift=s), real, subsets=50, size=300) for s in (0.0, 0.3))
    assert abs(same.value) < 5 * same.stderr
    assert other.value > 20 * other.stderr


def test_kids_standard_error_is_that_of_independent_subsets(draw):
    # Far more samples than a subset takes: the subsets hardly overlap.
    result = [kid(draw(4000, 8, s), draw(4000, 8, s + 500), subsets=20, size=20, seed=s) for s in range(40)]
    observed = torch.tensor([e.value for e in result]).std().item()
    claimed = sum(e.stderr for e in result) / len(result)
    assert 0.7 * observed < claimed < 1.4 * observed


def test_kid_does_not_depend_on_which_way_the_features_are_turned(draw):
    x, y = draw(200, 6, 1).double(), draw(200, 6, 2, shift=1.0).double()
    turn = torch.linalg.qr(draw(6, 6, 3).double())[0]
    assert kid(x @ turn, y @ turn, size=80).value == pytest.approx(kid(x, y, size=80).value, rel=1e-9)


def test_a_subset_is_no_larger_than_the_smaller_set(draw):
    x, y = draw(30, 3, 1), draw(100, 3, 2)
    assert kid(x, y, subsets=4) == kid(x, y, subsets=4, size=30)


def test_kid_is_a_function_of_its_seed(draw):
    x, y = draw(60, 3, 1), draw(60, 3, 2)
    assert kid(x, y, size=20, seed=4) == kid(x, y, size=20, seed=4)
    assert kid(x, y, size=20, seed=4) != kid(x, y, size=20, seed=5)


def test_kid_refuses_what_it_cannot_score(draw):
    with pytest.raises(DataError, match="fake: expected 2 or more samples, got 1"):
        kid(draw(1, 3), draw(9, 3))
    with pytest.raises(UserError, match="subsets: expected at least 2, got 1"):
        kid(draw(9, 3), draw(9, 3), subsets=1)
    with pytest.raises(UserError, match="size: expected at least 2, got 1"):
        kid(draw(9, 3), draw(9, 3), size=1)

"""The effective number of samples: known cases and the definition."""

import math

import pytest
import torch

from ganvas.errors import DataError, UserError
from ganvas.metrics import vendi_score


def test_orthogonal_samples_count_each():
    assert vendi_score(torch.eye(9) * torch.arange(1, 10).unsqueeze(1)) == pytest.approx(9)


def test_duplicates_and_multiples_count_once(draw):
    x = draw(1, 6)
    assert vendi_score(x * torch.linspace(0.1, 7, 30).unsqueeze(1)) == pytest.approx(1)


def test_repeated_directions_count_by_the_entropy_of_their_fractions():
    x = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    entropy = -sum(p * math.log(p) for p in (1 / 2, 1 / 3, 1 / 6))
    assert vendi_score(x) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize(("count", "width"), [(40, 7), (12, 30)])
def test_the_gram_matrix_gives_what_the_similarities_give(draw, count, width):
    x = draw(count, width, shift=0.4)
    unit = torch.nn.functional.normalize(x.double(), dim=1)
    fractions = torch.linalg.eigvalsh(unit @ unit.T / count).clamp(min=1e-300)
    assert vendi_score(x) == pytest.approx((-(fractions * fractions.log()).sum()).exp().item(), rel=1e-9)


def test_order_rotation_and_lengths_do_not_matter(draw):
    x = draw(50, 8).double()
    turn = torch.linalg.qr(draw(8, 8, 2).double())[0]
    assert vendi_score(x.flip(0) @ turn * 5) == pytest.approx(vendi_score(x), rel=1e-9)


def test_samples_without_direction_are_like_each_other_only():
    x = torch.zeros(4, 2)
    x[0, 0] = x[1, 0] = 1
    assert vendi_score(x) == pytest.approx(2)


def test_only_the_first_samples_are_used_where_a_size_is_given(draw):
    x = draw(30, 5)
    assert vendi_score(x, size=10) == vendi_score(x[:10])
    with pytest.raises(UserError, match="size: expected 1 to 30, got 31"):
        vendi_score(x, size=31)
    with pytest.raises(DataError, match="expected 1 or more samples, got 0"):
        vendi_score(x[:0])

"""Arguments of metrics that are refused, and how."""

import pytest
import torch

from ganvas import metrics
from ganvas.errors import DataError
from ganvas.metrics import common


@pytest.mark.parametrize(
    "wrong", [torch.zeros(5), torch.zeros(5, 2, 2), torch.zeros(5, 0), torch.zeros(5, 2, dtype=torch.int64)]
)
def test_what_is_not_features_is_refused_with_its_shape(wrong):
    with pytest.raises(DataError, match=r"fake: expected features, float32 \[N, D\], got .*; pass one row"):
        common.check_features(wrong, "fake")


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_features_that_are_not_finite_are_counted(broken):
    x = torch.zeros(7, 3)
    x[2, 1] = x[2, 2] = x[5, 0] = broken
    with pytest.raises(DataError, match="got 2 of 7 samples with NaN or infinity"):
        common.check_features(x, "fake")


def test_infinities_that_would_cancel_are_detected():
    x = torch.zeros(4, 2)
    x[0, 0], x[1, 0] = torch.inf, -torch.inf
    with pytest.raises(DataError, match="got 2 of 4"):
        common.check_features(x, "fake")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_finite_features_pass(dtype):
    x = torch.full((3, 2), torch.finfo(dtype).max, dtype=dtype)
    assert torch.equal(common.check_features(x, "fake"), x)


def test_halves_become_float32_and_gradients_end():
    x = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    result = common.check_features(x, "fake")
    assert result.dtype == torch.float32
    assert not result.requires_grad


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(3), r"int64 \[N\], got float32 \[3\]"),
        (torch.zeros(3, 2, dtype=torch.int64), r"int64 \[N\], got int64 \[3, 2\]"),
        (torch.zeros(0, dtype=torch.int64), "expected 1 or more samples, got none"),
        (torch.tensor([0, 10]), "from 0 to 9, got 0 to 10"),
        (torch.tensor([-1, 3]), "from 0 to 9, got -1 to 3"),
    ],
)
def test_what_is_not_classes_is_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        common.check_labels(wrong, "classes", below=10)


@pytest.mark.parametrize(
    "score",
    [
        lambda x, y: metrics.fid(x, y),
        lambda x, y: metrics.fid_infinity(x, y),
        lambda x, y: metrics.kid(x, y),
        lambda x, y: metrics.manifold_scores(x, y),
        lambda x, y: metrics.memorization_scores(x, y, y),
        lambda x, y: metrics.nearest_neighbors(x, y),
    ],
)
def test_every_score_of_two_sets_refuses_features_of_two_networks(score):
    with pytest.raises(DataError, match="got 3 and 4 per sample"):
        score(torch.zeros(30, 3), torch.zeros(30, 4))


@pytest.mark.parametrize(
    "score",
    [
        lambda x: metrics.fid(x, x),
        lambda x: metrics.fid_infinity(x, x),
        lambda x: metrics.kid(x, x, subsets=2),
        lambda x: metrics.manifold_scores(x, x),
        lambda x: metrics.memorization_scores(x, x, x),
        lambda x: metrics.vendi_score(x),
    ],
)
def test_no_score_touches_its_features_or_the_global_random_numbers(score):
    x = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
    before, state = x.clone(), torch.random.get_rng_state()
    first = score(x)
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert score(x) == first

"""Copies, near copies, honest samples and far ones."""

import math

import pytest
import torch

from ganvas.errors import DataError, UserError
from ganvas.metrics import memorization_scores, nearest_neighbors
from ganvas.metrics.knn import assign_clusters, kmeans_centers
from ganvas.metrics.memorization import mann_whitney


@pytest.fixture
def train(draw):
    return draw(1500, 8, 1)


@pytest.fixture
def held_out(draw):
    return draw(1000, 8, 2)


def test_copies_are_not_authentic_and_are_detected_as_copies(train, held_out):
    result = memorization_scores(train[:500], train, held_out)
    assert result.authenticity == (0, 0)
    assert result.copies == (1, 0)
    assert result.copying < -10


def test_slightly_changed_copies_are_detected(train, held_out, draw):
    result = memorization_scores(train[:500] + draw(500, 8, 3, scale=0.02), train, held_out)
    assert result.authenticity.value < 0.02
    assert result.copies.value > 0.98
    assert result.copying < -9


def test_half_copies_are_detected_among_honest_samples(train, held_out, draw):
    honest = memorization_scores(draw(600, 8, 3), train, held_out)
    mixed = memorization_scores(torch.cat([draw(300, 8, 3), train[:300]]), train, held_out)
    assert mixed.copies.value == pytest.approx(0.5, abs=0.03)
    assert mixed.copying < -3 < honest.copying
    assert mixed.authenticity.value < honest.authenticity.value - 0.2


def test_other_samples_of_the_distribution_are_honest(train, held_out, draw):
    result = [memorization_scores(draw(800, 8, seed), train, held_out, seed=seed) for seed in range(3, 9)]
    for one in result:
        assert abs(one.copying) < 3
        assert one.copies.value == pytest.approx(0.01, abs=0.015)
    assert abs(sum(one.copying for one in result) / 6) < 1


def test_far_samples_are_authentic_and_underfit(train, held_out, draw):
    result = memorization_scores(draw(500, 8, 3, scale=2.0), train, held_out)
    assert result.authenticity.value > 0.9
    assert result.copies.value < 0.01
    assert result.copying > 5


def test_authenticity_is_decided_at_the_nearest_training_sample():
    train = torch.tensor([[0.0], [1.0], [10.0], [14.0]])  # at 1, 1, 4, 4 from the next
    fake = torch.tensor([[-0.9], [-1.0], [-1.1], [7.0], [5.9], [18.5]])
    result = memorization_scores(fake, train, train)
    # At 0.9 from 0, whose neighbor is at 1: a copy, and so at 1. At 1.1: authentic. At 3 from 10, whose
    # neighbor is at 4: a copy. At 4.1 from 10, and at 4.5 from 14: authentic.
    assert result.authenticity.value == pytest.approx(3 / 6)
    authentic = torch.tensor([0.0, 0, 1, 0, 1, 1])
    assert result.authenticity.stderr == pytest.approx(authentic.std().item() / math.sqrt(6))


def test_a_threshold_of_0_still_detects_copies(train, draw):
    # Held-out samples that are training samples bring the hundredth's distance down to 0.
    held_out = torch.cat([train[:50], draw(500, 8, 2)])
    result = memorization_scores(torch.cat([train[100:200], draw(100, 8, 3)]), train, held_out)
    assert result.copies.value == pytest.approx(0.5)


def test_nearest_training_samples_handed_in_give_the_same(train, held_out, draw):
    fake = draw(200, 8, 3)
    given = nearest_neighbors(train, train, 5, exclude_self=True)[0]
    expected = memorization_scores(fake, train, held_out)
    assert memorization_scores(fake, train, held_out, train_nearest=given) == expected
    assert memorization_scores(fake, train, held_out, train_nearest=given * 100).authenticity.value == 0


def test_order_rotation_and_translation_do_not_matter_to_fractions(train, held_out, draw):
    fake = draw(300, 8, 3)
    expected = memorization_scores(fake, train, held_out)
    turn = torch.linalg.qr(draw(8, 8, 4))[0]
    result = memorization_scores(fake.flip(0) @ turn + 1, train.roll(3, 0) @ turn + 1, held_out @ turn + 1)
    assert result.authenticity == pytest.approx(expected.authenticity)
    assert result.copies == pytest.approx(expected.copies)
    assert result.copying == pytest.approx(expected.copying, abs=1)


def test_too_few_fakes_have_no_c_t(train, held_out, draw):
    assert math.isnan(memorization_scores(draw(19, 8, 3), train, held_out).copying)
    assert math.isfinite(memorization_scores(draw(20, 8, 3), train, held_out).copying)


def test_a_cell_without_fakes_is_left_out(draw):
    # Two clusters far apart; the fakes copy one of them and miss the other.
    train, held_out = (torch.cat([draw(300, 4, s), draw(300, 4, s + 1, shift=50.0)]) for s in (1, 3))
    result = memorization_scores(train[:200], train, held_out, cells=2)
    assert result.copying == pytest.approx(
        mann_whitney(torch.zeros(200), torch.linspace(1, 2, 300)), rel=1e-9
    )


def test_z_scores_are_those_of_ranks():
    a, b = torch.tensor([1.0, 4.0]), torch.tensor([2.0, 3.0, 5.0])
    # 1 exceeds none and 4 exceeds two of b: U = 2, of 3 ± √(2·3·6/12).
    assert mann_whitney(a, b) == pytest.approx(-1 / math.sqrt(3))
    assert mann_whitney(b, a) == pytest.approx(1 / math.sqrt(3))
    assert mann_whitney(torch.ones(5), torch.ones(4)) == 0


def test_z_scores_with_ties_agree_with_scipy(draw):
    stats = pytest.importorskip("scipy.stats")
    a, b = (draw(80, 1, 1).flatten() * 3).round(), (draw(50, 1, 2).flatten() * 3 + 1).round()
    theirs = stats.mannwhitneyu(a.numpy(), b.numpy(), use_continuity=False, method="asymptotic")
    p = math.erfc(abs(mann_whitney(a, b)) / math.sqrt(2))
    assert p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_k_means_finds_clusters_and_is_a_function_of_its_seed(draw):
    places = torch.tensor([[0.0, 0], [30, 0], [0, 30], [30, 30]])
    x = (places.unsqueeze(1) + draw(400, 2).view(4, 100, 2)).flatten(0, 1)
    centers = kmeans_centers(x, 4, seed=0)
    cells = assign_clusters(x, centers).view(4, 100)
    assert (cells == cells[:, :1]).all()
    assert cells[:, 0].unique().numel() == 4
    assert torch.equal(kmeans_centers(x, 4, seed=0), centers)


def test_k_means_works_with_fewer_different_samples_than_cells():
    assert kmeans_centers(torch.ones(10, 3), 4, seed=0).shape == (4, 3)


def test_what_does_not_fit_is_refused(train, held_out):
    with pytest.raises(UserError, match="cells: expected at least 1, got 0"):
        memorization_scores(train, train, held_out, cells=0)
    with pytest.raises(DataError, match=r"train_nearest: expected \[1500, 1 or more\], got \[1000, 5\]"):
        memorization_scores(train, train, held_out, train_nearest=torch.ones(1000, 5))
    with pytest.raises(DataError, match=r"held_out and train: .* got 7 and 8"):
        memorization_scores(train, train, held_out[:, :7])

"""Nearest neighbors against the table of all distances."""

import pytest
import torch

from ganvas.errors import DataError, UserError
from ganvas.metrics import knn, nearest_neighbors


@pytest.mark.parametrize(
    ("queries", "references"), [(1, 1), (3, 15), (40, 16), (33, 17), (25, 700), (20, 1603)]
)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_nearest_are_those_of_all_distances(draw, queries, references, k):
    k = min(k, references)
    x, y = draw(queries, 7, 1), draw(references, 7, 2)
    distances, indices = nearest_neighbors(x, y, k)
    expected = torch.cdist(x.double(), y.double()).sort(dim=1)
    assert torch.equal(indices, expected.indices[:, :k])
    torch.testing.assert_close(distances, expected.values[:, :k].float(), rtol=1e-5, atol=0)
    assert distances.dtype == torch.float32


def test_blocks_of_rows_give_what_one_block_gives(draw, monkeypatch):
    x = draw(500, 9)
    whole = nearest_neighbors(x, x, 4, exclude_self=True)
    monkeypatch.setattr(knn, "BLOCK_BYTES", 512 * 4 * 33)
    for ours, theirs in zip(nearest_neighbors(x, x, 4, exclude_self=True), whole, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("count", [2, 6, 400])
def test_without_itself_a_sample_finds_others_only(draw, count):
    x, k = draw(count, 5), min(3, count - 1)
    distances, indices = nearest_neighbors(x, x, k, exclude_self=True)
    assert (indices != torch.arange(count).unsqueeze(1)).all()
    table = torch.cdist(x.double(), x.double()).fill_diagonal_(torch.inf).sort(dim=1)
    assert torch.equal(indices, table.indices[:, :k])
    assert (distances > 0).all()


def test_duplicates_are_at_exactly_0_even_far_from_the_origin(draw):
    y = draw(1000, 64) + 300
    x = y[[700, 3, 999]]
    distances, indices = nearest_neighbors(x, y)
    assert indices.flatten().tolist() == [700, 3, 999]
    assert (distances == 0).all()


def test_a_near_duplicate_has_its_exact_distance(draw):
    y = draw(800, 64, shift=20.0)
    x = y[:50].clone()
    x[:, 0] += 2**-10
    distances, indices = nearest_neighbors(x, y)
    assert torch.equal(indices.flatten(), torch.arange(50))
    exact = (x.double() - y[:50].double()).norm(dim=1)
    torch.testing.assert_close(distances.flatten().double(), exact, rtol=1e-6, atol=0)


def test_neighbors_far_from_the_origin_are_correct_among_many(draw):
    x, y = draw(50, 16, 1, shift=1e4), draw(2000, 16, 2, shift=1e4)
    expected = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1)
    assert torch.equal(nearest_neighbors(x, y, 5)[1], expected.indices[:, :5])


def test_neighbors_closer_than_the_rounding_of_the_product_are_distinguished(draw):
    # Clusters of four far from their common center, each a millionth as wide.
    places = draw(200, 32, 1, scale=100.0).repeat_interleave(4, 0)
    y = places + draw(800, 32, 2, scale=2e-3)
    x = places + draw(800, 32, 3, scale=2e-3)
    distances, indices = nearest_neighbors(x, y)
    members = torch.arange(800) // 4 * 4
    exact = torch.stack([(x - y[members + i]).norm(dim=1) for i in range(4)], dim=1)
    assert torch.equal(indices.flatten() - members, exact.argmin(dim=1))
    torch.testing.assert_close(distances.flatten(), exact.amin(dim=1))


def test_of_equal_distances_the_lower_index_comes_first():
    y = torch.zeros(40, 3)
    y[20:] = 1
    _, indices = nearest_neighbors(torch.full((2, 3), 0.5), y, 4)
    assert (indices.diff(dim=1) > 0).all()
    assert nearest_neighbors(y[:1], y[[5, 30, 6]], 3)[1].tolist() == [[0, 2, 1]]


def test_distances_follow_the_samples_when_they_change_places(draw):
    x, y = draw(30, 6, 1), draw(300, 6, 2)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    distances, indices = nearest_neighbors(x, y, 3)
    again, shuffled = nearest_neighbors(x, y[order], 3)
    assert torch.equal(again, distances)
    assert torch.equal(order[shuffled], indices)


def test_invalid_arguments_are_refused(draw):
    x = draw(4, 3)
    with pytest.raises(UserError, match="k: expected 1 to 4, got 5"):
        nearest_neighbors(x, x, 5)
    with pytest.raises(UserError, match="k: expected 1 to 3, got 4"):
        nearest_neighbors(x, x, 4, exclude_self=True)
    with pytest.raises(DataError, match="queries: expected the 4 references themselves, got 2"):
        nearest_neighbors(x[:2], x, exclude_self=True)

"""The cache of what is computed once per set of real images."""

import pytest
import torch

from ganvas.evaluation import cache


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    return tmp_path


def ones():
    return {"centers": torch.ones(3)}


def zeros():
    return {"centers": torch.zeros(3)}


def test_a_second_call_is_answered_from_the_file(folder):
    assert cache.cached("set 1", ones)["centers"].tolist() == [1, 1, 1]
    assert cache.cached("set 1", zeros)["centers"].tolist() == [1, 1, 1]
    assert cache.cached("set 2", zeros)["centers"].tolist() == [0, 0, 0]


def test_a_file_of_another_format_is_computed_again(folder, monkeypatch):
    cache.cached("set 1", lambda: {"an_older_name": torch.ones(3)})
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert cache.cached("set 1", zeros)["centers"].tolist() == [0, 0, 0]


def test_a_damaged_file_is_computed_again(folder):
    cache.cached("set 1", ones)
    (file,) = (folder / "features").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert cache.cached("set 1", zeros)["centers"].tolist() == [0, 0, 0]

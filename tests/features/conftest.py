"""Every test of features has a cache of its own."""

import pytest


@pytest.fixture(autouse=True)
def fitted_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"

"""Every test of `ganvas.data` runs as on a machine that has no data, no cache and no proxy."""

import pytest

from ganvas.data import published_files


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path_factory):
    root = tmp_path_factory.mktemp("machine")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    monkeypatch.setenv("GANVAS_CACHE", str(root / "cache"))
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.setenv("USERPROFILE", str(root / "home"))
    monkeypatch.setattr(published_files, "DEBIAN", str(root / "debian"))
    (root / "work").mkdir()
    monkeypatch.chdir(root / "work")
    return root

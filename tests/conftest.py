"""What all tests share."""

import os
import tempfile

import pytest
from hypothesis import settings

# Time varies on a loaded machine, and examples are drawn the same way every time.
settings.register_profile("ganvas", deadline=None, derandomize=True)
settings.load_profile("ganvas")

# What tests compute once is kept for them alone.
os.environ.setdefault("GANVAS_CACHE", tempfile.mkdtemp(prefix="ganvas-tests-"))


def pytest_collection_modifyitems(items):
    """Tests with the full data sets run where GANVAS_DATA names them."""
    if os.environ.get("GANVAS_DATA"):
        return
    for item in items:
        if item.get_closest_marker("full_data"):
            item.add_marker(pytest.mark.skip(reason="GANVAS_DATA is not set"))

"""Features for the tests of the metrics."""

import pytest
import torch


def gaussian(count, width, seed=0, *, scale=1.0, shift=0.0):
    """Features float32 [count, width] of one seed."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=source) * scale + shift


@pytest.fixture
def draw():
    return gaussian

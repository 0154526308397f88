"""Freed memory stays with the process, which then need not ask the system for new pages at every step."""

import subprocess
import sys

import pytest

STEPS = """
import torch
from ganvas import memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
if {keep}:
    memory.keep_freed()
before = resident()
tensors = [torch.ones(2_500_000 * (1 + j % 3)) for j in range(6)]
held = resident() - before
del tensors
print((resident() - before) / held)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's memory")
def test_memory_once_taken_is_kept_for_the_next_tensors_and_by_itself_would_not_be():
    def share_kept(keep):
        command = [sys.executable, "-c", STEPS.format(keep=keep)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert share_kept(True) > 0.9
    assert share_kept(False) < 0.5

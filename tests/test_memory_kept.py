"""Freed memory stays with the process: steps after the first ones ask the system for no new pages."""

import subprocess
import sys

import pytest

STEPS = """
import resource, torch
from ganvas import memory
if {keep}:
    memory.keep_freed()
for i in range(18):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(3_000_000 * (1 + (i + j) % 3)) for j in range(6)]
    del tensors
    if i == 9:
        start = before
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's memory")
def test_memory_once_taken_is_used_again_with_far_fewer_new_pages():
    def faults(keep):
        command = [sys.executable, "-c", STEPS.format(keep=keep)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert 4 * faults(True) < faults(False)

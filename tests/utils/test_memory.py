"""What memory training holds: freed blocks for the next tensors, and nothing of a mapped set."""

import subprocess
import sys

import numpy as np
import pytest

STEPS = """
import torch
from ganvas.utils import memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
if {keep}:
    memory.keep_freed_memory()
before = resident()
tensors = [torch.ones(2_500_000 * (1 + j % 3)) for j in range(6)]
held = resident() - before
del tensors
print((resident() - before) / held)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's memory")
def test_memory_once_taken_is_kept_for_the_next_tensors_and_by_itself_would_not_be():
    def fraction_kept(keep):
        command = [sys.executable, "-c", STEPS.format(keep=keep)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert fraction_kept(True) > 0.9
    assert fraction_kept(False) < 0.5


AVAILABLE = "from ganvas.utils.memory import available_memory; print(available_memory())"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v")
def test_available_memory_is_within_the_limit_of_the_process():
    def available(mebibytes):
        command = ["sh", "-c", f'ulimit -v {mebibytes << 10} && exec "$0" -c "$1"', sys.executable, AVAILABLE]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    small, large = available(300), available(400)
    assert 0 < small < 300 << 20
    assert large - small == pytest.approx(100 << 20, rel=0.2)


READ = """
import sys
import numpy as np, torch
import ganvas
from ganvas.data.batches import Batches
torch.set_num_threads(1)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
images = ganvas.load_dataset(sys.argv[1], mmap_threshold=0)
batches = Batches(images, 256, order="shuffle", drop_last=False, seed=0, device=torch.device("cpu"))
batches.at(0)
before = resident()
assert len(images.fingerprint) == 64
for step in range(200):
    batches.at(step)
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_memory_mapped_set_that_has_been_read_takes_no_memory(tmp_path):
    file = tmp_path / "many.npy"
    images = np.lib.format.open_memmap(file, "w+", np.uint8, (100_000, 28, 28))
    images[:] = 7
    images.flush()
    command = [sys.executable, "-c", READ, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.25 * images.nbytes

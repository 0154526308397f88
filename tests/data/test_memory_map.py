"""A set larger than a fraction of memory is mapped from a file, and is the same set."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import makers
import numpy as np
import pytest

from ganvas.data import describe_dataset, load_dataset
from ganvas.data.files import cache_folder
from ganvas.errors import DataError, StorageError
from ganvas.utils.io import atomic_write
from ganvas.utils.memory import available_memory

IMAGES, LABELS = makers.color(20), makers.classes(20)


def containers(folder):
    files = makers.png_files(IMAGES, LABELS)
    np.savez_compressed(folder / "a.npz", images=IMAGES, labels=LABELS)
    return {
        "npz": folder / "a.npz",
        "idx": makers.write_idx_folder(folder / "idx", IMAGES, LABELS),
        "idx.gz": makers.write_idx_folder(folder / "gz", IMAGES, LABELS, packed=True),
        "npy": makers.write(folder / "a.npy", makers.npy_bytes(IMAGES)),
        "npy, channels last": makers.write(
            folder / "b.npy", makers.npy_bytes(IMAGES.transpose(0, 2, 3, 1).copy())
        ),
        "folder": makers.write_folder(folder / "images", files),
        "zip": makers.write_zip(folder / "images.zip", files),
    }


def mapped_files():
    return sorted((cache_folder() / "mapped").glob("*"))


@pytest.mark.parametrize("resize", [None, "pad"])
def test_mapped_sets_equal_sets_in_memory(tmp_path, resize):
    options = {} if resize is None else {"size": 16, "resize": resize}
    for kind, path in containers(tmp_path).items():
        held = load_dataset(path, mmap_threshold=1.0, **options)
        mapped = load_dataset(path, mmap_threshold=0.0, **options)
        assert not isinstance(held.images, np.memmap), kind
        assert isinstance(mapped.images, np.memmap), kind
        assert not mapped.images.flags.writeable
        np.testing.assert_array_equal(mapped.images, held.images, err_msg=kind)
        assert mapped.fingerprint == held.fingerprint
        assert describe_dataset(mapped).lines() == describe_dataset(held).lines()


def test_plain_files_in_the_right_layout_are_mapped_in_place(tmp_path):
    result = containers(tmp_path)
    gray = makers.write(tmp_path / "gray.npy", makers.npy_bytes(makers.gray()[:, 0]))
    plain = makers.write(tmp_path / "plain", makers.image_idx(makers.gray()))
    for path in (result["idx"], result["npy"], gray, plain):
        load_dataset(path, mmap_threshold=0.0)
    assert mapped_files() == []


def test_a_map_is_made_once_and_again_when_the_source_changes(tmp_path):
    path = makers.write(tmp_path / "x.gz", gzip.compress(makers.image_idx(makers.gray())))
    load_dataset(path, mmap_threshold=0.0)
    (first,) = mapped_files()
    made = first.stat().st_mtime_ns
    load_dataset(path, mmap_threshold=0.0)
    assert mapped_files() == [first]
    assert first.stat().st_mtime_ns == made
    changed = makers.gray(seed=7)
    makers.write(path, gzip.compress(makers.image_idx(changed)))
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, changed)
    assert len(mapped_files()) == 1
    assert mapped_files() != [first]


def test_a_changed_image_in_a_folder_makes_a_new_map(tmp_path):
    folder = makers.write_folder(tmp_path / "set", makers.png_files(makers.gray()))
    before = load_dataset(folder, mmap_threshold=0.0).fingerprint
    makers.write(folder / "003.png", makers.encode_png(makers.gray(seed=9)[0]))
    after = load_dataset(folder, mmap_threshold=0.0)
    assert after.fingerprint != before
    assert after.fingerprint == load_dataset(folder, mmap_threshold=1.0).fingerprint


def test_a_damaged_source_leaves_no_map(tmp_path):
    data = gzip.compress(makers.image_idx(makers.gray()))
    path = makers.write(tmp_path / "x.gz", data[:-20])
    with pytest.raises(DataError):
        load_dataset(path, mmap_threshold=0.0)
    assert mapped_files() == []


def test_a_damaged_map_is_never_used_but_made_again(tmp_path):
    path = makers.write(tmp_path / "x.gz", gzip.compress(makers.image_idx(makers.gray())))
    load_dataset(path, mmap_threshold=0.0)
    mapped_files()[0].write_bytes(mapped_files()[0].read_bytes()[:-5])
    np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, makers.gray())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path):
    def write():
        with atomic_write(tmp_path / "a") as file:
            file.write(b"x")
            # The same error, from the same system call, as a full disk gives.
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")

    with pytest.raises(StorageError, match="space"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_atomic_write_appears_whole_or_not_at_all(tmp_path):
    path = makers.write(tmp_path / "a", b"old")

    def fail():
        with atomic_write(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_this_machine_has_available_memory():
    assert 2**24 < available_memory() < 2**50


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own measure")
def test_memory_stays_flat_while_a_big_set_is_mapped(tmp_path):
    """256 MiB come in; the process grows by much less than that."""
    payload = makers.idx_bytes(np.zeros((1, 64, 64), np.uint8))[:4]
    header = payload + np.array([65536, 64, 64], ">u4").tobytes()
    with gzip.open(tmp_path / "big.gz", "wb", compresslevel=1) as file:
        file.write(header)
        for _ in range(256):
            file.write(bytes(2**20))
    code = (
        "import resource, sys, numpy, ganvas.data as d\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak(); result = d.load_dataset(sys.argv[1], mmap_threshold=0); print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "big.gz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 64

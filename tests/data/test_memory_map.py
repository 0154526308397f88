"""A set larger than a fraction of memory is mapped from a file, and is the same set."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import makers
import numpy as np
import pytest
import torch

import ganvas
import tiny
from ganvas.data import ImageSet, describe_dataset, load_dataset
from ganvas.data.batches import Batches
from ganvas.data.files import cache_folder
from ganvas.data.image_set import take_images
from ganvas.data.published_sets import PUBLISHED
from ganvas.errors import DataError, MachineError, StorageError
from ganvas.features import get_extractor
from ganvas.training import checkpoint
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


def packed(path, images):
    return makers.write(path, gzip.compress(makers.image_idx(images)))


def swap_two_bytes_of_an_image(content):
    """As when two pages were written to each other's place: no sum of bytes changes."""
    middle = len(content) // 2
    one, other = content[middle : middle + 1], content[middle + 1 : middle + 2]
    assert one != other
    return content[:middle] + other + one + content[middle + 2 :]


CORRUPTIONS = {
    "a damaged image": swap_two_bytes_of_an_image,
    "a page of zeros": lambda content: content[:200] + bytes(300) + content[500:],
    "a damaged checksum": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "no checksum": lambda content: content[:-32],
    "more bytes": lambda content: content + b"\0",
    "other images": lambda content: makers.npy_bytes(makers.gray(seed=5)) + content[-32:],
    "another shape": lambda content: makers.npy_bytes(makers.gray(6)),
    "an empty file": lambda content: b"",
    "a pickle": lambda content: b"\x80\x04N." + content[4:],
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corrupted_map_is_made_again_and_the_log_says_so(tmp_path, corruption, caplog):
    path = packed(tmp_path / "x.gz", makers.gray())
    load_dataset(path, mmap_threshold=0.0)
    (cached,) = mapped_files()
    cached.write_bytes(CORRUPTIONS[corruption](cached.read_bytes()))
    images = load_dataset(path, mmap_threshold=0.0)
    np.testing.assert_array_equal(images.images, makers.gray())
    assert caplog.messages == [f"ganvas: {cached}: this cached file was corrupted, and is made again"]
    load_dataset(path, mmap_threshold=0.0)
    assert len(caplog.messages) == 1


def test_maps_of_two_sources_that_change_names_are_made_again(tmp_path):
    paths = [packed(tmp_path / f"{seed}.gz", makers.gray(seed=seed)) for seed in (1, 2)]
    for path in paths:
        load_dataset(path, mmap_threshold=0.0)
    first, second = mapped_files()
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    for seed, path in zip((1, 2), paths, strict=True):
        np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, makers.gray(seed=seed))


def same_size(first, second):
    """Two gzip files of equal length: the shorter one gets a comment in its header."""
    packed = [gzip.compress(makers.image_idx(images), mtime=0) for images in (first, second)]
    longest = max(map(len, packed)) + 1
    return [
        data[:3] + b"\x10" + data[4:10] + b"x" * (longest - len(data) - 1) + b"\0" + data[10:]
        for data in packed
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no time of the last change of status")
@pytest.mark.parametrize("how", ["overwritten in place", "replaced"])
def test_a_source_replaced_with_the_same_size_and_time_is_read_again(tmp_path, how):
    images, others = makers.gray(seed=1), makers.gray(seed=2)
    before, after = same_size(images, others)
    path = makers.write(tmp_path / "x.gz", before)
    np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, images)
    times = path.stat()
    target = path if how == "overwritten in place" else tmp_path / "new"
    target.write_bytes(after)
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    target.replace(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, others)


def published(monkeypatch, folder):
    """A set of a few images, published as "mnist", in `folder`/mnist, where GANVAS_DATA names it."""
    tiny_set = makers.TinySet(npz="")
    tiny_set.put(folder / "mnist")
    monkeypatch.setitem(PUBLISHED, "mnist", tiny_set.known)
    monkeypatch.setenv("GANVAS_DATA", str(folder))
    return tiny_set


def test_a_published_set_from_a_damaged_map_is_the_published_one(tmp_path, monkeypatch, caplog):
    tiny_set = published(monkeypatch, tmp_path)
    load_dataset("mnist", mmap_threshold=0.0)
    (cached,) = mapped_files()
    cached.write_bytes(swap_two_bytes_of_an_image(cached.read_bytes()))
    images = load_dataset("mnist", mmap_threshold=0.0)
    np.testing.assert_array_equal(images.images, tiny_set.images["train"])
    assert "corrupted" in caplog.text


def test_the_map_of_a_users_own_set_is_not_taken_for_the_published_one(tmp_path, monkeypatch):
    tiny_set = published(monkeypatch, tmp_path)
    other = gzip.compress(makers.image_idx(makers.gray(6, 10, 10, seed=99)))
    makers.write(tmp_path / "mnist" / f"{makers.TRAIN[0]}.gz", other)
    own = load_dataset(tmp_path / "mnist", mmap_threshold=0.0)
    assert own.images.shape == tiny_set.images["train"].shape
    with pytest.raises(DataError, match="expected the published data"):
        load_dataset("mnist", mmap_threshold=0.0)


def test_the_fingerprint_of_a_verified_map_is_that_of_its_images(tmp_path):
    path = makers.write_idx_folder(tmp_path / "gz", makers.gray(), makers.classes(), packed=True)
    images = load_dataset(path, mmap_threshold=0.0)
    held = load_dataset(path, mmap_threshold=1.0)
    assert images.fingerprint == held.fingerprint
    for index in (slice(3, 9), slice(None, None, -1), slice(None)):
        part = ImageSet("part", images.images[index], None, (), "here")
        assert part.fingerprint == ImageSet("part", held.images[index], None, (), "here").fingerprint


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def extended(path):
    with path.open("ab") as file:
        file.write(b"x")


def overwritten(path):
    with path.open("r+b") as file:
        file.seek(-50, os.SEEK_END)
        file.write(b"y" * 50)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let a mapped file change")
@pytest.mark.parametrize("change", [truncated, extended, overwritten])
@pytest.mark.parametrize("kind", ["npy", "idx", "cached"])
@pytest.mark.parametrize("read", ["batches", "fingerprint", "features", "images"])
def test_a_mapped_file_that_changes_is_noticed_by_whatever_reads_it(tmp_path, change, kind, read):
    path = {
        "npy": makers.write(tmp_path / "a.npy", makers.npy_bytes(makers.gray(40))),
        "idx": makers.write(tmp_path / "a-idx", makers.image_idx(makers.gray(40))),
        "cached": packed(tmp_path / "a.gz", makers.gray(40)),
    }[kind]
    load_dataset(path, mmap_threshold=0.0)
    file = path if kind != "cached" else mapped_files()[0]
    os.utime(file, ns=(10**9, 10**9))  # the clock of a file system may tick every few milliseconds only
    images = load_dataset(path, mmap_threshold=0.0)
    batches = Batches(images, 8, order="shuffle", drop_last=True, seed=0, device=torch.device("cpu"))
    batches.at(0)
    change(file)
    part = ImageSet("part", images.images[5:], None, (), "here")  # parts of a map are watched as well
    readers = {
        "batches": lambda: batches.at(1),
        "fingerprint": lambda: part.fingerprint,
        "features": lambda: get_extractor("gv1")(images.images),
        "images": lambda: take_images(part.images, np.arange(4)),
    }
    with pytest.raises(
        MachineError, match=r"changed while it was in use: .*; restore it, then resume"
    ) as caught:
        readers[read]()
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let a mapped file change")
def test_a_mapped_file_that_is_replaced_or_deleted_stays_what_it_was(tmp_path):
    path = makers.write(tmp_path / "a.npy", makers.npy_bytes(makers.gray(40)))
    images = load_dataset(path, mmap_threshold=0.0)
    makers.write(tmp_path / "b.npy", makers.npy_bytes(makers.gray(40, seed=1))).replace(path)
    np.testing.assert_array_equal(take_images(images.images, np.arange(40)), makers.gray(40))
    path.unlink()
    np.testing.assert_array_equal(take_images(images.images, np.arange(40)), makers.gray(40))


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="a system without SIGBUS")
@pytest.mark.parametrize("stderr", ["open", "closed"])
def test_a_read_beyond_the_end_of_a_truncated_file_ends_in_one_line_and_exit_code_1(tmp_path, stderr):
    path = makers.write(tmp_path / "a\x1b[2J.npy", makers.npy_bytes(makers.gray(400, 64, 64)))
    code = (
        "import os, sys, ganvas.data as d\n"
        "images = d.load_dataset(sys.argv[1], mmap_threshold=0).images\n"
        "os.truncate(sys.argv[1], 4096)\n"
        f"{'os.close(2)' if stderr == 'closed' else ''}\n"
        "print(images[-1].sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    if stderr == "open":
        assert done.stderr.strip().isprintable()
        assert "a\\x1b[2J.npy: truncated while it was in use" in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="a system without SIGBUS")
@pytest.mark.parametrize("change", [truncated, overwritten])
def test_training_whose_data_changes_ends_in_one_line_and_keeps_its_checkpoint(tmp_path, change):
    path = makers.write(tmp_path / "a.npy", makers.npy_bytes(tiny.images(400)))
    run = tmp_path / "run"
    words = ["train", "mlp", "--data", str(path), "--out", str(run), "--steps", "1000000"]
    words += ["--mmap-threshold", "0", "--quiet", "--device", "cpu"]
    words += tiny.words("mlp", {"checkpoint_interval": 5, "scores": None})
    process = subprocess.Popen(
        [sys.executable, "-m", "ganvas", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None and not checkpoint.saved_steps(run / "checkpoints"):
            time.sleep(0.005)
        change(path)
        _, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "a.npy: " in errors.strip().splitlines()[-1]
    ganvas.open_run(run).generator()

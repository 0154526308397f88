"""Downloads from a real server on this machine: mirrors, hashes, and nothing half-finished."""

import gzip
import io
import time
import zipfile
from dataclasses import replace

import makers
import numpy as np
import pytest
from server import dead_address, serving

from ganvas.data import load_dataset
from ganvas.data.download import NotFetched, fetch_all
from ganvas.data.files import cache_folder
from ganvas.data.published_sets import PUBLISHED, PublishedFile
from ganvas.errors import DownloadError, StorageError


@pytest.fixture
def tiny():
    return makers.TinySet()


@pytest.fixture
def offer(monkeypatch, tiny):
    """Put the tiny set in place of the published MNIST, with these mirrors."""

    def put(*mirrors):
        monkeypatch.setitem(PUBLISHED, "mnist", replace(tiny.known, mirrors=mirrors))

    return put


def in_cache():
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file())


def test_a_set_is_downloaded_checked_and_cached(tiny, offer):
    with serving(tiny.files) as (address, asked):
        offer(address)
        result = load_dataset("mnist")
        np.testing.assert_array_equal(result.images, tiny.images["train"])
        assert result.class_names == ("a", "b", "c")
        assert asked == [f"{name}.gz" for name in makers.TRAIN]
        assert load_dataset("mnist").fingerprint == result.fingerprint
        assert len(asked) == 2
        assert len(load_dataset("mnist", split="all")) == 10
        assert asked[2:] == [f"{name}.gz" for name in makers.TEST]
    assert in_cache() == sorted(tiny.files)


@pytest.mark.parametrize("trouble", ["dead", "missing", "error", "cut", "other bytes"])
def test_when_a_mirror_fails_the_next_is_tried(tiny, offer, trouble):
    other = {name: data[:-1] + bytes([data[-1] ^ 1]) for name, data in tiny.files.items()}
    bad = {
        "dead": ({}, {}),
        "missing": ({}, {}),
        "error": (tiny.files, {"status": 500}),
        "cut": (tiny.files, {"cut": 10}),
        "other bytes": (other, {}),
    }[trouble]
    with serving(bad[0], **bad[1]) as (first, asked), serving(tiny.files) as (second, _):
        offer(dead_address() if trouble == "dead" else first, second)
        np.testing.assert_array_equal(load_dataset("mnist").images, tiny.images["train"])
        assert len(asked) == (0 if trouble == "dead" else 1)  # a mirror that failed is left alone
    assert in_cache() == [f"{name}.gz" for name in makers.TRAIN]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"cut": 10}, "mirrors: http"), ({"status": 503}, "503"), ({"other": True}, "sent other bytes")],
)
def test_a_half_finished_or_wrong_download_leaves_nothing_behind(tiny, offer, options, reason):
    files = tiny.files
    if options.pop("other", False):
        files = dict.fromkeys(tiny.files, b"<html>log in to the hotel's network</html>")
    with serving(files, **options) as (address, _):
        offer(address)
        with pytest.raises(DownloadError, match=reason) as caught:
            load_dataset("mnist")
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    assert in_cache() == []


def test_a_damaged_file_in_the_cache_is_fetched_again(tiny, offer):
    damaged = f"{makers.TRAIN[0]}.gz"
    with serving(tiny.files) as (address, asked):
        offer(address)
        load_dataset("mnist")
        path = next(cache_folder().rglob(damaged))
        path.write_bytes(path.read_bytes()[:-20])
        np.testing.assert_array_equal(load_dataset("mnist").images, tiny.images["train"])
        assert asked[2:] == [damaged]


def test_a_whole_file_in_the_cache_that_is_not_the_published_one_is_fetched_again(tiny, offer, monkeypatch):
    with serving(tiny.files) as (address, asked):
        offer(address)
        known = PUBLISHED["mnist"]  # as sets of which only the hash of the published files is known
        idx = {split: replace(f, images_sha256="", labels_sha256="") for split, f in known.idx.items()}
        monkeypatch.setitem(PUBLISHED, "mnist", replace(known, idx=idx))
        load_dataset("mnist")
        name = f"{makers.TRAIN[0]}.gz"
        other = gzip.compress(makers.image_idx(makers.gray(6, 10, 10, seed=77)))
        next(cache_folder().rglob(name)).write_bytes(other)
        np.testing.assert_array_equal(load_dataset("mnist").images, tiny.images["train"])
        assert asked[2:] == [name]


def test_offline_the_error_is_one_line_with_every_searched_folder_and_three_remedies(offer, bare_machine):
    mirrors = dead_address(), dead_address()
    offer(*mirrors)
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        load_dataset("mnist")
    assert time.monotonic() - start < 5
    line = str(caught.value)
    assert "\n" not in line
    folders = ["GANVAS_DATA", "cache", "data/MNIST/raw", ".cache/torchvision", ".keras/datasets"]
    remedies = ["set GANVAS_DATA", "--data", "mnist-5k"]
    for words in [*folders, *mirrors, *remedies]:
        assert words in line
    assert caught.value.exit_code == 1


def test_without_permission_to_download_nothing_is_tried(tiny, offer):
    with serving(tiny.files) as (address, asked):
        offer(address)
        with pytest.raises(DownloadError, match="not allowed"):
            load_dataset("mnist", allow_download=False)
        assert asked == []


def test_with_no_name_mnist_is_downloaded_or_the_bundled_digits_stand_in_and_say_so(tiny, offer):
    offer(dead_address())
    result = load_dataset()
    assert (result.name, len(result)) == ("mnist-5k", 5000)
    assert "bundled" in result.source
    assert "MNIST itself was not found" in result.note
    assert "\n" not in result.note
    with serving(tiny.files) as (address, _):
        offer(address)
        result = load_dataset()
        assert (result.name, len(result), result.note) == ("mnist", 6, "")


def test_a_cache_that_cannot_be_written_is_one_clear_line(tiny, offer, monkeypatch, tmp_path):
    monkeypatch.setenv("GANVAS_CACHE", str(makers.write(tmp_path / "file", b"x") / "below"))
    with serving(tiny.files) as (address, _):
        offer(address)
        with pytest.raises(StorageError, match="GANVAS_CACHE"):
            load_dataset("mnist")
        assert load_dataset().name == "mnist-5k"


def test_members_are_extracted_from_a_downloaded_zip_and_the_zip_is_removed(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("gzip/a.gz", "gzip/b.gz", "gzip/c.gz"):
            archive.writestr(name, name * 9)
    data = stream.getvalue()
    file = PublishedFile("gzip.zip", makers.md5(data), ("gzip/a.gz", "gzip/c.gz"))
    with serving({"gzip.zip": data}) as (address, _):
        fetch_all([file], [address], tmp_path / "emnist")
    assert sorted(p.name for p in (tmp_path / "emnist").iterdir()) == ["a.gz", "c.gz"]
    assert (tmp_path / "emnist/c.gz").read_text() == "gzip/c.gz" * 9


def test_every_mirror_that_failed_is_named(tmp_path):
    mirrors = dead_address(), dead_address()
    with pytest.raises(NotFetched) as caught:
        fetch_all([PublishedFile("a.gz", "md5:0")], mirrors, tmp_path)
    assert len(caught.value.args) == 2


def test_parts_that_a_killed_download_left_are_neither_used_nor_kept_forever(tiny, offer):
    import os

    folder = cache_folder() / "data" / "mnist"
    name = f"{makers.TRAIN[0]}.gz"
    young = makers.write(folder / f".{name}.1-ab.partial", tiny.files[name][:20])
    old = makers.write(folder / f".{name}.2-cd.partial", tiny.files[name][:20])
    os.utime(old, (time.time() - 10**6,) * 2)
    with serving(tiny.files) as (address, _):
        offer(address)
        np.testing.assert_array_equal(load_dataset("mnist").images, tiny.images["train"])
    assert young.exists()
    assert not old.exists()


def test_on_a_terminal_the_progress_is_displayed_and_otherwise_nothing(tiny, offer, monkeypatch, capsys):
    import sys

    with serving(tiny.files) as (address, _):
        offer(address)
        load_dataset("mnist")
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        load_dataset("mnist", split="test")
    output = capsys.readouterr()
    assert output.out == ""
    assert f"{makers.TEST[0]}.gz: 100%" in output.err

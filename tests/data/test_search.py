"""The name of a published set is looked for in a fixed order, and means the published data."""

import os
from dataclasses import replace
from pathlib import Path

import makers
import numpy as np
import pytest

from ganvas.data import DATASET_NAMES, load_dataset, published_files
from ganvas.data.published_sets import PUBLISHED
from ganvas.errors import DataError, DownloadError


@pytest.fixture
def tiny(monkeypatch):
    made = makers.TinySet()
    monkeypatch.setitem(PUBLISHED, "mnist", made.known)
    return made


@pytest.fixture
def fashion(monkeypatch):
    made = makers.TinySet(name="fashion-mnist", torchvision="FashionMNIST", npz="")
    monkeypatch.setitem(PUBLISHED, "fashion-mnist", made.known)
    return made


def all_folders(bare_machine, name="mnist", torchvision="MNIST"):
    keras = bare_machine / "home/.keras/datasets"
    return [
        bare_machine / "mine" / name,
        bare_machine / "cache/data" / name,
        bare_machine / "work/data" / torchvision / "raw",
        bare_machine / "home/data" / torchvision / "raw",
        bare_machine / "home/.cache/torchvision" / torchvision / "raw",
        keras if name == "mnist" else keras / name,
    ]


def test_the_first_folder_that_holds_the_set_wins(tiny, bare_machine, monkeypatch):
    (bare_machine / "mine").mkdir()
    monkeypatch.setenv("GANVAS_DATA", str(bare_machine / "mine"))
    for folder in reversed(all_folders(bare_machine)):
        tiny.put(folder)
        images = load_dataset("mnist", allow_download=False)
        assert Path(images.source).resolve() == folder.resolve()
        np.testing.assert_array_equal(images.images, tiny.images["train"])


def test_fashion_mnist_is_found_in_keras_and_debian_folders_too(fashion, bare_machine):
    debian = bare_machine / "debian/fashion-mnist"
    keras = bare_machine / "home/.keras/datasets/fashion-mnist"
    for folder in (debian, keras):
        fashion.put(folder)
        assert load_dataset("fashion-mnist", allow_download=False).source == str(folder)


def test_files_may_be_unpacked(tiny, bare_machine):
    for split, names in (("train", makers.TRAIN), ("test", makers.TEST)):
        makers.write_idx_folder(
            bare_machine / "work/data/MNIST/raw", tiny.images[split], tiny.labels[split], names
        )
    assert len(load_dataset("mnist", split="all", allow_download=False)) == 10


def test_keras_mnist_npz_holds_the_same_set(tiny, bare_machine):
    makers.write(bare_machine / "home/.keras/datasets/mnist.npz", tiny.npz_bytes())
    by_npz = load_dataset("mnist", split="all", allow_download=False)
    tiny.put(bare_machine / "cache/data/mnist")
    by_idx = load_dataset("mnist", split="all", allow_download=False)
    assert by_npz.source != by_idx.source
    assert by_npz.fingerprint == by_idx.fingerprint


def test_ganvas_data_may_hold_keras_npz(tiny, bare_machine, monkeypatch):
    makers.write(bare_machine / "mine/mnist/mnist.npz", tiny.npz_bytes())
    monkeypatch.setenv("GANVAS_DATA", str(bare_machine / "mine"))
    assert len(load_dataset("mnist", split="test", allow_download=False)) == 4


def test_a_folder_with_other_data_is_skipped_and_named(tiny, bare_machine):
    wrong = bare_machine / "work/data/MNIST/raw"
    makers.write_idx_folder(wrong, makers.gray(6, 10, 10, seed=9), tiny.labels["train"])
    with pytest.raises(DownloadError, match=r"raw.*published data \(SHA-256"):
        load_dataset("mnist", allow_download=False)
    tiny.put(bare_machine / "home/.keras/datasets")
    assert ".keras" in load_dataset("mnist", allow_download=False).source


def test_in_ganvas_data_other_or_damaged_data_is_an_error(tiny, bare_machine, monkeypatch):
    mine = bare_machine / "mine/mnist"
    tiny.put(bare_machine / "cache/data/mnist")
    tiny.put(mine)
    monkeypatch.setenv("GANVAS_DATA", str(bare_machine / "mine"))
    (mine / f"{makers.TRAIN[0]}.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(DataError, match="mine"):
        load_dataset("mnist")
    makers.write_idx_folder(mine, makers.gray(6, 10, 10, seed=9), tiny.labels["train"])
    with pytest.raises(DataError, match=r"SHA-256.*own"):
        load_dataset("mnist")
    makers.write_idx_folder(mine, makers.gray(5, 10, 10), tiny.labels["train"][:5])
    with pytest.raises(DataError, match="expected 6 gray images, got 5"):
        load_dataset("mnist")
    assert len(load_dataset(mine)) == 5


def test_other_labels_are_not_the_published_set(tiny, bare_machine):
    labels = tiny.labels["train"].copy()
    labels[0] += 1
    makers.write_idx_folder(bare_machine / "cache/data/mnist", tiny.images["train"], labels)
    with pytest.raises(DownloadError, match=r"labels.*SHA-256"):
        load_dataset("mnist", allow_download=False)


def test_ganvas_data_that_is_no_folder_is_named(tiny, monkeypatch):
    monkeypatch.setenv("GANVAS_DATA", "/nowhere/at/all")
    with pytest.raises(DataError, match=r"GANVAS_DATA.*nowhere"):
        load_dataset("mnist")


def test_when_ganvas_data_lacks_the_set_the_search_continues(tiny, bare_machine, monkeypatch):
    (bare_machine / "mine").mkdir()
    monkeypatch.setenv("GANVAS_DATA", str(bare_machine / "mine"))
    tiny.put(bare_machine / "cache/data/mnist")
    assert "cache" in load_dataset("mnist", allow_download=False).source


def test_images_without_their_labels_are_named(tiny, bare_machine):
    tiny.put(bare_machine / "cache/data/mnist", names=[f"{makers.TRAIN[0]}.gz"])
    with pytest.raises(DownloadError, match=f"without {makers.TRAIN[1]}"):
        load_dataset("mnist", allow_download=False)


def test_a_bare_name_is_always_a_published_set_and_a_path_object_always_a_path(tiny, bare_machine):
    makers.write_folder(Path("mnist"), makers.png_files(makers.gray(2)))
    tiny.put(bare_machine / "cache/data/mnist")
    assert len(load_dataset("mnist", allow_download=False)) == 6
    assert len(load_dataset("./mnist")) == 2
    assert len(load_dataset(Path("mnist"))) == 2
    assert len(load_dataset(f"mnist{os.sep}")) == 2


def test_options_reach_a_known_set(tiny, bare_machine):
    tiny.put(bare_machine / "cache/data/mnist")
    images = load_dataset("mnist", split="all", size=16, resize="pad", mmap_threshold=0, allow_download=False)
    assert images.images.shape == (10, 1, 16, 16)
    with pytest.raises(DataError, match="crop, pad or resize"):
        load_dataset("mnist", size=16, allow_download=False)


def test_every_published_set_can_be_searched_for():
    assert DATASET_NAMES == (
        "mnist", "fashion-mnist", "kmnist", "emnist-balanced", "emnist-letters", "qmnist",
        "cifar10", "mnist-5k",
    )  # fmt: skip
    for name, known in PUBLISHED.items():
        assert published_files.search_paths(known)
        with pytest.raises(DownloadError, match=name):
            load_dataset(name, allow_download=False)
        assert all(mirror.endswith("/") for mirror in known.mirrors)
        assert len(set(known.class_names)) == len(known.class_names)
        assert bool(known.idx) != known.cifar
        for split in ("train", "test"):
            assert known.published[split]
        assert replace(known) == known


def test_no_folder_is_searched_twice_in_the_home_folder(tiny, bare_machine, monkeypatch):
    (bare_machine / "home").mkdir()
    monkeypatch.chdir(bare_machine / "home")
    folders = [path.folder.absolute() for path in published_files.search_paths(PUBLISHED["mnist"])]
    assert len(set(folders)) == len(folders)
    with pytest.raises(DownloadError) as caught:
        load_dataset("mnist", allow_download=False)
    assert str(caught.value).count(str(Path("data/MNIST/raw"))) == 1
    assert str(caught.value).count("not set") == 1


def test_a_missing_path_with_a_trailing_slash_is_named_as_it_was_written():
    with pytest.raises(DataError, match=r"^photos/: no such file or folder"):
        load_dataset("photos/")
    with pytest.raises(DataError, match=r"^photos: no such file or folder"):
        load_dataset(Path("photos"))

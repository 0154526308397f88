"""Every container gives back the images that were put into it, with one fingerprint."""

import gzip
import io
import zipfile

import makers
import numpy as np
import pytest

from ganvas.data import ImageSet, load_dataset
from ganvas.errors import DataError

LABELS = makers.classes()


def saved(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def labeled_containers(folder, images):
    """The same labeled images in every container that can hold labels."""
    rows_last = images.transpose(0, 2, 3, 1)
    files = makers.png_files(images, LABELS)
    wrapped = {f"export/all/{name}": data for name, data in files.items()}
    return {
        "idx": makers.write_idx_folder(folder / "idx", images, LABELS),
        "idx.gz": makers.write_idx_folder(folder / "gz", images, LABELS, packed=True),
        "npz": makers.write(folder / "a.npz", saved(images=images, labels=LABELS)),
        "npz, channels last": makers.write(folder / "b.npz", saved(images=rows_last, labels=LABELS)),
        "keras npz": makers.write(
            folder / "c.npz", saved(x_train=rows_last, y_train=LABELS[:, None].astype(np.uint8))
        ),
        "folder": makers.write_folder(folder / "images", files),
        "zip": makers.write_zip(folder / "images.zip", files),
        "stored zip": makers.write_zip(folder / "stored.zip", files, zipfile.ZIP_STORED),
        "zip of a folder": makers.write_zip(folder / "wrapped.zip", wrapped),
    }


@pytest.mark.parametrize("make", [makers.gray, makers.color])
def test_every_labeled_container_gives_the_same_images_labels_and_fingerprint(tmp_path, make):
    images = make()
    fingerprints = {}
    for kind, path in labeled_containers(tmp_path, images).items():
        result = load_dataset(path)
        np.testing.assert_array_equal(result.images, images, err_msg=kind)
        np.testing.assert_array_equal(result.labels, LABELS, err_msg=kind)
        assert result.images.dtype == np.uint8
        assert result.labels.dtype == np.int64
        fingerprints[kind] = result.fingerprint
    assert len(set(fingerprints.values())) == 1, fingerprints


@pytest.mark.parametrize("make", [makers.gray, makers.color])
def test_every_unlabeled_container_gives_the_same_images_and_fingerprint(tmp_path, make):
    images = make()
    files = makers.png_files(images)
    containers = [
        makers.write(tmp_path / "images-idx3-ubyte", makers.image_idx(images)),
        makers.write(tmp_path / "packed.gz", gzip.compress(makers.image_idx(images))),
        makers.write(tmp_path / "nchw.npy", makers.npy_bytes(images)),
        makers.write(tmp_path / "nhwc.npy", makers.npy_bytes(images.transpose(0, 2, 3, 1).copy())),
        makers.write(tmp_path / "only.npz", saved(images=images)),
        makers.write_folder(tmp_path / "images", files),
        makers.write_zip(tmp_path / "images.zip", files),
    ]
    sets = [load_dataset(path) for path in containers]
    for result in sets:
        np.testing.assert_array_equal(result.images, images)
        assert result.labels is None
        assert result.class_names == ()
        assert result.num_classes == 0
    assert len({result.fingerprint for result in sets}) == 1


def test_a_fingerprint_changes_with_a_pixel_a_label_and_the_shape():
    images = makers.gray(4, 8, 10)
    names = ("0", "1")
    labels = np.array([0, 1, 0, 1])
    base = ImageSet("x", images, labels, names, "")
    other = images.copy()
    other[3, 0, 7, 9] ^= 1
    prints = {
        base.fingerprint,
        ImageSet("x", other, labels, names, "").fingerprint,
        ImageSet("x", images, 1 - labels, names, "").fingerprint,
        ImageSet("x", images, None, (), "").fingerprint,
        ImageSet("x", images.reshape(4, 1, 10, 8), labels, names, "").fingerprint,
    }
    assert len(prints) == 5
    assert ImageSet("y", images, labels.astype(np.uint8), ("a", "b"), "z").fingerprint in prints


def test_a_set_knows_its_length_shape_and_classes(tmp_path):
    result = load_dataset(makers.write_folder(tmp_path / "cats", makers.png_files(makers.color(), LABELS)))
    assert (len(result), result.image_shape, result.num_classes) == (12, (3, 9, 11), 3)
    assert result.class_names == ("c0", "c1", "c2")
    assert result.name == "cats"
    assert result.source == str(tmp_path / "cats")


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_folder_has_train_and_test_and_all_is_one_after_the_other(tmp_path, packed):
    train, test = makers.gray(6), makers.gray(4, seed=1)
    makers.write_idx_folder(tmp_path, train, np.arange(6) % 2, packed=packed)
    makers.write_idx_folder(tmp_path, test, np.arange(4), makers.TEST, packed=packed)
    np.testing.assert_array_equal(load_dataset(tmp_path).images, train)
    np.testing.assert_array_equal(load_dataset(tmp_path, split="test").images, test)
    both = load_dataset(tmp_path, split="all")
    np.testing.assert_array_equal(both.images, np.concatenate([train, test]))
    np.testing.assert_array_equal(both.labels, [0, 1, 0, 1, 0, 1, 0, 1, 2, 3])
    assert both.class_names == ("0", "1", "2", "3")


def test_idx_files_with_dots_and_gz_names_that_are_not_packed_are_read(tmp_path):
    images = makers.gray()
    makers.write(tmp_path / "train-images.idx3-ubyte", makers.image_idx(images))
    makers.write(tmp_path / "train-labels.idx1-ubyte.gz", makers.label_idx(LABELS))
    np.testing.assert_array_equal(load_dataset(tmp_path).images, images)


def test_an_npz_of_keras_has_train_and_test(tmp_path):
    tiny = makers.TinySet()
    path = makers.write(tmp_path / "digits.npz", tiny.npz_bytes())
    for split in ("train", "test"):
        result = load_dataset(path, split=split)
        np.testing.assert_array_equal(result.images, tiny.images[split])
        np.testing.assert_array_equal(result.labels, tiny.labels[split])
    assert len(load_dataset(path, split="all")) == 10


def test_a_set_with_one_split_calls_it_train_and_all_but_has_no_test(tmp_path):
    paths = [
        makers.write(tmp_path / "a.npy", makers.npy_bytes(makers.gray())),
        makers.write(tmp_path / "a.npz", saved(images=makers.gray())),
        makers.write(tmp_path / "a-idx3-ubyte", makers.image_idx(makers.gray())),
        makers.write_folder(tmp_path / "f", makers.png_files(makers.gray())),
        makers.write_zip(tmp_path / "f.zip", makers.png_files(makers.gray())),
        makers.write_idx_folder(tmp_path / "idx", makers.gray(), LABELS),
    ]
    for path in paths:
        assert load_dataset(path, split="all").fingerprint == load_dataset(path).fingerprint
        with pytest.raises(DataError, match="split"):
            load_dataset(path, split="test")


def test_class_folders_may_hold_folders_and_wrapping_folders_are_no_classes(tmp_path):
    images = makers.gray(4)
    makers.write(tmp_path / "wrap/b/x/y/0.png", makers.encode_png(images[2]))
    makers.write(tmp_path / "wrap/b/x/1.png", makers.encode_png(images[1]))
    makers.write(tmp_path / "wrap/a/2.png", makers.encode_png(images[0]))
    makers.write(tmp_path / "wrap/b/z/3.png", makers.encode_png(images[3]))
    result = load_dataset(tmp_path)
    assert result.class_names == ("a", "b")
    assert result.labels.tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(result.images, images)


def test_backslashes_in_the_names_of_a_zip_are_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("c0\\"), b"")
        for name, data in makers.png_files(makers.gray(), LABELS).items():
            archive.writestr(zipfile.ZipInfo(name.replace("/", "\\")), data)
    images = load_dataset(tmp_path / "a.zip")
    assert images.class_names == ("c0", "c1", "c2")
    np.testing.assert_array_equal(images.labels, LABELS)
    assert images.note == ""


def test_hidden_files_and_those_of_other_systems_are_skipped(tmp_path):
    files = makers.png_files(makers.gray())
    alone = load_dataset(makers.write_folder(tmp_path / "alone", files))
    clutter = {
        ".DS_Store": b"x",
        "Thumbs.db": b"x",
        "__MACOSX/._000.png": b"x",
        ".hidden/000.png": b"no image",
        "._001.png": b"no image",
    }
    for path in (
        makers.write_folder(tmp_path / "cluttered", files | clutter),
        makers.write_zip(tmp_path / "cluttered.zip", files | clutter),
    ):
        result = load_dataset(path)
        assert result.fingerprint == alone.fingerprint
        assert result.note == ""


def test_files_that_are_no_images_are_named_in_the_note(tmp_path):
    files = makers.png_files(makers.gray()) | {"readme.txt": b"hello"}
    result = load_dataset(makers.write_folder(tmp_path / "f", files))
    assert len(result) == 12
    assert "readme.txt" in result.note


def test_links_to_folders_are_followed_but_never_in_a_circle(tmp_path):
    makers.write_folder(tmp_path / "elsewhere", makers.png_files(makers.gray(2)))
    makers.write_folder(tmp_path / "set/own", makers.png_files(makers.gray(3)))
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/own/circle").symlink_to(tmp_path / "set")
    result = load_dataset(tmp_path / "set")
    assert result.class_names == ("linked", "own")
    assert np.bincount(result.labels).tolist() == [2, 3]


def test_a_string_with_a_separator_or_that_exists_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    makers.write_folder(tmp_path / "mine", makers.png_files(makers.gray()))
    assert (
        load_dataset("mine").fingerprint
        == load_dataset("./mine").fingerprint
        == load_dataset(tmp_path / "mine").fingerprint
    )


def test_importing_the_package_loads_neither_torch_nor_pillow_nor_pooch():
    import subprocess
    import sys

    code = "import sys, ganvas.data; print({'torch', 'PIL', 'pooch', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_exports_these_names():
    import ganvas.data

    assert ganvas.data.__all__ == [
        "DATASET_NAMES", "Description", "ImageSet", "describe_dataset", "load_dataset", "load_images",
    ]  # fmt: skip

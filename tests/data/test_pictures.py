"""Modes, orientations and sizes of pictures, and bringing images to a size."""

import makers
import numpy as np
import pytest
from PIL import Image

from ganvas.data import load, load_pictures
from ganvas.data.pictures import MOST_PIXELS
from ganvas.errors import DataError

GREY = makers.to_picture(makers.grey(1)[0])
COLOUR = makers.to_picture(makers.colour(1)[0])


def one(tmp_path, picture, form="PNG", **options):
    makers.write(tmp_path / "set" / "a.dat", makers.png_bytes(picture, form, **options))
    return load(tmp_path / "set")


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("make", [makers.grey, makers.colour])
def test_png_bmp_and_webp_are_told_by_content_and_give_the_same_pixels(tmp_path, form, make):
    if form == "WEBP" and make is makers.grey:
        pytest.skip("WebP has no grey")
    image = make(1)[0]
    options = {"lossless": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(one(tmp_path, makers.to_picture(image), form, **options).images[0], image)


@pytest.mark.parametrize(("picture", "channels"), [(GREY, 1), (COLOUR, 3), (COLOUR.convert("CMYK"), 3)])
def test_jpeg_is_read_as_grey_or_rgb(tmp_path, picture, channels):
    assert one(tmp_path, picture, "JPEG").images.shape == (1, channels, 9, 11)


def test_black_and_white_becomes_0_and_255(tmp_path):
    found = one(tmp_path, GREY.point(lambda v: 255 * (v > 99)).convert("1"))
    assert found.image_shape == (1, 9, 11)
    assert set(np.unique(found.images)) == {0, 255}


def test_a_palette_of_greys_is_grey_and_any_other_rgb(tmp_path):
    greys = GREY.convert("P")
    greys.putpalette([v for value in range(256) for v in (value, value, value)])
    np.testing.assert_array_equal(one(tmp_path, greys).images[0, 0], np.asarray(GREY))
    colours = COLOUR.quantize(16)
    np.testing.assert_array_equal(
        one(tmp_path, colours).images[0].transpose(1, 2, 0), np.asarray(colours.convert("RGB"))
    )


def test_16_bit_grey_is_scaled_to_8_bits(tmp_path):
    values = np.linspace(0, 65535, 99).round().astype(np.uint16).reshape(9, 11)
    found = one(tmp_path, Image.fromarray(values))
    expected = (values.astype(float) * 255 / 65535).round()
    np.testing.assert_array_equal(found.images[0, 0], expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_black_and_an_opaque_alpha_changes_nothing(tmp_path, mode):
    base = COLOUR if mode == "RGBA" else GREY
    opaque = base.convert(mode)
    found = one(tmp_path, opaque)
    pixels = found.images[0].transpose(1, 2, 0).squeeze()
    np.testing.assert_array_equal(pixels, np.asarray(base))
    assert "black" in found.note
    clear = opaque.copy()
    clear.putalpha(0)
    assert one(tmp_path, clear).images.max() == 0
    half = opaque.copy()
    half.putalpha(128)
    halved = one(tmp_path, half).images[0].transpose(1, 2, 0).squeeze()
    np.testing.assert_allclose(halved, np.asarray(base) * (128 / 255), atol=1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(tmp_path, orientation, form):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = makers.png_bytes(COLOUR, form, exif=exif)
    path = makers.write(tmp_path / "set/a.img", data)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    np.testing.assert_array_equal(load(tmp_path / "set").images[0].transpose(1, 2, 0), expected)


def mixed_sizes(tmp_path):
    for index, (width, height) in enumerate([(20, 10)] * 3 + [(10, 30)] * 2 + [(16, 16)]):
        makers.write(tmp_path / "set" / f"{index}.png", makers.png_bytes(makers.grey(1, height, width)[0]))
    return tmp_path / "set"


def test_mixed_sizes_are_refused_with_the_sizes_counted(tmp_path):
    with pytest.raises(DataError, match=r"3 of 20x10, 2 of 10x30, 1 of 16x16.*crop, pad or resize"):
        load(mixed_sizes(tmp_path))
    with pytest.raises(DataError, match="3 of 20x10"):
        load(mixed_sizes(tmp_path), size=16)


@pytest.mark.parametrize("fit", ["crop", "pad", "resize"])
def test_mixed_sizes_are_brought_to_a_size(tmp_path, fit):
    found = load(mixed_sizes(tmp_path), size=16, fit=fit)
    assert found.images.shape == (6, 1, 16, 16)
    np.testing.assert_array_equal(found.images[5], makers.grey(1, 16, 16)[0])


def test_mixed_modes_are_refused_and_counted(tmp_path):
    files = makers.picture_files(makers.colour(3))
    files["grey.png"] = makers.png_bytes(GREY)
    with pytest.raises(DataError, match=r"1 grey and 3 RGB \(such as grey.png\)"):
        load(makers.write_folder(tmp_path / "set", files))


def white(height, width):
    return np.full((2, 1, height, width), 255, np.uint8)


def npy(tmp_path, images):
    return makers.write(tmp_path / "a.npy", makers.npy_bytes(images))


def test_crop_keeps_the_middle(tmp_path):
    images = white(16, 32)
    images[..., :8] = 0
    images[..., -8:] = 0
    found = load(npy(tmp_path, images), size=16, fit="crop")
    assert found.images.shape == (2, 1, 16, 16)
    assert found.images.min() == 255


def test_pad_keeps_all_and_fills_up_with_black(tmp_path):
    found = load(npy(tmp_path, white(16, 32)), size=32, fit="pad").images
    assert found[:, :, 8:24].min() == 255
    assert found[:, :, :8].max() == found[:, :, 24:].max() == 0


def test_resize_squashes(tmp_path):
    found = load(npy(tmp_path, white(16, 32)), size=24, fit="resize").images
    assert found.shape == (2, 1, 24, 24)
    assert found.min() == 255


def test_resizing_keeps_the_mean_brightness(tmp_path):
    images = makers.colour(3, 64, 64)
    found = load(npy(tmp_path, images), size=16, fit="resize").images
    np.testing.assert_allclose(found.mean((2, 3)), images.mean((2, 3)), atol=3)


def test_a_size_the_images_already_have_needs_no_fit_and_changes_nothing(tmp_path):
    path = npy(tmp_path, makers.grey(3, 16, 16))
    assert load(path, size=16).fingerprint == load(path).fingerprint
    assert load(path, size=16, fit="crop").fingerprint == load(path).fingerprint


def test_another_size_without_a_way_names_the_three(tmp_path):
    with pytest.raises(DataError, match="crop, pad or resize"):
        load(npy(tmp_path, makers.grey()), size=16)
    with pytest.raises(DataError, match="crop, pad or resize"):
        load(makers.write_folder(tmp_path / "f", makers.picture_files(makers.grey())), size=16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 7}, "8 to 256"),
        ({"size": 257, "fit": "pad"}, "8 to 256"),
        ({"size": 16, "fit": "crpo"}, "did you mean 'crop'"),
        ({"fit": "crop"}, "expected a size"),
        ({"split": "tran"}, "did you mean 'train'"),
        ({"memory_share": -0.1}, "0 to 1"),
        ({"memory_share": float("nan")}, "0 to 1"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, words):
    with pytest.raises(DataError, match=words):
        load(npy(tmp_path, makers.grey()), **options)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path):
    side = int(MOST_PIXELS**0.5) + 1
    data = makers.png_bytes(Image.new("1", (side, side)))
    assert len(data) < 2**17
    makers.write(tmp_path / "set/a.png", data)
    with pytest.raises(DataError, match="pixels"):
        load(tmp_path / "set", size=16, fit="resize")


def test_load_pictures_takes_a_picture_or_a_folder_and_holds_the_shape(tmp_path):
    images = makers.grey(3, 16, 16)
    folder = makers.write_folder(tmp_path / "set", makers.picture_files(images))
    names, pixels = load_pictures(folder, shape=(1, 16, 16))
    assert names == ["000.png", "001.png", "002.png"]
    np.testing.assert_array_equal(pixels, images)
    names, pixels = load_pictures(folder / "001.png", shape=(1, 16, 16))
    np.testing.assert_array_equal(pixels, images[1:2])
    assert load_pictures(folder, shape=(1, 8, 8), fit="crop")[1].shape == (3, 1, 8, 8)
    for path in (folder, folder / "001.png"):
        with pytest.raises(DataError, match="RGB"):
            load_pictures(path, shape=(3, 16, 16))
        with pytest.raises(DataError, match="crop, pad or resize"):
            load_pictures(path, shape=(1, 8, 8))
    with pytest.raises(DataError):
        load_pictures(tmp_path / "none.png", shape=(1, 8, 8))

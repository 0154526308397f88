"""Modes, orientations and sizes of images, and bringing images to a size."""

import makers
import numpy as np
import pytest
from PIL import Image

from ganvas.data import load_dataset, load_images
from ganvas.data.image_files import MOST_PIXELS
from ganvas.errors import DataError

GRAY = makers.to_pil(makers.gray(1)[0])
COLOR = makers.to_pil(makers.color(1)[0])


def one(tmp_path, image, form="PNG", **options):
    makers.write(tmp_path / "set" / "a.dat", makers.encode_png(image, form, **options))
    return load_dataset(tmp_path / "set")


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("make", [makers.gray, makers.color])
def test_png_bmp_and_webp_are_recognized_by_content_and_give_the_same_pixels(tmp_path, form, make):
    if form == "WEBP" and make is makers.gray:
        pytest.skip("WebP has no gray")
    image = make(1)[0]
    options = {"lossless": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(one(tmp_path, makers.to_pil(image), form, **options).images[0], image)


@pytest.mark.parametrize(("image", "channels"), [(GRAY, 1), (COLOR, 3), (COLOR.convert("CMYK"), 3)])
def test_jpeg_is_read_as_gray_or_rgb(tmp_path, image, channels):
    assert one(tmp_path, image, "JPEG").images.shape == (1, channels, 9, 11)


def test_black_and_white_becomes_0_and_255(tmp_path):
    result = one(tmp_path, GRAY.point(lambda v: 255 * (v > 99)).convert("1"))
    assert result.image_shape == (1, 9, 11)
    assert set(np.unique(result.images)) == {0, 255}


def test_a_palette_of_grays_is_gray_and_any_other_rgb(tmp_path):
    grays = GRAY.convert("P")
    grays.putpalette([v for value in range(256) for v in (value, value, value)])
    np.testing.assert_array_equal(one(tmp_path, grays).images[0, 0], np.asarray(GRAY))
    colors = COLOR.quantize(16)
    np.testing.assert_array_equal(
        one(tmp_path, colors).images[0].transpose(1, 2, 0), np.asarray(colors.convert("RGB"))
    )


def test_16_bit_gray_is_scaled_to_8_bits(tmp_path):
    values = np.linspace(0, 65535, 99).round().astype(np.uint16).reshape(9, 11)
    result = one(tmp_path, Image.fromarray(values))
    expected = (values.astype(float) * 255 / 65535).round()
    np.testing.assert_array_equal(result.images[0, 0], expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_on_black_and_an_opaque_alpha_changes_nothing(tmp_path, mode):
    base = COLOR if mode == "RGBA" else GRAY
    opaque = base.convert(mode)
    result = one(tmp_path, opaque)
    pixels = result.images[0].transpose(1, 2, 0).squeeze()
    np.testing.assert_array_equal(pixels, np.asarray(base))
    assert "black" in result.note
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
    data = makers.encode_png(COLOR, form, exif=exif)
    path = makers.write(tmp_path / "set/a.img", data)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(load_dataset(tmp_path / "set").images[0].transpose(1, 2, 0), expected)


def mixed_sizes(tmp_path):
    for index, (width, height) in enumerate([(20, 10)] * 3 + [(10, 30)] * 2 + [(16, 16)]):
        makers.write(tmp_path / "set" / f"{index}.png", makers.encode_png(makers.gray(1, height, width)[0]))
    return tmp_path / "set"


def test_mixed_sizes_are_refused_with_the_sizes_counted(tmp_path):
    with pytest.raises(DataError, match=r"3 of 20x10, 2 of 10x30, 1 of 16x16.*crop, pad or resize"):
        load_dataset(mixed_sizes(tmp_path))
    with pytest.raises(DataError, match="3 of 20x10"):
        load_dataset(mixed_sizes(tmp_path), size=16)


@pytest.mark.parametrize("resize", ["crop", "pad", "resize"])
def test_mixed_sizes_are_brought_to_a_size(tmp_path, resize):
    result = load_dataset(mixed_sizes(tmp_path), size=16, resize=resize)
    assert result.images.shape == (6, 1, 16, 16)
    np.testing.assert_array_equal(result.images[5], makers.gray(1, 16, 16)[0])


def test_mixed_modes_are_refused_and_counted(tmp_path):
    files = makers.png_files(makers.color(3))
    files["gray.png"] = makers.encode_png(GRAY)
    with pytest.raises(DataError, match=r"1 gray and 3 RGB \(such as gray.png\)"):
        load_dataset(makers.write_folder(tmp_path / "set", files))


def white(height, width):
    return np.full((2, 1, height, width), 255, np.uint8)


def npy(tmp_path, images):
    return makers.write(tmp_path / "a.npy", makers.npy_bytes(images))


def test_crop_keeps_the_middle(tmp_path):
    images = white(16, 32)
    images[..., :8] = 0
    images[..., -8:] = 0
    result = load_dataset(npy(tmp_path, images), size=16, resize="crop")
    assert result.images.shape == (2, 1, 16, 16)
    assert result.images.min() == 255


def test_pad_keeps_all_and_fills_up_with_black(tmp_path):
    result = load_dataset(npy(tmp_path, white(16, 32)), size=32, resize="pad").images
    assert result[:, :, 8:24].min() == 255
    assert result[:, :, :8].max() == result[:, :, 24:].max() == 0


def test_resize_squashes(tmp_path):
    result = load_dataset(npy(tmp_path, white(16, 32)), size=24, resize="resize").images
    assert result.shape == (2, 1, 24, 24)
    assert result.min() == 255


def test_resizing_keeps_the_mean_brightness(tmp_path):
    images = makers.color(3, 64, 64)
    result = load_dataset(npy(tmp_path, images), size=16, resize="resize").images
    np.testing.assert_allclose(result.mean((2, 3)), images.mean((2, 3)), atol=3)


def test_a_size_the_images_already_have_needs_no_resizing_and_changes_nothing(tmp_path):
    path = npy(tmp_path, makers.gray(3, 16, 16))
    assert load_dataset(path, size=16).fingerprint == load_dataset(path).fingerprint
    assert load_dataset(path, size=16, resize="crop").fingerprint == load_dataset(path).fingerprint


def test_another_size_without_a_way_names_the_three(tmp_path):
    with pytest.raises(DataError, match="crop, pad or resize"):
        load_dataset(npy(tmp_path, makers.gray()), size=16)
    with pytest.raises(DataError, match="crop, pad or resize"):
        load_dataset(makers.write_folder(tmp_path / "f", makers.png_files(makers.gray())), size=16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 7}, "8 to 256"),
        ({"size": 257, "resize": "pad"}, "8 to 256"),
        ({"size": 16, "resize": "crpo"}, "did you mean 'crop'"),
        ({"resize": "crop"}, "expected a size"),
        ({"split": "tran"}, "did you mean 'train'"),
        ({"mmap_threshold": -0.1}, "0 to 1"),
        ({"mmap_threshold": float("nan")}, "0 to 1"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, words):
    with pytest.raises(DataError, match=words):
        load_dataset(npy(tmp_path, makers.gray()), **options)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path):
    side = int(MOST_PIXELS**0.5) + 1
    data = makers.encode_png(Image.new("1", (side, side)))
    assert len(data) < 2**17
    makers.write(tmp_path / "set/a.png", data)
    with pytest.raises(DataError, match="pixels"):
        load_dataset(tmp_path / "set", size=16, resize="resize")


def test_load_images_takes_an_image_or_a_folder_and_checks_the_shape(tmp_path):
    images = makers.gray(3, 16, 16)
    folder = makers.write_folder(tmp_path / "set", makers.png_files(images))
    names, pixels = load_images(folder, shape=(1, 16, 16))
    assert names == ["000.png", "001.png", "002.png"]
    np.testing.assert_array_equal(pixels, images)
    names, pixels = load_images(folder / "001.png", shape=(1, 16, 16))
    np.testing.assert_array_equal(pixels, images[1:2])
    assert load_images(folder, shape=(1, 8, 8), resize="crop")[1].shape == (3, 1, 8, 8)
    for path in (folder, folder / "001.png"):
        with pytest.raises(DataError, match="RGB"):
            load_images(path, shape=(3, 16, 16))
        with pytest.raises(DataError, match="crop, pad or resize"):
            load_images(path, shape=(1, 8, 8))
    with pytest.raises(DataError):
        load_images(tmp_path / "none.png", shape=(1, 8, 8))

"""Pixels to numbers and back, grids, and image files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.utils.images import (
    encode_gif,
    encode_png,
    grid_columns,
    make_grid,
    to_float,
    to_pil,
    to_uint8,
    upscale,
)

RANGES = [(-1, 1), (0, 1)]


def numbered_class_names(count, channels=1, height=3, width=4):
    """Image i is 10 + i all over."""
    images = np.zeros((count, channels, height, width), np.uint8)
    images += np.arange(10, 10 + count, dtype=np.uint8)[:, None, None, None]
    return images


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("pixel_range", RANGES)
def test_all_256_values_go_to_float_and_back(pixel_range):
    pixels = torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8)
    scaled = to_float(pixels, pixel_range)
    assert scaled.dtype == torch.float32
    assert (scaled.flatten()[0].item(), scaled.flatten()[-1].item()) == pixel_range
    low, high = pixel_range
    exact = low + np.arange(256) * (high - low) / 255
    np.testing.assert_allclose(scaled.flatten().numpy(), exact, atol=2e-7)
    assert np.array_equal(to_uint8(scaled, pixel_range), pixels.numpy())


def test_to_float_leaves_the_pixels_alone():
    pixels = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
    to_float(pixels, (-1, 1))
    assert pixels.flatten().tolist() == list(range(64))


@pytest.mark.parametrize(
    ("pixel_range", "value", "pixel"),
    [
        ((0, 1), -0.5, 0),
        ((0, 1), 1.5, 255),
        ((-1, 1), -7, 0),
        ((-1, 1), 7, 255),
        ((0, 1), 0.4999 / 255, 0),
        ((0, 1), 0.5001 / 255, 1),
        ((-1, 1), 0.01, 129),
    ],
)
def test_to_uint8_rounds_to_the_nearest_and_clips_at_the_ends(pixel_range, value, pixel):
    image = torch.full((1, 1, 2, 2), float(value), requires_grad=True)
    assert to_uint8(image, pixel_range).tolist() == [[[[pixel] * 2] * 2]]
    assert image.flatten()[0].item() == pytest.approx(value)


def test_to_uint8_gives_plain_c_ordered_arrays():
    image = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    pixels = to_uint8(image, (0, 1))
    assert pixels.flags.c_contiguous
    assert (pixels.dtype, pixels.shape) == (np.uint8, (2, 3, 4, 5))
    np.testing.assert_array_equal(pixels, np.rint(image.numpy() * 255).astype(np.uint8))


@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (6, 3), (5, 3), (4, 7), (7, 1)])
def test_a_grid_lays_images_row_by_row_with_gaps_of_black(count, columns, gap):
    images = numbered_class_names(count, channels=3)
    sheet = make_grid(images, columns, gap=gap)
    rows = -(-count // columns)
    assert sheet.shape == (3, rows * (3 + gap) + gap, columns * (4 + gap) + gap)
    covered = np.zeros(sheet.shape, bool)
    for i in range(count):
        top, left = gap + (i // columns) * (3 + gap), gap + (i % columns) * (4 + gap)
        place = (slice(None), slice(top, top + 3), slice(left, left + 4))
        assert np.array_equal(sheet[place], images[i])
        covered[place] = True
    assert not sheet[~covered].any()


def test_an_inverted_grid_is_the_negative():
    images = noise(5, 1, 3, 4)
    assert np.array_equal(make_grid(images, 2, inverted=True), 255 - make_grid(images, 2))


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4), (64, 8), (65, 9)]
)
def test_squarish_is_the_smallest_square_that_holds_all(count, columns):
    assert grid_columns(count) == columns


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_pixels_survive_a_png(channels, mode):
    pixels = noise(channels, 5, 7)
    with Image.open(io.BytesIO(encode_png(to_pil(pixels)))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", mode, (7, 5))
        back = np.asarray(image).reshape(5, 7, channels).transpose(2, 0, 1)
    assert np.array_equal(back, pixels)


@pytest.mark.parametrize(("at_least", "factor"), [(1, 1), (5, 1), (6, 2), (10, 2), (11, 3), (140, 28)])
def test_enlarging_repeats_whole_pixels(at_least, factor):
    pixels = noise(5, 7)
    image = upscale(Image.fromarray(pixels), at_least)
    assert np.array_equal(np.asarray(image), pixels.repeat(factor, 0).repeat(factor, 1))


def read_gif(content):
    frames, durations = [], []
    with Image.open(io.BytesIO(content)) as gif:
        assert gif.format == "GIF"
        assert gif.info["loop"] == 0  # for ever
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
            frames.append(np.asarray(gif.convert("RGB")))
    return frames, durations


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("count", [2, 7])
def test_a_gif_shows_each_frame_for_its_time_and_rests_on_the_last(count, mode):
    images = [Image.fromarray(noise(6, 8, seed=i)).convert(mode) for i in range(count)]
    frames, durations = read_gif(encode_gif(images, 200, 2000))
    assert durations == [200] * (count - 1) + [2000]
    for frame, image in zip(frames, images, strict=True):
        assert np.array_equal(frame, np.asarray(image.convert("RGB")))


def test_equal_neighbors_in_a_gif_keep_their_time_on_screen():
    a, b = (Image.fromarray(noise(6, 8, seed=i)) for i in range(2))
    frames, durations = read_gif(encode_gif([a, a, b, b, b, a], 200, 2000))
    shown = [frame for frame, time in zip(frames, durations, strict=True) for _ in range(time // 200)]
    expected = [a, a, b, b, b] + [a] * 10
    assert len(shown) == len(expected)
    for frame, image in zip(shown, expected, strict=True):
        assert np.array_equal(frame[..., 0], np.asarray(image))

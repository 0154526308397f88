"""The GIF of a run's grids: which frames, for how long, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from ganvas.errors import RunError, StorageError
from ganvas.runs.animation import animate, subsampled


def frames(folder, count, size=(20, 30)):
    """PNG files of noise, all different."""
    paths = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, size, np.uint8)
        paths.append(folder / f"{i:08d}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def by_the_rule(count):
    """TensorFlow's tutorial, word for word, but the last frame only once."""
    kept, last = [], -1.0
    for i in range(count):
        frame = 2 * (i**0.5)
        if round(frame) > round(last):
            last = frame
            kept.append(i)
    return sorted({*kept, count - 1}) if count else []


@pytest.mark.parametrize("count", [*range(20), 50, 101, 1000])
def test_thinning_follows_the_tutorials_rule_and_keeps_the_last(count):
    kept = subsampled(count)
    assert kept == by_the_rule(count)
    assert kept == sorted(set(kept))


def read(path):
    frames_read, durations = [], []
    with Image.open(path) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
            frames_read.append(np.asarray(gif.convert("L")))
    return frames_read, durations


@pytest.mark.parametrize(("subsample", "indices"), [(False, range(12)), (True, [0, 1, 2, 4, 6, 8, 11])])
def test_the_gif_shows_the_chosen_grids_in_order_and_rests_on_the_last(tmp_path, subsample, indices):
    paths = frames(tmp_path, 12)
    out = tmp_path / "out" / "run.gif"
    assert animate(paths, out, subsample=subsample, at_least=20) == len(indices)
    frames_read, durations = read(out)
    assert durations == [200] * (len(indices) - 1) + [2000]
    for image, i in zip(frames_read, indices, strict=True):
        assert np.array_equal(image, np.asarray(Image.open(paths[i])))


def test_frames_are_enlarged_by_a_whole_factor(tmp_path):
    (path,) = frames(tmp_path, 1)
    animate([path], tmp_path / "run.gif", subsample=False)
    (image,), _ = read(tmp_path / "run.gif")
    assert np.array_equal(image, np.asarray(Image.open(path)).repeat(14, 0).repeat(14, 1))


def test_no_grids_are_refused(tmp_path):
    with pytest.raises(RunError, match="no sample grids"):
        animate([], tmp_path / "run.gif", subsample=False)
    assert not (tmp_path / "run.gif").exists()


@pytest.mark.parametrize("how", ["text", "cut", "gone"])
def test_a_grid_that_is_no_image_is_refused_by_name_and_the_old_gif_stays(tmp_path, how):
    paths, out = frames(tmp_path, 3), tmp_path / "run.gif"
    animate(paths, out, subsample=False)
    before = out.read_bytes()
    content = paths[1].read_bytes()
    if how == "gone":
        paths[1].unlink()
    else:
        paths[1].write_bytes(content[: len(content) // 2] if how == "cut" else b"no image")
    with pytest.raises(RunError) as caught:
        animate(paths, out, subsample=False)
    assert str(paths[1]) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert out.read_bytes() == before


def test_a_gif_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "run.gif").mkdir()
    with pytest.raises(StorageError):
        animate(frames(tmp_path, 2), tmp_path / "run.gif", subsample=False)

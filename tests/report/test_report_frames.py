"""Which sample grids travel inside a page, and how large they may be."""

import json
import re

import filled
import numpy as np
import pytest
from PIL import Image
from reading import Page

from ganvas.report import frames, report


def block_of(run):
    source = report(run).read_text("utf-8")
    return json.loads(
        re.search(r'"player".*?<script type="application/json">(.*?)</script>', source, re.DOTALL).group(1)
    )


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 500])
@pytest.mark.parametrize("most", [2, 3, 60])
def test_frames_are_evenly_spaced_and_the_ends_are_kept(count, most):
    kept = frames.evenly_spaced(count, most)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(kept) == min(count, most)
    gaps = np.diff(kept)
    assert gaps.size == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


def test_at_most_sixty_grids_are_displayed_from_the_first_to_the_last(full):
    filled.grids(full, range(0, 500, 2))
    block = block_of(full)
    assert len(block["labels"]) == 60
    assert len(block["frames"]) == 59  # the last one is the image itself
    assert (block["labels"][0], block["labels"][-1]) == ("before training", "step 498, epoch 124")


def test_large_grids_become_fewer_not_blurred(full):
    filled.grids(full, range(12), side=200)
    each = frames.read(full.directory.sample_file(0)).encoded_size
    chosen = frames.choose_frames(full.directory.sample_files(), 5 * each)
    assert [frame.step for frame in chosen][:: len(chosen) - 1] == [0, 11]
    assert 2 < len(chosen) <= 5
    assert {frame.width for frame in chosen} == {200}


def test_a_grid_too_large_alone_is_halved(full):
    filled.grids(full, [7], side=200)
    (frame,) = frames.choose_frames(full.directory.sample_files(), 8000)
    assert (frame.width, frame.height, frame.step) == (50, 50, 7)
    assert frame.encoded_size <= 8000


def test_the_page_stays_below_its_cap(full, monkeypatch):
    filled.grids(full, range(40), side=150)
    heavy = report(full).stat().st_size
    monkeypatch.setattr(frames.choose_frames, "__defaults__", (200_000,))
    light = report(full).stat().st_size
    assert heavy > 1_000_000
    assert light < 200_000 + 100_000


@pytest.mark.parametrize("damaged", [0, 3, 5])
@pytest.mark.parametrize("how", ["empty", "cut", "text", "jpeg", "folder", "bomb"])
def test_a_damaged_grid_is_passed_over(full, damaged, how):
    filled.grids(full, range(6))
    path = full.directory.sample_file(damaged)
    content = path.read_bytes()
    if how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "jpeg":
        with Image.open(path) as image:
            image.copy().save(path, format="JPEG")
    else:
        sizes = (60_000).to_bytes(4, "big") * 2
        bomb = content[:16] + sizes + content[24:]
        path.write_bytes({"empty": b"", "cut": content[:60], "text": b"hello", "bomb": bomb}[how])
    steps = [frame.step for frame in frames.choose_frames(full.directory.sample_files())]
    assert steps == [step for step in range(6) if step != damaged]
    assert len(block_of(full)["labels"]) == 5


def test_grids_that_are_all_damaged_are_reported(full):
    filled.grids(full, range(3))
    for path in full.directory.sample_files():
        path.write_bytes(b"")
    assert "None of the sample grids is a whole image any more." in Page(report(full)).text


def test_a_single_grid_has_no_slider(full):
    filled.grids(full, [6])
    page = Page(report(full))
    assert page.all("input") == []
    assert len(page.all("img")) == 1

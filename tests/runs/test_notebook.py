"""What a run shows in a notebook: its curves, its page, and the GIF itself."""

import base64
import html
import io
import re

import pytest
from PIL import Image

import tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("notebook"), steps=4, overrides={"log_interval": 1})


def framed(shown):
    (page,) = re.findall(r'srcdoc="([^"]*)"', shown._repr_html_())
    return html.unescape(page)


def test_the_curves_are_a_page_of_their_own_in_a_frame(run, tmp_path):
    shown = run.plot()
    page = framed(shown)
    assert page.encode() == shown.content == shown.save(tmp_path / "curves.html").read_bytes()
    assert "Losses" in page
    assert "Discriminator outputs" in page
    assert "Content-Security-Policy" in page
    assert "sandbox" in shown._repr_html_()
    assert len(repr(shown)) < 100


def test_the_report_is_written_and_shown(run, tmp_path):
    shown = run.report(tmp_path / "page.html")
    assert framed(shown).encode() == (tmp_path / "page.html").read_bytes()
    assert "report of a run" in framed(shown)


def test_the_animation_plays_and_is_a_path(run, tmp_path):
    shown = run.animate(tmp_path / "run.gif")
    assert str(shown) == str(tmp_path / "run.gif")
    (encoded,) = re.findall(r"data:image/gif;base64,([^\"]*)", shown._repr_html_())
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image, Image.open(shown) as file:
        assert image.format == "GIF"
        assert image.n_frames == file.n_frames >= 2

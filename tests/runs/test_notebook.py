"""What a notebook shows: a run that trains, here or elsewhere; its curves, its page, and the GIF itself."""

import base64
import html
import html.parser
import io
import re
import textwrap
import xml.etree.ElementTree as ET

import nbclient
import nbformat
import pytest
from PIL import Image

import ganvas
import tiny
from ganvas.callbacks import LogRecord, ScoreRecord
from ganvas.callbacks.progress import ProgressLines
from ganvas.evaluation.health import HealthIssue
from ganvas.runs.live import NotebookView, choose_display

STEPS = 200
OVERRIDES = {"scores": None, **tiny.TINY["mlp"], "grid.interval": 100}

TRAIN = """
    import ganvas
    options = dict(steps={steps}, overrides={overrides!r}, device="cpu", threads=1)
    run = ganvas.train("mlp", {data!r}, "run", **options)
"""
# Another process trains; the user interrupts what shows it as soon as that process makes previews for it.
INTERRUPTED = """
    import os, signal, subprocess, sys, threading, time
    words = ["train", "mlp", "--data", {data!r}, "--out", "other", *{words!r}, "--quiet"]
    process = subprocess.Popen([sys.executable, "-m", "ganvas", *words, "--steps", "1000000"])
    while not os.path.exists("other/status.json"):
        time.sleep(0.05)
    def when_previewed(action):
        while not os.path.exists("other/preview.png"):
            time.sleep(0.05)
        action()
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=when_previewed, args=[interrupt]).start()
    ganvas.open_run("other").live()
    print("trains on:", process.poll() is None)
"""
UNTIL_ITS_END = """
    from pathlib import Path
    from ganvas.runs.control import write_command
    os.remove("other/preview.png")
    stop = lambda: write_command(Path("other"), want="stop")
    threading.Thread(target=when_previewed, args=[stop]).start()
    ganvas.open_run("other").live()
    print("has ended with", process.wait())
"""


class Recorder(nbclient.NotebookClient):
    """Runs a notebook, and keeps what each cell displays and when."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.displayed = []

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.displayed.append((cell_index, msg["header"]["date"], msg["content"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A real notebook in a real kernel: (the saved notebook, what was displayed, its folder)."""
    folder = tmp_path_factory.mktemp("kernel")
    data = str(tiny.data_file(folder))
    known = {"data": data, "steps": STEPS, "overrides": OVERRIDES, "words": tiny.words("mlp")}
    sources = [textwrap.dedent(code.format(**known)) for code in (TRAIN, INTERRUPTED, UNTIL_ITS_END)]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in sources])
    client = Recorder(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    saved = nbformat.reads(nbformat.writes(book), as_version=4)
    return saved, client.displayed, folder


class Elements(html.parser.HTMLParser):
    def __init__(self, content):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def images(self):
        return [(values["alt"], *decoded(values["src"])) for tag, values in self.elements if tag == "img"]


def decoded(uri):
    kind, _, content = uri.partition(";base64,")
    return kind.removeprefix("data:"), base64.b64decode(content)


def last_view(cell):
    """The only HTML that a cell of the saved notebook shows."""
    (view,) = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
    return Elements(view)


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_training_in_a_notebook_leaves_samples_curves_and_a_full_bar(notebook):
    saved, _, folder = notebook
    view = last_view(saved.cells[0])
    assert f"finished, step {STEPS} of {STEPS}" in view.text
    (bar,) = [values for _, values in view.elements if values.get("role") == "progressbar"]
    assert bar["aria-valuenow"] == "100.0"
    grid, losses, outputs = view.images()
    assert grid == (
        f"samples at step {STEPS}",
        "image/png",
        (folder / f"run/samples/{STEPS:08d}.png").read_bytes(),
    )
    for (label, kind, svg), title in ((losses, "Losses"), (outputs, "Discriminator outputs")):
        assert kind == "image/svg+xml"
        assert label.startswith(f"{title}: ")
        chart = ET.fromstring(svg)
        strokes = [
            path for path in chart.iter("{http://www.w3.org/2000/svg}path") if "stroke" in path.get("class")
        ]
        assert max(path.get("d").count("L") for path in strokes) >= STEPS / 2
    assert "training to step" in printed(saved.cells[0])


def test_it_is_updated_in_place_and_about_once_a_second(notebook):
    _, displayed, _ = notebook
    shown = [(date, content) for cell, date, content in displayed if cell == 0]
    identifiers = {content["transient"]["display_id"] for _, content in shown}
    assert len(identifiers) == 1
    seconds = (shown[-1][0] - shown[0][0]).total_seconds()
    assert 2 <= len(shown) <= 3 + seconds  # the first and the last at once
    assert shown[0][1]["data"]["text/plain"].startswith(f"step 0/{STEPS}")


def test_an_output_needs_no_script_no_style_sheet_and_nothing_from_elsewhere(notebook):
    saved, _, _ = notebook
    for cell in saved.cells:
        elements = last_view(cell).elements
        assert {tag for tag, _ in elements} <= {"div", "span", "b", "img"}
        assert not [name for _, values in elements for name in values if name.startswith("on")]
        assert all(values["src"].startswith("data:image/") for tag, values in elements if tag == "img")


def test_what_is_shown_changes_nothing_of_what_is_trained(notebook, tmp_path):
    run = ganvas.open_run(notebook[2] / "run")
    plain = tiny.train(tmp_path, "mlp", steps=STEPS, overrides=OVERRIDES)
    assert tiny.weights(run) == tiny.weights(plain)


def test_interrupting_ends_the_display_and_not_the_run(notebook):
    cell = notebook[0].cells[1]
    assert "trains on: True" in printed(cell)
    assert "no longer watching other" in printed(cell)
    assert "training, step" in last_view(cell).text


def test_a_run_of_another_process_is_shown_until_it_ends(notebook):
    saved, _, folder = notebook
    assert "has ended with" in printed(saved.cells[2])
    view = last_view(saved.cells[2])
    step = ganvas.open_run(folder / "other").step
    assert f"stopped, step {step:,} of 1,000,000" in view.text
    grid, *charts = [alt.partition(":")[0] for alt, _, _ in view.images()]
    assert grid.startswith("samples at step ")
    assert charts == ["Losses", "Discriminator outputs"]


def test_where_ipython_is_no_kernel_nothing_of_it_is_there(capsys):
    assert isinstance(choose_display(10, 0, quiet=False), ProgressLines)


def test_live_without_a_notebook_shows_lines(run, capsys):
    run.live()
    assert "step 4/4" in capsys.readouterr().err


def values(step, number):
    keys = ("discriminator_loss", "generator_loss", "real_probability", "fake_probability")
    return dict.fromkeys((*keys, "real_accuracy", "fake_accuracy"), number)


def test_long_curves_stay_small_and_keep_their_extremes():
    view = NotebookView(100_000, 0)
    for step in range(1, 100_001):
        number = {777: 9.0, 55_555: -9.0}.get(step, 0.5)
        view.on_log(LogRecord(step, 0, step, 1.0, 1.0, 1.0, values(step, number)))
    losses = Elements(view.html()).images()[0]
    assert "to 0.5" in losses[0]
    kept = {line["step"]: line["generator_loss"] for line in view._lines}
    assert len(kept) <= 4000
    assert (kept[777], kept[55_555]) == (9.0, -9.0)
    assert len(view.html()) < 200_000


def test_scores_and_health_are_beside_the_curves_and_hostile_text_is_text():
    view = NotebookView(100, 0)
    view.open("<script>alert(1)</script> on \x1b[31m", 10)
    for step, fid in ((10, 30.0), (20, 20.0), (30, None)):
        view.on_score(ScoreRecord(step, 1, {"fid": fid, "modes": None}, "p", {"fid": 0.5}, is_best=True))
    view.on_health(30, HealthIssue("collapse", "<b onclick=x>the samples are all alike</b>"))
    result = Elements(view.html())
    assert "FID 20.0 (real data: 0.500)" in result.text
    assert "the samples are all alike</b>" in result.text
    assert "<script>alert(1)" in result.text
    assert {tag for tag, _ in result.elements} <= {"div", "span", "b", "img"}
    assert [alt.partition(":")[0] for alt, _, _ in result.images()] == ["FID"]


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

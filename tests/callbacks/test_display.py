"""What a person sees: a bar in a terminal, plain lines in a file, nothing when quiet."""

import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

import tiny
from ganvas.callbacks import LogRecord
from ganvas.callbacks.progress import (
    Display,
    ProgressBar,
    ProgressLines,
    format_times,
    make_display,
    seconds_left,
)
from ganvas.training.loop import StepResult

VALUES = {
    "discriminator_loss": 1.25,
    "generator_loss": 0.75,
    "real_probability": 0.6,
    "fake_probability": 0.4,
    "real_accuracy": 0.9,
    "fake_accuracy": 0.8,
}


def record(step):
    return LogRecord(step, step // 4, 16 * step, 1.5, 1234.5, 2.5, VALUES)


def test_where_there_is_no_terminal_lines_are_plain(capsys):
    display = make_display(10, 0, quiet=False)
    assert isinstance(display, ProgressLines)
    with display:
        display.on_log(record(1))
        display.on_log(record(2))  # too soon after the first
        display.on_log(record(10))  # the last is always shown
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("step 1/10  0:00 elapsed, ")
    assert "left  epoch 0  " in lines[0]
    for words in (
        "1,234 images/s",
        "2.5 s/epoch",
        "D loss 1.250",
        "G loss 0.750",
        "D(x) 0.60",
        "D(G(z)) 0.40",
    ):
        assert words in lines[1]
    assert "accuracy real 90%, fake 80%" in lines[1]
    assert "elapsed, " in lines[1]
    assert "\x1b" not in lines[1]


def test_an_80_column_bar_shows_the_whole_total_and_labels_both_times():
    output = io.StringIO()
    bar = ProgressBar(100_000, 0, Console(file=output, width=80, force_terminal=True))
    with bar:
        bar.on_step(StepResult(99_999, 0, {}, None))
    text = output.getvalue()
    assert "99999/100000" in text.replace(" ", "")
    assert "0:00 elapsed, 0:00 left" in text


def test_the_time_left_follows_from_the_mean_speed_however_slow_the_steps():
    assert seconds_left(0.0, 5, 5, 10) is None
    assert seconds_left(400.0, 5, 6, 10) == 1600.0
    assert format_times(42, 70) == "0:42 elapsed, 1:10 left"
    assert format_times(3700, None) == "1:01:40 elapsed, -:-- left"


def test_quiet_shows_nothing(capsys):
    display = make_display(10, 0, quiet=True)
    assert type(display) is Display
    display.on_log(record(10))
    display.say("nothing")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stderr", ["without a reader", "missing"])
def test_from_python_too_training_goes_on_when_there_is_nobody_to_read_its_lines(
    tmp_path, monkeypatch, stderr
):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed if stderr == "without a reader" else None)
        run = tiny.train(tmp_path, "mlp", steps=2, quiet=False)
        assert run.step == 2
        assert run.directory.report.exists()


def test_in_a_terminal_there_is_a_bar_with_losses_and_time_left(tmp_path):
    data = tiny.data_file(tmp_path)
    words = ["train", "mlp", "--data", str(data), "--out", str(tmp_path / "run"), "--steps", "5"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "ganvas", *words, *tiny.words("mlp")]
    process = subprocess.Popen(command, stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end has closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    assert process.wait() == 0
    text = output.decode()
    assert "5/5" in text
    assert "left" in text
    assert "D(G(z))" in text
    assert "images/s" in text

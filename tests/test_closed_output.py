"""Output that cannot be written: a pipe, pager or terminal that closes, a full disk, no console at all.

What is displayed is lost then, but not what is computed, and exit codes stay as documented: a command whose
result could not be written on standard output exits with 1, unless the reader has closed it.
"""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ganvas
import tiny
from ganvas.cli import main

pytestmark = [
    pytest.mark.timeout(3600),  # progress bounds the waits below: a slow machine is no failure
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A few images."""
    return tiny.data_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A run that nothing disturbed."""
    return tiny.train(tmp_path_factory.mktemp("whole"), "mlp", steps=6, data=data)


def train_words(data, out, steps=6):
    words = ["train", "mlp", "--data", str(data), "--out", str(out), "--steps", str(steps)]
    return [sys.executable, "-m", "ganvas", *words, "--device", "cpu", *tiny.words("mlp")]


@pytest.mark.parametrize(
    "shell",
    [
        '"$@" 2>&1 | head -1; exit ${PIPESTATUS[0]}',
        '"$@" 2>&1 | :; exit ${PIPESTATUS[0]}',  # nobody has read a line
        '"$@" 2> >(read line; kill -9 $BASHPID)',  # as a killed tee
        '"$@" > /dev/full 2>&1',
        '"$@" <&- >&- 2>&-',
    ],
)
def test_training_goes_on_to_the_same_bits_when_its_display_cannot_be_written(tmp_path, data, whole, shell):
    words = train_words(data, tmp_path / "run")
    process = subprocess.run(["bash", "-c", shell, "bash", *words], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stdout + process.stderr
    assert "mistake" not in process.stdout + process.stderr
    run = ganvas.open_run(tmp_path / "run")
    assert tiny.weights(run) == tiny.weights(whole)
    assert run.directory.report.exists()
    # Where a descriptor was closed, no file of the run was opened in its place and written into.
    assert [p.name for p in run.directory.sample_files()] == [p.name for p in whole.directory.sample_files()]
    for ours, theirs in zip(run.directory.sample_files(), whole.directory.sample_files(), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("shell", ['"$@" > /dev/full', '"$@" | :; exit ${PIPESTATUS[0]}', '"$@" >&- 2>&-'])
def test_the_interpreter_exits_with_the_documented_code_too(shell):
    words = ["bash", "-c", shell, "bash", sys.executable, "-m", "ganvas", "train", "--help"]
    process = subprocess.run(words, capture_output=True, text=True)
    lines = ["ganvas: could not write the output: No space left on device"] if "full" in shell else []
    assert process.stderr.splitlines() == lines
    assert process.returncode == len(lines)


@pytest.mark.parametrize("shell", ['"$@" 2> /dev/full', '"$@" 2>&1 | :; exit ${PIPESTATUS[0]}', '"$@" 2>&-'])
def test_a_mistake_exits_with_2_wherever_its_line_goes(shell):
    words = ["bash", "-c", shell, "bash", sys.executable, "-m", "ganvas", "train", "--no-such-flag"]
    process = subprocess.run(words, capture_output=True, text=True, start_new_session=True)
    assert (process.returncode, process.stdout, process.stderr) == (2, "", "")


COMMANDS = {
    "show": ["show", "RUN", "--layers"],
    "sample": ["sample", "RUN", "--count", "4", "--out", "OUT/sample.png"],
    "interpolate": ["interpolate", "RUN", "--out", "OUT/walk.png"],
    "animate": ["animate", "RUN", "--out", "OUT/runs.gif"],
    "discriminate": ["discriminate", "RUN"],
    "evaluate": ["evaluate", "RUN", "--count", "24", "--out", "OUT/scores.json"],
    "evaluate --json": ["evaluate", "RUN", "--count", "24", "--json"],
    "compare": ["compare", "RUN", "--out", "OUT/compare.html"],
    "report": ["report", "RUN", "--out", "OUT/report.html"],
    "recipes": ["recipes"],
    "recipes show": ["recipes", "show", "mlp"],
    "recipes layers": ["recipes", "layers", "mlp"],
    "data": ["data", "DATA", "--out", "OUT/preview.png"],
    "train --dry-run": ["train", "mlp", "--data", "DATA", "--dry-run", *tiny.words("mlp")],
    "--help": ["--help"],
}


@pytest.mark.parametrize("reader", ["gone", "full disk", "missing"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_does_its_work_when_its_answer_cannot_be_written(
    tmp_path, monkeypatch, capsys, data, whole, command, reader
):
    names = {"RUN": str(whole.path), "DATA": str(data), "OUT": str(tmp_path)}
    words = [word.replace("OUT", names["OUT"]) for word in COMMANDS[command]]
    words = [names.get(word, word) for word in words]
    if reader == "missing":
        monkeypatch.setattr(sys, "stdout", None)
        assert main(words) == 0
    else:
        with _unwritable(reader) as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert main(words) == (1 if reader == "full disk" else 0)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert lines == ["ganvas: could not write the output: No space left on device"] * (reader == "full disk")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".gif"] == [
        word.removeprefix("OUT/") for word in COMMANDS[command] if "OUT/" in word and ".gif" not in word
    ]


def _unwritable(reader):
    """A text stream that cannot be written."""
    if reader == "full disk":
        return Path("/dev/full").open("w", encoding="utf-8")
    out, into = os.pipe()
    os.close(out)
    return os.fdopen(into, "w", encoding="utf-8")


# Starts a program with SIGHUP and SIGINT as given, on the terminal that is its standard input, if it is one.
LAUNCHER = """
import fcntl, os, signal, sys, termios
ignored, *words = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored == "ignored" else signal.SIG_DFL)
if ignored != "no terminal":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(words[0], words)
"""


@pytest.fixture
def terminal():
    """Start a program in a new session, on a terminal of its own; returns (process, its other end)."""
    started = []

    def start(how, words):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, how, *words],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        started.append((process, ours))
        return process, ours

    yield start
    for process, ours in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with contextlib.suppress(OSError):  # the test has closed it
            os.close(ours)


def read_until(terminal, words):
    """Read what is shown on the terminal until these words have come, or it is closed."""
    text = b""
    while words not in text:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # nobody has the other end open any more
            break
        if not part:
            break
        text += part
    return text


def test_a_terminal_that_closes_stops_a_run_which_is_saved_and_says_why(tmp_path, terminal, data, capsys):
    process, ours = terminal("default", train_words(data, tmp_path / "run", steps=100_000))
    read_until(ours, b"D(G(z))")
    os.close(ours)
    assert process.wait() == 130
    run = ganvas.open_run(tmp_path / "run")
    assert run.step > 0
    assert run.history()[-1] == {"step": run.step, "epoch": run.step // 4, "stopped": "SIGHUP"}
    assert main(["show", str(run.path)]) == 0
    assert "\nstopped      by SIGHUP\n" in capsys.readouterr().out


WAITING = """
import time
from pathlib import Path
import ganvas

@ganvas.register.callback("waiting")
class Waiting(ganvas.callbacks.Callback):
    def on_step(self, result):
        while result.step == 3 and not Path(FILE).exists():
            time.sleep(0.01)
"""


@pytest.mark.parametrize("how", ["ignored", "no terminal"])  # as after nohup, and after setsid or disown
def test_a_run_that_is_to_outlive_its_terminal_does(tmp_path, terminal, data, whole, how):
    closed, plugin = tmp_path / "closed", tmp_path / "waiting.py"
    plugin.write_text(WAITING.replace("FILE", repr(str(closed))))
    words = [*train_words(data, tmp_path / "run"), "--plugin", str(plugin), "--callback", "waiting"]
    process, ours = terminal(how, words)
    read_until(ours, b"D(G(z))")
    os.close(ours)
    closed.touch()
    assert process.wait() == 0
    run = ganvas.open_run(tmp_path / "run")
    assert tiny.weights(run) == tiny.weights(whole)
    assert run.directory.report.exists()


def test_ctrl_c_that_ends_tee_too_saves_the_run_and_says_on_the_terminal_how_to_resume(
    tmp_path, terminal, data
):
    words = train_words(data, tmp_path / "run", steps=100_000)
    shell = 'trap : INT; "$@" 2>&1 | tee "$LOG"; echo "exit code ${PIPESTATUS[0]}"'
    shell = shell.replace("$LOG", str(tmp_path / "log"))
    process, ours = terminal("default", ["bash", "-c", shell, "bash", *words])
    read_until(ours, b"D(G(z))")
    os.write(ours, b"\x03")
    text = read_until(ours, b"exit code ")
    text += read_until(ours, b"\n") if not text.endswith(b"\n") else b""
    assert process.wait() == 0
    assert b"exit code 130" in text
    assert f"everything is saved; resume with: ganvas resume {tmp_path / 'run'}".encode() in text
    assert ganvas.open_run(tmp_path / "run").step > 0

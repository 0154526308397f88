"""Watching and controlling a run from another process: status.json and control.json."""

import hashlib
import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from ganvas.runs import control
from waiting import PATIENCE, wait_for


@pytest.fixture
def start(tmp_path):
    """Start `ganvas train` of a tiny recipe in a process of its own, which never outlives the test."""
    data, processes = tiny.data_file(tmp_path), []

    def started(out, *words):
        command = [
            "train",
            "mlp",
            "--data",
            str(data),
            "--out",
            str(out),
            *tiny.words("mlp"),
            "--quiet",
            *words,
        ]
        with out.with_suffix(".stderr").open("wb") as stderr:
            process = subprocess.Popen([sys.executable, "-m", "ganvas", *command], stderr=stderr)
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


def parameters(run):
    """A digest of the newest checkpoint's tensors."""
    folder = max((run / "checkpoints").iterdir())
    files = sorted(folder.glob("*.safetensors"))
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_a_run_pauses_continues_and_ends_with_the_bits_of_one_that_was_left_alone(tmp_path, start):
    assert start(tmp_path / "alone", "--steps", "1500").wait(PATIENCE) == 0
    run = tmp_path / "paused"
    process = start(run, "--steps", "1500")
    wait_for(lambda: (status := control.read_status(run)) and status.alive)
    command = control.write_command(run, want="pause")
    status = wait_for(lambda: (s := control.read_status(run)) and s.state == "paused" and s)
    assert status.alive
    assert status.sequence == command.sequence
    assert (run / "checkpoints" / f"{status.step:08d}").is_dir()  # nothing is lost while it waits
    later = wait_for(lambda: (s := control.read_status(run)) and s.time > status.time + 1 and s)
    assert later.step == status.step
    control.write_command(run, want="run")
    assert process.wait(PATIENCE) == 0
    last = control.read_status(run)
    assert (last.state, last.step, last.alive) == ("finished", 1500, False)
    assert parameters(run) == parameters(tmp_path / "alone")


def test_a_run_that_is_told_to_stop_saves_and_resumes_without_obeying_again(tmp_path, start):
    run = tmp_path / "run"
    process = start(run, "--steps", "100000")
    wait_for(lambda: (status := control.read_status(run)) and status.step > 0)
    control.write_command(run, want="stop")
    assert process.wait(PATIENCE) == 130
    assert "everything is saved" in (tmp_path / "run.stderr").read_text()
    status = control.read_status(run)
    assert (status.state, status.alive) == ("stopped", False)
    assert (run / "checkpoints" / f"{status.step:08d}").is_dir()
    steps = status.step + 5
    words = [sys.executable, "-m", "ganvas", "resume", str(run), "--steps", str(steps), "--quiet"]
    assert subprocess.run(words, timeout=PATIENCE, check=False).returncode == 0
    assert control.read_status(run).state == "finished"


def test_a_paused_run_that_is_interrupted_stops(tmp_path, start):
    run = tmp_path / "run"
    process = start(run, "--steps", "100000")
    wait_for(lambda: (status := control.read_status(run)) and status.alive)
    control.write_command(run, want="pause")
    wait_for(lambda: control.read_status(run).state == "paused")
    process.terminate()
    assert process.wait(PATIENCE) == 130
    assert control.read_status(run).state == "stopped"


def test_a_killed_run_is_not_alive_whatever_its_status_says(tmp_path, start):
    run = tmp_path / "run"
    process = start(run, "--steps", "100000")
    wait_for(lambda: (status := control.read_status(run)) and status.alive)
    process.kill()
    process.wait(PATIENCE)
    status = control.read_status(run)
    assert status.state == "running"
    assert not status.alive


def test_previews_are_written_while_they_are_wanted_and_removed_at_the_end(tmp_path, start):
    run = tmp_path / "run"
    process = start(run, "--steps", "100000")
    wait_for(lambda: (status := control.read_status(run)) and status.step > 0)
    assert not (run / "preview.png").exists()
    control.write_command(run, preview_until=time.time() + PATIENCE)
    wait_for((run / "preview.png").exists)
    step = wait_for(lambda: control.read_status(run).preview)
    assert (run / "preview.png").read_bytes().startswith(b"\x89PNG")
    wait_for(lambda: control.read_status(run).preview not in (None, step))
    control.write_command(run, want="stop")
    process.wait(PATIENCE)
    assert not (run / "preview.png").exists()
    assert control.read_status(run).preview is None


@pytest.mark.parametrize("name", ["status.json", "control.json"])
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*control.RunStatus.__dataclass_fields__, "want", "preview_until"]),
                inner,
                max_size=12,
            )
        ),
        max_leaves=20,
    )
)
def test_a_damaged_file_counts_as_missing_or_is_of_the_right_types(tmp_path_factory, name, content):
    folder = tmp_path_factory.mktemp("run")
    (folder / name).write_text(json.dumps(content))
    status, command = control.read_status(folder), control.read_command(folder)
    assert status is None or isinstance(status.step, int)
    assert command.want in ("run", "pause", "stop")
    assert isinstance(command.sequence, int)


def test_commands_are_counted_and_what_is_not_said_stays(tmp_path):
    first = control.write_command(tmp_path, want="pause")
    second = control.write_command(tmp_path, preview_until=5.0)
    third = control.write_command(tmp_path, want="run")
    assert [c.sequence for c in (first, second, third)] == [1, 1, 2]
    assert second.want == "pause"
    assert third.preview_until == 5.0
    assert control.read_command(tmp_path) == third

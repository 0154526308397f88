"""kill -9 at random moments, twenty times, also during a save: the run ends with the same bits.

Signals that ask a run to stop: it saves, says why and how to resume, and exits with 130.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

import ganvas
import tiny
from ganvas.training import checkpoint

STEPS = 1500
SETTINGS = {"checkpoint_interval": 3, "log_interval": 10, "grid.interval": 50}


pytestmark = pytest.mark.timeout(3600)  # progress bounds the waits below: a slow machine is no failure


@pytest.fixture
def start():
    """Start ganvas in a process group of its own; whatever is still alive after the test is killed."""
    processes = []
    # A handler becomes the default in the child; ignored signals, as under nohup, would stay ignored.
    before = {n: signal.signal(n, signal.default_int_handler) for n in (signal.SIGINT, signal.SIGHUP)}

    def start(words):
        command = [sys.executable, "-m", "ganvas", *words, "--quiet", "--device", "cpu"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        kill(process)
    for number, handler in before.items():
        signal.signal(number, handler)


def kill(process):
    """Kill the process and its children, wait for it and close its pipes."""
    if process.returncode is None:  # not reaped, so the group's id is still its own
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def newest_step(run):
    """The newest saved step, 0 if there is none."""
    return max(checkpoint.saved_steps(run / "checkpoints"), default=0)


def wait_for_progress(process, run, beyond):
    """Wait until the process has saved a step of its own, so that each kill finds it at work."""
    while process.poll() is None and newest_step(run) <= beyond:
        time.sleep(0.005)


def wait_for_a_save(process, run):
    """Wait until a save is under way; give up after five more checkpoints without catching one."""
    last = newest_step(run) + 5 * SETTINGS["checkpoint_interval"]
    while process.poll() is None and newest_step(run) < last:
        for _ in range(100):
            if list((run / "checkpoints").glob(".partial-*")):
                return


def test_a_run_killed_twenty_times_resumes_to_the_same_bits(tmp_path, start):
    data = tiny.data_file(tmp_path)
    how = {"overrides": SETTINGS, "data": data, "clusters": 3}
    whole = tiny.train(tmp_path, "tutorial-dcgan", steps=STEPS, name="whole", **how)
    run, rng = tmp_path / "killed", random.Random(0)
    words = ["train", "tutorial-dcgan", "--data", str(data), "--out", str(run), "--steps", str(STEPS)]
    words += ["--clusters", "3"]
    words += tiny.words("tutorial-dcgan", SETTINGS)
    process, kills, during_save, reached = start(words), 0, 0, 0
    while kills < 20:
        wait_for_progress(process, run, reached)
        time.sleep(rng.uniform(0, 0.15))
        if kills % 2:  # every other time, wait for a save to be under way
            wait_for_a_save(process, run)
        assert process.poll() is None, process.communicate()[1]
        kill(process)
        kills += 1
        during_save += bool(list((run / "checkpoints").glob(".partial-*")))
        reached = newest_step(run)
        process = start(["resume", str(run)])
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    killed = ganvas.open_run(run)
    assert during_save > 0
    assert killed.step == STEPS
    assert tiny.weights(killed) == tiny.weights(whole)
    steps = [line["step"] for line in killed.history()]
    assert steps == list(range(10, STEPS + 1, 10))
    for ours, theirs in zip(whole.directory.sample_files(), killed.directory.sample_files(), strict=True):
        assert ours.name == theirs.name
        assert ours.read_bytes() == theirs.read_bytes()
    assert not list(killed.directory.checkpoints.glob(".partial-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_run_and_prints_the_command_to_resume(tmp_path, start, number):
    data, run = tiny.data_file(tmp_path), tmp_path / "run"
    whole = tiny.train(tmp_path, "mlp", steps=300, name="whole", data=data)
    words = ["train", "mlp", "--data", str(data), "--out", str(run), "--steps", "100000"]
    words += tiny.words("mlp")
    process = start(words)
    while process.poll() is None and not (run / "metrics.jsonl").exists():
        time.sleep(0.01)
    for _ in range(2):  # as `timeout` and a shell that closes send it: that is no second Ctrl-C
        process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"ganvas resume {run}" in errors
    stopped = ganvas.open_run(run).step
    assert stopped > 0
    reason = "Ctrl-C" if number == signal.SIGINT else number.name
    assert f"stopped by {reason} at step {stopped} of 100000" in errors
    assert ganvas.open_run(run).history()[-1]["stopped"] == reason
    ganvas.resume(run, steps=max(300, stopped + 1), quiet=True)
    if stopped < 300:
        assert tiny.weights(ganvas.open_run(run)) == tiny.weights(whole)

"""kill -9 at random moments, twenty times, also during a save: the run ends with the same bits."""

import os
import random
import signal
import subprocess
import sys
import time

import ganvas
import tiny
from ganvas.training import checkpoint

STEPS = 1500
SETTINGS = {"checkpoint_every": 3, "log_every": 10, "grid.every": 50}


def start(words):
    command = [sys.executable, "-m", "ganvas", *words, "--quiet", "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_progress(process, run, beyond):
    """Wait until the process has saved a step of its own, so that each kill finds it at work."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any(step > beyond for step in checkpoint.steps_saved(run / "checkpoints")):
            return
        time.sleep(0.005)


def test_a_run_killed_twenty_times_resumes_to_the_same_bits(tmp_path):
    data = tiny.data_file(tmp_path)
    how = {"settings": SETTINGS, "data": data, "clusters": 3}
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
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and not list((run / "checkpoints").glob(".partial-*")):
                pass
        assert process.poll() is None, process.communicate()[1]
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        during_save += bool(list((run / "checkpoints").glob(".partial-*")))
        reached = max(checkpoint.steps_saved(run / "checkpoints"), default=0)
        process = start(["resume", str(run)])
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    killed = ganvas.open(run)
    assert during_save > 0
    assert killed.step == STEPS
    assert tiny.weights(killed) == tiny.weights(whole)
    steps = [line["step"] for line in killed.metrics()]
    assert steps == list(range(10, STEPS + 1, 10))
    for ours, theirs in zip(whole.directory.sample_files(), killed.directory.sample_files(), strict=True):
        assert ours.name == theirs.name
        assert ours.read_bytes() == theirs.read_bytes()
    assert not list(killed.directory.checkpoints.glob(".partial-*"))


def test_ctrl_c_saves_and_prints_the_command_to_go_on(tmp_path):
    data, run = tiny.data_file(tmp_path), tmp_path / "run"
    whole = tiny.train(tmp_path, "mlp", steps=300, name="whole", data=data)
    words = ["train", "mlp", "--data", str(data), "--out", str(run), "--steps", "100000"]
    words += tiny.words("mlp")
    process = start(words)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (run / "metrics.jsonl").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"ganvas resume {run}" in errors
    stopped = ganvas.open(run).step
    assert stopped > 0
    ganvas.resume(run, steps=max(300, stopped + 1), quiet=True)
    if stopped < 300:
        assert tiny.weights(ganvas.open(run)) == tiny.weights(whole)

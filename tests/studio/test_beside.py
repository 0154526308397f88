"""`ganvas train --studio`: a studio for the run, opened in the browser, that ends when it should."""

import http.client
import json
import os
import pty
import signal
import stat
import subprocess
import sys

import psutil
import pytest
from studio_process import StudioProcess, wait_for

import tiny
from ganvas.studio.server import running_studio


@pytest.fixture
def train(tmp_path):
    """Start `ganvas train --studio` with a browser that writes the address into a file."""
    browser, data, processes = tmp_path / "browser", tiny.data_file(tmp_path), []
    browser.write_text(
        f'#!/bin/sh\necho "$1" > "{tmp_path}/part" && mv "{tmp_path}/part" "{tmp_path}/opened"\n'
    )
    browser.chmod(0o755)

    def start(steps, **more):
        out = str(tmp_path / "runs" / "first")
        command = ["train", "mlp", "--data", str(data), "--out", out, *tiny.words("mlp"), "--quiet"]
        process = subprocess.Popen(
            [sys.executable, "-m", "ganvas", *command, "--steps", str(steps), "--studio"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": str(browser)},
            **{"stdin": subprocess.DEVNULL, **more},
        )  # fmt: skip
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def opened(folder):
    file = folder / "opened"
    wait_for(file.exists)
    return file.read_text().strip()


def server_of(root):
    """The process of the studio that serves `root`: it is recorded a moment after its address is printed."""
    wait_for(lambda: running_studio(root))
    return psutil.Process(json.loads((root / ".studio" / "server.json").read_text())["pid"])


def card(address):
    """The run that the page at this address would show."""
    host, _, rest = address.removeprefix("http://").partition("/#token=")
    token, _, page = rest.partition("&/run/")
    identifier, _, view = page.partition("/")
    assert view == "live"
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", f"/api/runs/{identifier}", headers={"X-Ganvas-Token": token})
    result = json.loads(connection.getresponse().read())["card"]
    connection.close()
    return result


def test_the_page_of_the_run_is_opened_and_its_studio_ends_with_the_training(train, tmp_path):
    process, address = train(1_000_000)
    assert opened(tmp_path) == address
    assert card(address)["name"] == "first"
    assert card(address)["state"] == "running"
    record = tmp_path / "runs" / ".studio" / "server.json"
    server = server_of(tmp_path / "runs")
    assert address.startswith(running_studio(tmp_path / "runs"))
    if os.name == "posix":
        assert stat.S_IMODE(record.stat().st_mode) == 0o600
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert not server.is_running()
    assert not record.exists()


def test_a_studio_that_runs_for_the_folder_is_used_and_stays(train, tmp_path):
    studio = StudioProcess(tmp_path / "runs")
    studio.get("/api/about")
    wait_for(lambda: running_studio(tmp_path / "runs"))
    process, address = train(2)
    assert address.startswith(f"{studio.url}&/run/")
    assert process.wait(60) == 0
    assert opened(tmp_path) == address
    assert card(address)["state"] == "finished"
    assert studio.stop() == 0


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
def test_in_a_terminal_the_studio_stays_until_ctrl_c(train, tmp_path):
    ours, theirs = pty.openpty()
    process, address = train(2, stdin=theirs)
    assert "Ctrl-C closes the studio" in process.stdout.readline()
    assert card(address)["state"] == "finished"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert running_studio(tmp_path / "runs") is None
    for end in (ours, theirs):
        os.close(end)


def test_a_killed_training_takes_its_studio_along(train, tmp_path):
    process, address = train(1_000_000)
    assert opened(tmp_path) == address
    server = server_of(tmp_path / "runs")
    process.kill()
    server.wait(60)


@pytest.mark.parametrize("planted", ["pid", "started", "url", "junk", "link"])
def test_a_record_that_is_not_of_a_running_studio_of_this_machine_is_not_believed(tmp_path, planted):
    file = tmp_path / ".studio" / "server.json"
    file.parent.mkdir()
    url = f"http://127.0.0.1:8265/#token={64 * 'a'}"
    values = {"pid": os.getpid(), "started": psutil.Process().create_time(), "url": url}
    file.write_text(json.dumps(values))
    assert running_studio(tmp_path) == url
    changed = {"pid": -1, "started": 1.0, "url": "http://evil.test/#token=" + 64 * "a"}
    if planted in changed:
        file.write_text(json.dumps({**values, planted: changed[planted]}))
    elif planted == "junk":
        file.write_bytes(b"[\xff" * 1000)
    else:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    assert running_studio(tmp_path) is None

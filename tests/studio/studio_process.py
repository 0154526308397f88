"""A studio's server process, and a client that speaks plain HTTP."""

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from waiting import PATIENCE, wait_for

__all__ = ["PATIENCE", "StudioProcess", "wait_for"]


@dataclass
class Answer:
    """A response: `json` is its content, where that is JSON."""

    status: int
    headers: dict
    content: bytes

    @property
    def json(self):
        return json.loads(self.content)


class StudioProcess:
    """`ganvas studio` in a process of its own."""

    def __init__(self, root):
        self.root, self._streams = Path(root), []
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ganvas", "studio", str(root), "--port", "0", "--no-browser"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.url = self.process.stdout.readline().strip()
        address, _, self.token = self.url.partition("/#token=")
        self.host = address.removeprefix("http://")

    def connect(self):
        return http.client.HTTPConnection(self.host, timeout=PATIENCE)

    def request(self, method, path, body=None, headers=None, *, token=True):
        """One request; `headers` replace the usual ones."""
        connection = self.connect()
        sent = {"X-Ganvas-Token": self.token} if token else {}
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        try:
            connection.request(method, path, content, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def run_id(self, name):
        runs = self.get("/api/runs").json["runs"]
        return next(run["id"] for run in runs if run["name"] == name)

    def events(self, run, offset=0):
        """The run's events, (id, name, data), until the connection is closed by `close`."""
        connection = self.connect()
        connection.request(
            "GET", f"/api/runs/{run}/events?offset={offset}", headers={"X-Ganvas-Token": self.token}
        )
        response = connection.getresponse()
        assert response.status == 200
        self._streams.append(EventStream(connection, response))
        return self._streams[-1]

    def stop(self):
        """Ctrl-C; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE)
        finally:
            for stream in self._streams:
                stream.close()
            self.process.kill()
            self.process.stdout.close()
            self.process.stderr.close()


class EventStream:
    """Server-sent events, read one by one."""

    def __init__(self, connection, response):
        self._connection, self._response = connection, response

    def __iter__(self):
        fields = {}
        while line := self._response.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                continue
            if not text and fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}
            elif text:
                name, _, value = text.partition(": ")
                fields[name] = value

    def until(self, accept):
        """All events up to the first that `accept(name, data)` accepts."""
        events = []
        for event in self:
            events.append(event)
            if accept(*event[1:]):
                return events
        raise AssertionError(f"the stream ended: {events}")

    def close(self):
        self._response.close()
        self._connection.close()

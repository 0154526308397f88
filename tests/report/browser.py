"""A real, headless Chromium, driven by its DevTools protocol over a pair of pipes.

A pipe needs no port, no websocket and no driver: messages are JSON, each ended by a zero byte, on the
file descriptors 3 (to the browser) and 4 (from it), where --remote-debugging-pipe looks for them.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--force-color-profile=srgb", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60  # seconds for an answer, on a busy machine too


def find_browser():
    """The browser on this machine, or None; pipes by descriptor are POSIX's."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


class Browser:
    """One browser with one page; `with Browser() as browser`."""

    def __enter__(self):
        import fcntl  # Windows has none, and no such pipes

        self._profile = tempfile.mkdtemp(prefix="ganvas-browser-")
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()
        # The shell puts the ends at 3 and 4; they come by other numbers, so that neither treads on the other.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, from_write)]
        moved = 'exec "$@" 3</dev/fd/{} 4>/dev/fd/{}'.format(*high)
        words = [find_browser(), *FLAGS, f"--user-data-dir={self._profile}"]
        self._process = subprocess.Popen(
            ["sh", "-c", moved, "sh", *words],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (to_read, from_write, *high):
            os.close(end)
        self._numbers, self._buffer, self.events = itertools.count(1), b"", []
        page = self._ask("Target.createTarget", url="about:blank")["targetId"]
        how = {"targetId": page, "flatten": True}
        self._session = self._ask("Target.attachToTarget", **how)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            os.close(self._to)
        os.close(self._from)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def ask(self, method, **values):
        """Send a command to the page and return its answer."""
        return self._ask(method, self._session, **values)

    def open(self, path, width=1100, height=900, dark=False):
        """Load a file of this disk in a window of that size and wait until it has loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self._until(lambda: any(e["method"] == "Page.loadEventFired" for e in self.events))

    def run(self, script):
        """The value of an expression in the page (awaited, if it is a promise)."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, script, seconds=PATIENCE):
        """Wait until an expression is true in the page."""
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {script}")
            time.sleep(0.03)

    def middle(self, selector, across=0.5):
        """The position of an element in the window, after scrolling to it; `across` its width."""
        script = f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "center"}});
            const box = element.getBoundingClientRect();
            return [box.left + {across} * box.width, box.top + box.height / 2];
        }})()"""
        return self.run(script)

    def point(self, selector, across=0.5):
        """Move the mouse onto an element."""
        x, y = self.middle(selector, across)
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector, across=0.5):
        """Click an element with the mouse."""
        x, y = self.middle(selector, across)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        """Press and release a key, as "ArrowLeft"."""
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Escape": 27}[key]
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path, whole=True):
        """Write a PNG of the page."""
        content = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(content))

    def addresses(self):
        """Where the page has asked for something, data: addresses left out."""
        self.run("1")  # what was asked for before has been reported by now
        asked = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [a["request"]["url"] for a in asked if not a["request"]["url"].startswith("data:")]

    def complaints(self):
        """Exceptions, console errors and warnings, violations of the page's policy."""
        self.run("1")
        problems = [e["params"] for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        for event in self.events:
            if event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in (
                "error",
                "warning",
            ):
                problems.append(event["params"])
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in (
                "error",
                "warning",
            ):
                problems.append(event["params"]["entry"]["text"])
        return problems

    def _ask(self, method, session=None, **values):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": values}
        if session:
            message["sessionId"] = session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._to, content) :]
        answers = []
        self._until(lambda: answers, lambda m: answers.append(m) if m.get("id") == number else None)
        if "error" in answers[0]:
            raise AssertionError(f"{method}: {answers[0]['error']}")
        return answers[0]["result"]

    def _until(self, done, heard=lambda _message: None):
        end = time.monotonic() + PATIENCE
        while not done():
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"the browser was silent for {PATIENCE} s")
            content = os.read(self._from, 1 << 20)
            if not content:
                raise AssertionError("the browser has ended")
            *messages, self._buffer = (self._buffer + content).split(b"\0")
            for message in map(json.loads, messages):
                heard(message)
                if "method" in message:
                    self.events.append(message)

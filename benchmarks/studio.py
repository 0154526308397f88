"""The studio's times: address, first paint, a new grid on the screen, drag to image; what it costs training.

    python benchmarks/studio.py RUNS_DIR RUN [--rounds 5] [--drags 60] [--browser /usr/bin/chromium]

RUN is a finished run in RUNS_DIR. Needs playwright and a Chromium. A run of the bundled digits trains for the
times of grids; the cost is a paired ratio of images/s: with and without previews, in turn, by a run that
somebody watches half of the time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganvas.evaluation.history import History
from ganvas.runs.control import read_status, write_command

WATCHED, ALONE = 8.0, 8.0  # seconds of each half of a round


@contextmanager
def server(runs: Path) -> Iterator[tuple[str, float]]:
    """A studio: its address, and the seconds until it was printed."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "ganvas", "studio", str(runs), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait()


def ask(url: str, path: str) -> Any:
    """The answer of the interface."""
    host, _, token = url.removeprefix("http://").partition("/#token=")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", path, headers={"X-Ganvas-Token": token})
    try:
        return json.load(connection.getresponse())
    finally:
        connection.close()


@contextmanager
def training(folder: Path) -> Iterator[Path]:
    """A run of the bundled digits that trains until the end of the block."""
    run = folder / "digits"
    words = [
        "train",
        "--data",
        "mnist-5k",
        "--budget",
        "1h",
        "--out",
        str(run),
        "--set",
        "scores=null",
        "--quiet",
    ]
    process = subprocess.Popen([sys.executable, "-m", "ganvas", *words, "--set", "grid.interval=100"])
    try:
        while (status := read_status(run)) is None or status.step < 50:
            time.sleep(0.1)
        yield run
    finally:
        process.kill()
        process.wait()


def cost(run: Path, rounds: int) -> list[float]:
    """Images/s with previews over images/s without, for each round."""
    ratios = []
    for _ in range(rounds):
        speeds = []
        for seconds, until in ((ALONE, 0.0), (WATCHED, time.time() + ALONE + WATCHED + 1)):
            write_command(run, preview_until=until)
            time.sleep(1)  # until the process has looked
            begin = len(History.read(run / "metrics.jsonl").records)
            time.sleep(seconds)
            records = History.read(run / "metrics.jsonl").records[begin:]
            images = records[-1]["images_seen"] - records[0]["images_seen"]
            speeds.append(images / (records[-1]["seconds"] - records[0]["seconds"]))
        ratios.append(speeds[1] / speeds[0])
    return ratios


def percentiles(seconds: list[float]) -> str:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    middle = statistics.median(ordered)
    return f"median {1000 * middle:.0f} ms, 95th percentile {1000 * last:.0f} ms, n {len(ordered)}"


def first_paint(browser: Any, url: str, rounds: int) -> list[float]:
    """Seconds from opening the address to the first contentful paint of a new page."""
    times = []
    for _ in range(rounds):
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("main")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        times.append(page.evaluate(entry) / 1000)
        page.close()
    return times


def new_grids(browser: Any, url: str, run: Path, identifier: str, count: int) -> list[float]:
    """Seconds from the file of a new grid to it, or a newer preview, on the page."""
    page = browser.new_page()
    page.goto(f"{url}&/run/{identifier}/live")
    page.wait_for_selector("canvas[data-image]")
    times = []
    for _ in range(count):
        known = set((run / "samples").iterdir())
        while not (new := set((run / "samples").iterdir()) - known):
            time.sleep(0.01)
        file = new.pop()
        while _step_on_screen(page) < int(file.stem):
            time.sleep(0.02)
        times.append(time.time() - file.stat().st_mtime)
    page.close()
    return times


def _step_on_screen(page: Any) -> int:
    """The step of the image that the page shows."""
    path = page.evaluate("document.querySelector('canvas[data-image]').dataset.image")
    return int(re.findall(r"\d+", path.rpartition("/")[2])[-1])


def drags(browser: Any, url: str, identifier: str, count: int) -> list[float]:
    """Seconds of each request for images while the plane is dragged."""
    page = browser.new_page()
    page.goto(f"{url}&/run/{identifier}/explore")
    with page.expect_response(lambda r: r.url.endswith("/generate"), timeout=60_000):
        page.wait_for_selector("canvas")
    page.wait_for_timeout(3000)
    times: list[float] = []
    page.on(
        "requestfinished",
        lambda r: times.append(r.timing["responseEnd"] / 1000) if "generate" in r.url else None,
    )
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    for number in range(count):
        page.mouse.move(box["x"] + 300 + 3 * number, box["y"] + 300 + 2 * number)
        page.wait_for_timeout(16)
    page.mouse.up()
    page.wait_for_timeout(2000)
    page.close()
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drags", type=int, default=60)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    a = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=a.browser, args=["--no-sandbox"])
        with server(a.runs) as (url, seconds):
            print(f"address printed   {1000 * seconds:.0f} ms")
            print(f"first paint       {percentiles(first_paint(browser, url, a.rounds))}")
            cards = ask(url, "/api/runs")["runs"]
            identifier = next(card["id"] for card in cards if card["name"] == a.run)
            print(f"drag to images    {percentiles(drags(browser, url, identifier, a.drags))}")
        with tempfile.TemporaryDirectory() as folder, training(Path(folder)) as run:
            with server(Path(folder)) as (url, _):
                identifier = ask(url, "/api/runs")["runs"][0]["id"]
                print(
                    f"grid to screen    {percentiles(new_grids(browser, url, run, identifier, 2 * a.rounds))}"
                )
            time.sleep(6)  # until nobody watches
            ratios = cost(run, a.rounds)
            print(
                f"cost to training  {1 - statistics.median(ratios):.1%} (of {len(ratios)} rounds: "
                f"{1 - max(ratios):.1%} to {1 - min(ratios):.1%})"
            )
        browser.close()


if __name__ == "__main__":
    main()

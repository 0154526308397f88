"""Take the pictures of docs/studio.md: every page of the studio over real runs, and a run as it trains.

    python scripts/studio_screenshots.py RUNS_DIR RUN [--browser BROWSER] [--out docs/gallery/studio]

RUN is a finished, scored run in RUNS_DIR; all runs there are compared. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

from ganvas.studio.library import Library, run_id

WIDTH, HEIGHT = 1280, 860
FRAMES, SECONDS = 24, 45.0  # of the GIF, and of the training that it shows
PAGES = ("live", "explore", "slow", "draw", "eye")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("run")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery/studio"))
    a = parser.parse_args()
    from playwright.sync_api import sync_playwright

    a.out.mkdir(parents=True, exist_ok=True)
    root = a.runs.resolve()
    words = [sys.executable, "-m", "ganvas", "studio", str(root), "--no-browser", "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=a.browser, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1)
            page.goto(url)
            live_gif(page, root, a.out / "live.gif")
            cards = {card["name"]: card["id"] for card in Library(root).cards()}
            show(page, "#/", 3)
            take(page, a.out / "runs.png")
            show(page, "#/new", 12)
            take(page, a.out / "new.png")
            for name in PAGES:
                show(page, f"#/run/{cards[a.run]}/{name}", 12)
                prepare(page, name)
                take(page, a.out / f"{name}.png")
            show(page, f"#/compare?ids={','.join(cards.values())}", 6)
            take(page, a.out / "compare.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def show(page: Any, address: str, seconds: float) -> None:
    """Open a view, and let it settle."""
    page.evaluate(f"location.hash = {address!r}")
    page.wait_for_timeout(1000 * seconds)


def prepare(page: Any, name: str) -> None:
    """What a person would do on a page before it is worth a picture."""
    if name == "explore":
        box = page.locator("canvas").first.bounding_box()
        for x, y in ((100, 100), (300, 220), (520, 400)):
            page.mouse.click(box["x"] + x, box["y"] + y)
            page.wait_for_timeout(700)
        page.get_by_role("button", name="Find directions").click()
        page.wait_for_timeout(15_000)
    elif name == "slow":
        page.get_by_role("button", name="Both × 10").click()
        page.wait_for_timeout(5_000)
    elif name == "draw":
        box = page.locator("canvas").first.bounding_box()
        points = [(0.32, 0.28), (0.68, 0.28), (0.6, 0.45), (0.5, 0.62), (0.42, 0.8)]
        page.mouse.move(box["x"] + points[0][0] * box["width"], box["y"] + points[0][1] * box["height"])
        page.mouse.down()
        for right, down in points[1:]:
            page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"], steps=8)
        page.mouse.up()
        page.wait_for_timeout(12_000)


def take(page: Any, path: Path) -> None:
    """A screenshot in 256 colors: pages are flat, and docs should stay small."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1024} KiB")


def live_gif(page: Any, root: Path, path: Path) -> None:
    """The live page while a run of the bundled digits trains."""
    run = root / "live"
    words = ["train", "--data", "mnist-5k", "--budget", "1m", "--out", str(run), "--quiet", "--overwrite"]
    process = subprocess.Popen([sys.executable, "-m", "ganvas", *words])
    try:
        while not (run / "status.json").exists():
            time.sleep(0.2)
        show(page, f"#/run/{run_id(run, root)}/live", 4)
        frames = []
        for _ in range(FRAMES):
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            frames.append(picture.resize((WIDTH * 5 // 8, HEIGHT * 5 // 8), Image.Resampling.LANCZOS))
            page.wait_for_timeout(1000 * SECONDS / FRAMES)
    finally:
        process.terminate()
        process.wait()
    shutil.rmtree(run)
    small = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames]
    small[0].save(path, save_all=True, append_images=small[1:], duration=350, loop=0, optimize=True)
    print(f"{path}  {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()

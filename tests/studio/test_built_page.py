"""The built page of the studio belongs to its sources."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ganvas.studio

STATIC = Path(ganvas.studio.__file__).with_name("static")
WEB = Path(__file__).parents[2] / "web"
SOURCES = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")


def digests(root: Path, paths: list[Path]) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_the_built_files_are_those_that_the_build_wrote() -> None:
    manifest = json.loads((STATIC / "manifest.json").read_text())
    built = [p for p in STATIC.rglob("*") if p.is_file() and p.name != "manifest.json"]
    assert digests(STATIC, built) == manifest["built"]


@pytest.mark.skipif(not WEB.is_dir(), reason="the sources of the page are in the repository only")
def test_the_page_was_built_from_the_sources_as_they_are() -> None:
    manifest = json.loads((STATIC / "manifest.json").read_text())
    sources = [WEB / name for name in SOURCES] + [p for p in (WEB / "src").rglob("*") if p.is_file()]
    assert digests(WEB, sources) == manifest["sources"], "run npm ci && npm run build in web/"


@pytest.mark.skipif(not WEB.is_dir(), reason="the sources of the page are in the repository only")
def test_every_text_has_the_same_values_in_both_languages() -> None:
    pair = re.compile(r'"([^"]+)": \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\]')
    texts = pair.findall((WEB / "src" / "strings.ts").read_text(encoding="utf-8"))
    assert len(texts) > 300
    for key, english, chinese in texts:
        assert english, key
        assert chinese, key
        # The number n chooses between one and other, which Chinese does not tell apart.
        values = [set(re.findall(r"\{(\w+)\}", text)) - {"n"} for text in (english, chinese)]
        assert values[0] == values[1], key


def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_code() -> None:
    page = (STATIC / "index.html").read_text()
    assert re.findall(r'(?:src|href)="([^"]+)"', page) == [
        "/static/favicon.svg",
        "/static/app.css",
        "/static/app.js",
    ]
    assert not re.search(r"<style|style=|\son\w+=|<script>", page)
    for path in STATIC.glob("*.js"):
        code = path.read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function\(|https?://(?!www\.w3\.org)", code), path.name


def test_the_scripts_stay_small() -> None:
    first = sum((STATIC / name).stat().st_size for name in ("app.js", "chunk.js"))
    assert first <= 90_000  # before the first page is there
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 220_000


@pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules").is_dir(),
    reason="needs node, and `npm ci` in web/",
)
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    web = shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    (web / "node_modules").symlink_to(WEB / "node_modules")
    subprocess.run(["node", web / "build.mjs"], check=True, timeout=120, stdout=subprocess.DEVNULL)
    again = tmp_path / "src" / "ganvas" / "studio" / "static"
    assert digests(again, list(again.iterdir())) == digests(STATIC, list(STATIC.iterdir()))

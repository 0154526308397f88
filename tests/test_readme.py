"""What the README promises about the tree."""

from pathlib import Path

import ganvas

ROOT = Path(__file__).parents[1]
SOURCE = Path(ganvas.__file__).parent


def test_the_readme_has_one_line_for_every_file_of_the_package():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    files = {p.relative_to(SOURCE).as_posix() for p in SOURCE.rglob("*.py") if p.name != "__main__.py"}
    assert {name for name in listed if name.endswith(".py")} == files


def test_every_picture_and_page_that_the_docs_show_is_there():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for part in page.read_text(encoding="utf-8").split("](")[1:]:
            target = part.split(")")[0]
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"

"""The README is for users: two screens, and nothing in it is a list of files."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_fits_two_screens():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 160

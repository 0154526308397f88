"""The benchmarks: what each would run can be run; the measurements themselves are not taken here."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.recipes import load_recipe
from ganvas.training.updates import make_update

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = sorted(p for p in FOLDER.glob("*.py") if "argparse" in p.read_text())


@pytest.fixture
def module(monkeypatch):
    """Import one by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_benchmark_says_what_it_takes(script):
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_option_that_a_benchmark_reads_is_one_that_it_takes(script):
    tree = ast.parse(script.read_text())
    taken, read = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            taken |= {name.lstrip("-").replace("-", "_") for name in names}
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "a":
            read.add(node.attr)
    assert read <= taken


def test_every_row_of_the_ladder_is_a_recipe(module):
    for overrides in module("ladder").ROWS.values():
        known = {key: value for key, value in overrides.items() if key != "classes" or value is not None}
        make_update(load_recipe("auto").with_overrides(known))  # its objective and penalties are registered


def test_every_augmentation_of_few_images_is_a_recipe(module):
    for augment in module("few").WAYS.values():
        assert load_recipe("auto").with_overrides({"augment": augment})

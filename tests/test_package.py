"""The package's front door: its names, and how little it takes to open."""

import subprocess
import sys
import time

import pytest

import ganvas

NAMES = [
    "GanvasError", "ImageSet", "Recipe", "Run", "compare", "evaluate", "fork", "load_dataset", "open_run",
    "plan", "register", "resume", "train",
]  # fmt: skip


def run(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_public_names_are_these():
    assert ganvas.__all__ == NAMES
    assert set(NAMES) <= set(dir(ganvas))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported_and_says_what_it_is(name):
    found = getattr(ganvas, name)
    assert callable(found) or name == "register"
    assert found.__doc__
    assert getattr(found, "__module__", found.__name__).startswith("ganvas")


def test_a_star_import_brings_the_public_names_alone():
    brought = {}
    exec("from ganvas import *", brought)
    assert set(brought) - {"__builtins__"} == set(NAMES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'ganvas' has no attribute 'trian'"):
        _ = ganvas.trian


@pytest.mark.parametrize(
    "code",
    [
        "import ganvas; dir(ganvas)",
        "from ganvas.cli.parser import build_parser; build_parser().format_help()",
        "import ganvas.cli; ganvas.cli.build_parser().parse_args(['train', 'mlp'])",
        "import ganvas.runs.directory, ganvas.evaluation.history",
    ],
)
def test_opening_the_door_imports_neither_torch_nor_numpy(code):
    done = run("-c", f"{code}; import sys; print(sorted({{'torch', 'numpy', 'PIL'}} & set(sys.modules)))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "name", ["register", "recipes", "recipes.schema", "recipes.presets.mlp", "networks", "errors"]
)
def test_recipes_can_be_read_without_torch(name):
    done = run("-c", f"import ganvas.{name}, sys; print('torch' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_version_is_told():
    done = run("-m", "ganvas", "--version")
    assert (done.stdout, done.returncode) == (f"ganvas {ganvas.__version__}\n", 0)


def test_help_comes_in_under_0_3_seconds():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        done = run("-m", "ganvas", "--help")
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert done.stdout.startswith("usage: ganvas")
    assert min(seconds) < 0.3

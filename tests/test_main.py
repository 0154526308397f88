"""The command itself: Ctrl-C before it has begun and after it has ended."""

import signal
import subprocess
import sys

import pytest

# Interrupts itself by a real signal, when a module is looked for.
WHILE_IMPORTED = """
import importlib.abc, os, runpy, signal, sys

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["ganvas", "recipes", "show", "mlp"]
runpy.run_module("ganvas", run_name="__main__")
"""
AT_THE_END = """
import atexit, os, runpy, signal, sys

atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["ganvas", "recipes", "show", "mlp"]
runpy.run_module("ganvas", run_name="__main__")
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def run(code, before=None):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=before
    )


@pytest.mark.parametrize("name", ["ganvas.cli", "ganvas.cli.options", "ganvas.errors"])
def test_ctrl_c_while_modules_are_imported_prints_no_traceback(name):
    done = run(WHILE_IMPORTED.format(name=name))
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ("", "")


def test_ctrl_c_while_a_command_runs_is_one_line():
    done = run(WHILE_IMPORTED.format(name="ganvas.recipes.presets.mlp"))
    assert done.returncode == 130
    assert (done.stdout, done.stderr) == ("", "ganvas: stopped\n")


def test_ctrl_c_when_a_command_has_ended_prints_no_traceback():
    done = run(AT_THE_END)
    assert done.returncode == -signal.SIGINT
    assert '"name": "mlp"' in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("code", [WHILE_IMPORTED.format(name="ganvas.cli"), AT_THE_END])
def test_a_command_in_the_background_ignores_ctrl_c(code):
    done = run(code, before=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert done.returncode == 0
    assert '"name": "mlp"' in done.stdout

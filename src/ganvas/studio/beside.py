"""`ganvas train --studio`: training with the studio open on the run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ganvas.callbacks.base import Callback, TrainingContext
from ganvas.errors import MachineError
from ganvas.runs.options import TrainOptions
from ganvas.runs.plan import TrainingPlan
from ganvas.runs.train import start
from ganvas.studio.library import DEPTH, run_id
from ganvas.studio.processes import DETACHED, PYTHON
from ganvas.studio.server import running_studio
from ganvas.utils.output import print_line

_PATIENCE = 10.0  # seconds in which a server has closed


def start_with_studio(plan: TrainingPlan, options: TrainOptions) -> None:
    """Train what was planned, with the studio open on it: one that runs for the folder, or one of its own.

    Its own ends with the training. In a terminal it stays open after the last step, until Ctrl-C, so that
    the page can be used; the run is complete then.

    Raises:
        MachineError: no server can be started; or as `start`.
    """
    path = plan.directory.path.parent.resolve() / plan.directory.path.name
    with _studio(path) as (root, url, process):
        address = f"{url}&/run/{run_id(path, root)}/live"
        print_line(address)
        start(plan, replace(options, callbacks=(*options.callbacks, _OpenPage(address))))
        if process is not None and sys.stdin is not None and sys.stdin.isatty():
            print_line("the run is complete; Ctrl-C closes the studio")
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()


class _OpenPage(Callback):
    """Opens the page in the browser when there is a run to be seen."""

    def __init__(self, address: str) -> None:
        self._address = address

    def on_start(self, context: TrainingContext) -> None:  # noqa: ARG002
        """Open it; a browser takes its time."""
        threading.Thread(target=webbrowser.open, args=(self._address,), daemon=True).start()


@contextlib.contextmanager
def _studio(path: Path) -> Iterator[tuple[Path, str, subprocess.Popen[str] | None]]:
    """The folder that a studio with this run serves, its address, and its process if started here."""
    for root in path.parents[:DEPTH]:
        if (url := running_studio(root)) is not None:
            yield root, url, None
            return
    root = path.parent
    process = subprocess.Popen(
        [*PYTHON, "ganvas.studio.server", str(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **DETACHED,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line.startswith("http"):
            raise MachineError(f"the studio cannot be started: {line or 'its process ended'}")
        yield root, line, process
    finally:
        process.stdin.close()  # its sign to end, as the death of this process would be
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

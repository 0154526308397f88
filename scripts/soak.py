"""Disturb training at random for some minutes, and check that every run resumes to the same bits.

    python scripts/soak.py [--minutes 30] [--seed 0] [--recipes NAME ...] [--kinds KIND ...] [--keep FOLDER]

A try trains a recipe for a few steps and disturbs it at a random moment: a signal, a full disk, a limit on
the size of files, a pipe whose reader closes, a second process. Then it resumes, disturbed again now and
then, until the run is complete, and checks that

- the checkpoint, the log, the grids and the scores equal those of an undisturbed run, bit by bit,
- every process ended with the exit code that docs/reliability.md promises, and printed no traceback,
- every file outside the run, and the user's own file inside it, is as it was.

Prints a table of recipes and kinds of disturbance, and exits with 1 if there was a fault. The folders of
tries with faults are kept. The same seed makes the same tries; the step that one hits depends on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import ganvas
from ganvas import recipes
from ganvas.evaluation.history import read_evaluation
from ganvas.training import checkpoint

STEPS, BATCH = 24, 8
SETTINGS = {
    "batch_size": BATCH, "checkpoint_interval": 2, "log_interval": 1, "grid.interval": 8,
    "scores": {"images": 24, "final": 24, "interval": 8},
}  # fmt: skip
AGAIN = 0.4  # probability that a resumed process is disturbed, too
MOST_PROCESSES = 12  # a try that needs more is a fault
DISK_BYTES = 48 * 2**20

# What a process that was disturbed may exit with; 0 where it was done before.
SIGNALS = {
    "SIGKILL": (-signal.SIGKILL, 0),
    "SIGTERM": (130, -signal.SIGTERM, 0),
    "SIGHUP": (130, -signal.SIGHUP, 0),
    "SIGINT": (130, -signal.SIGINT, 0),
}
KINDS = (*SIGNALS, "closed pipe", "two at once", "file size", "full disk")


class Fault(Exception):  # noqa: N818 - what a try finds
    """What was promised and did not happen."""


@dataclass
class Cell:
    """A cell of the table: one recipe and one kind of disturbance."""

    tries: int = 0
    same_bits: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.tries} / {self.same_bits} / {len(self.faults)}"


@dataclass(frozen=True)
class Try:
    """One try: its folder with data, files that must not change, and the run."""

    folder: Path
    recipe: str
    rng: random.Random
    seconds: float  # that an undisturbed run takes

    @property
    def run(self) -> Path:
        """The run directory; on a file system of its own where the disk is to be full."""
        return self.folder / "disk" / "run"

    def start(self, **how: Any) -> subprocess.Popen[bytes]:
        """Start training, or resume it if there is something to resume."""
        return subprocess.Popen(
            [sys.executable, "-m", "ganvas", *self.words()],
            cwd=self.folder, env=environment(self.folder), stdin=subprocess.DEVNULL, start_new_session=True,
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **how},
        )  # fmt: skip

    def words(self) -> list[str]:
        """The command line."""
        if (self.run / "run.json").exists():
            return ["resume", str(self.run)]
        return train_words(self.recipe, self.run)

    def disturb(self, kind: str) -> None:
        """Start a process, disturb it, and check how it ends."""
        if kind in SIGNALS:
            process = self.start()
            self._wait_for_a_moment(process)
            if process.poll() is None:
                os.killpg(process.pid, getattr(signal, kind))
            self._check_exit(process, SIGNALS[kind])
        elif kind == "closed pipe":
            process = self.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert process.stdout is not None
            process.stdout.read(self.rng.choice((0, 1, 100, 400)))
            process.stdout.close()
            process.stdout = None
            self._check_exit(process, (0,))
        elif kind == "two at once":
            processes = self.start(), self.start()
            for process in processes:
                self._check_exit(process, (0, 2))
            if all(process.returncode == 2 for process in processes):
                raise Fault("of two processes at once, none trained")
        elif kind == "file size":
            limit = int(10 ** self.rng.uniform(2.5, 6))
            self._check_exit(self.start(preexec_fn=lambda: limit_file_size(limit)), (0, 1))
        else:
            with small_disk(self.folder / "disk", int(10 ** self.rng.uniform(4, 6.7))):
                self._check_exit(self.start(), (0, 1))

    def _wait_for_a_moment(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a while after the run began, or after it saved another step."""
        if self.rng.random() < 0.5:
            moment, began = self.rng.uniform(0, self.seconds), time.monotonic()
            while process.poll() is None and time.monotonic() - began < moment:
                time.sleep(0.005)
        else:
            beyond = newest_step(self.run) + self.rng.randrange(STEPS // 2)
            while process.poll() is None and newest_step(self.run) <= beyond:
                time.sleep(0.002)
            time.sleep(self.rng.uniform(0, 0.1))
        while process.poll() is None and not (self.run / "run.json").exists():  # Python itself is starting
            time.sleep(0.005)

    def _check_exit(self, process: subprocess.Popen[bytes], expected: tuple[int, ...]) -> None:
        written = process.communicate()[1] or b""
        code, error = process.returncode, written.decode(errors="replace")
        if "Traceback" in error or "mistake in ganvas" in error:
            raise Fault(f"printed {last_line(error)!r}")
        if code not in expected:
            raise Fault(f"exit code {code}, expected one of {expected}: {last_line(error)!r}")
        if code in (1, 2) and not last_line(error).startswith("ganvas: "):
            raise Fault(f"exit code {code} without a line: {last_line(error)!r}")

    def complete(self, kind: str) -> None:
        """Resume until the run is complete, now and then disturbed once more."""
        for _ in range(MOST_PROCESSES):
            if self.rng.random() < AGAIN:
                self.disturb(kind)
                continue
            process = self.start()
            self._check_exit(process, (0,))
            return
        raise Fault(f"not complete after {MOST_PROCESSES} processes")


def train_words(recipe: str, run: Path) -> list[str]:
    """The command line that trains a narrow version of a recipe."""
    changed = {**SETTINGS, **narrow(recipe)}
    words = ["train", recipe, "--data", "discs.npz", "--out", str(run), "--steps", str(STEPS)]
    words += ["--threads", "1", "--device", "cpu"]
    return words + [w for key, value in changed.items() for w in ("--set", f"{key}={json.dumps(value)}")]


def narrow(recipe: str) -> dict[str, Any]:
    """Overrides that give the networks of a recipe few channels."""
    values = json.loads(recipes.load_recipe(recipe).to_json())
    changed: dict[str, Any] = {}
    for network in ("generator", "discriminator"):
        spec = values[network]
        if "base_channels" in spec:
            changed[f"{network}.base_channels"] = 8
        if spec.get("hidden"):
            changed[f"{network}.hidden"] = [16]
        for i in range(len(spec.get("layers", ()))):
            changed[f"{network}.layers.{i}.channels"] = 8
    if recipe == "auto":  # its layers follow the images
        changed = {"generator.base_channels": 8, "discriminator.layers.0.channels": 8}
    if values.get("tensorboard"):
        changed["tensorboard"] = False
    return changed


def environment(folder: Path) -> dict[str, str]:
    """Variables of the processes: caches shared by all tries, a home directory of the try's own."""
    cache = folder.parent / "cache"
    return {**os.environ, "HOME": str(folder / "home"), "GANVAS_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}


def limit_file_size(count: int) -> None:
    """Let no file of this process become larger than `count` bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))


@contextmanager
def small_disk(folder: Path, free: int) -> Iterator[None]:
    """Within the context, the file system mounted at `folder` has `free` bytes besides what is in use."""
    remount(folder, min(shutil.disk_usage(folder).used + free, DISK_BYTES))
    try:
        yield
    finally:
        remount(folder, DISK_BYTES)


def remount(folder: Path, size: int, *, first: bool = False) -> None:
    """Mount a file system of `size` bytes in memory, or change its size."""
    options = f"size={size}" if first else f"remount,size={size}"
    command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def newest_step(run: Path) -> int:
    """The newest saved step, 0 if there is none."""
    return max(checkpoint.saved_steps(run / "checkpoints"), default=0)


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def result_of(run: Path) -> dict[str, Any]:
    """All that must be the same bits: by name, what it is or its hash. Times and paths are left out."""
    opened = ganvas.open_run(run)
    folder = opened.directory.checkpoints / f"{opened.step:08d}"
    files = [*sorted(folder.glob("*.safetensors")), *opened.directory.sample_files()]
    result: dict[str, Any] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    lines = [line for line in opened.history() if "stopped" not in line]  # which signals have come
    result["log"] = [{k: v for k, v in line.items() if "second" not in k} for line in lines]
    evaluation = read_evaluation(opened.directory.evaluation) or {}
    result["scores"] = {k: v for k, v in evaluation.items() if isinstance(v, int | float) and k != "seconds"}
    result["step"], result["notes"] = opened.step, opened.notes
    result["report"] = opened.directory.report.exists()
    return result


def snapshot(folder: Path, *more: Path) -> dict[str, bytes]:
    """Content of the files of a try that are not the run's, and of `more`, by path."""
    files = [p for p in folder.rglob("*") if p.is_file() and "disk" not in p.relative_to(folder).parts]
    return {str(p): p.read_bytes() for p in [*files, *more] if p.exists()}


def discs(count: int = 64, side: int = 12) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Bright discs on black: uint8 [count, 1, side, side]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    center, radius = rng.uniform(2, side - 2, (2, count, 1, 1)), rng.uniform(1.5, 4, (count, 1, 1))
    inside = (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2
    images: np.ndarray[Any, np.dtype[np.uint8]] = (inside * rng.integers(100, 256, (count, 1, 1))).astype(
        np.uint8
    )
    return images[:, None]


def make_folder(folder: Path) -> None:
    """A try's folder: data, files of the user's, an empty home."""
    (folder / "home").mkdir(parents=True)
    (folder / "disk").mkdir()
    (folder / "thesis").mkdir()
    np.savez(folder / "discs.npz", images=discs())
    (folder / "thesis" / "chapter.md").write_text("written by hand")


def run_try(
    folder: Path, recipe: str, kind: str, rng: random.Random, reference: dict[str, Any], seconds: float
) -> None:
    """One try; a `Fault` is what it finds."""
    make_folder(folder)
    before = snapshot(folder)
    attempt = Try(folder, recipe, rng, seconds)
    if kind == "full disk":
        remount(folder / "disk", DISK_BYTES, first=True)
    try:
        attempt.disturb(kind)
        mine = attempt.run / "notes.md"
        if (attempt.run / "run.json").exists():
            mine.write_text("the user's own")
            before[str(mine)] = mine.read_bytes()
        attempt.complete(kind)
        after = snapshot(folder, mine)
        if after != before:
            changed = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
            raise Fault(f"changed what is not the run's: {', '.join(changed)}")
        result = result_of(attempt.run)
        different = [name for name in {**reference, **result} if reference.get(name) != result.get(name)]
        if different:
            raise Fault(f"differs from an undisturbed run in {', '.join(sorted(different))}")
    finally:
        if kind == "full disk":
            command = [shutil.which("umount") or "umount", str(folder / "disk")]
            subprocess.run(command, check=True, capture_output=True)


def undisturbed(folder: Path, recipe: str) -> tuple[dict[str, Any], float]:
    """What an undisturbed run gives, and how long it takes."""
    make_folder(folder)
    began = time.monotonic()
    process = Try(folder, recipe, random.Random(0), 0).start()
    error = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"{recipe} does not train: {last_line(error.decode())}")
    return result_of(folder / "disk" / "run"), time.monotonic() - began


def soak(
    folder: Path, minutes: float, seed: int, names: Sequence[str], kinds: Sequence[str]
) -> dict[str, dict[str, Cell]]:
    """Tries of every recipe and kind in random order, until the time is over; one at least."""
    if os.getuid() != 0:
        kinds = [kind for kind in kinds if kind != "full disk"]  # only root may mount one
    table = {name: {kind: Cell() for kind in kinds} for name in names}
    end, rng = time.monotonic() + 60 * minutes, random.Random(seed)
    known = {name: undisturbed(folder / f"undisturbed-{name}", name) for name in names}
    order: list[tuple[str, str]] = []
    number = 0
    while number == 0 or time.monotonic() < end:
        if not order:
            order = [(name, kind) for name in names for kind in kinds]
            rng.shuffle(order)
        name, kind = order.pop()
        number += 1
        attempt, cell = folder / f"try-{number}", table[name][kind]
        cell.tries += 1
        try:
            run_try(attempt, name, kind, random.Random(f"{seed}/{number}"), *known[name])
        except Fault as fault:
            cell.faults.append(f"try {number}, {name}, {kind}: {fault} ({attempt})")
            print(f"FAULT {cell.faults[-1]}", flush=True)
        else:
            cell.same_bits += 1
            shutil.rmtree(attempt)
            print(f"try {number}: {name}, {kind}: the same bits", flush=True)
    return table


def print_table(table: dict[str, dict[str, Cell]], seed: int) -> int:
    """Print the table and the faults; return how many there are."""
    kinds = list(next(iter(table.values())))
    print(f"\nseed {seed}; tries / resumed to the same bits / faults")
    print(f"| recipe | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(str(cells[kind]) for kind in kinds)} |")
    every = [cell for cells in table.values() for cell in cells.values()]
    faults = [fault for cell in every for fault in cell.faults]
    tries, same = sum(cell.tries for cell in every), sum(cell.same_bits for cell in every)
    print(f"\n{tries} tries, {same} resumed to the same bits, {len(faults)} faults")
    print("\n".join(faults))
    return len(faults)


def main() -> None:
    """Soak, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    names = recipes.recipe_names()
    parser.add_argument("--recipes", nargs="+", default=names, choices=names, metavar="NAME")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, metavar="KIND")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where tries go; default: a temporary folder"
    )
    a = parser.parse_args()
    print(f"seed {a.seed}", flush=True)
    folder = a.keep or Path(tempfile.mkdtemp(prefix="ganvas-soak-"))
    table = soak(folder.resolve(), a.minutes, a.seed, a.recipes, a.kinds)
    faults = print_table(table, a.seed)
    if not faults and a.keep is None:
        shutil.rmtree(folder)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()

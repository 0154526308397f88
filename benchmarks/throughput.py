"""The same recipe in ganvas, in Keras/TensorFlow and in plain PyTorch, in turn, round after round.

    python -m venv /tmp/keras && /tmp/keras/bin/pip install tensorflow-cpu==2.21.0
    python benchmarks/throughput.py --keras /tmp/keras/bin/python [--recipes tutorial-dcgan ...] [--rounds 3]

Each contender runs alone in a process of its own, takes a few steps to warm up and is timed on the next; the
median step of a round counts. What is compared are ratios within a round: the machine is the same, and so is
its mood. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ganvas.utils import devices
from ganvas.utils.io import write_json

PEERS = Path(__file__).parent / "peers"
RECIPES = ("tutorial-dcgan", "keras-cnn", "mlp", "tf1-dcgan")


def timed(command: list[str]) -> dict[str, Any]:
    """Run a contender; its last line of output is JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def contenders(recipe: str, keras: str | None, steps: int, warmup: int) -> dict[str, list[str]]:
    """Commands by name."""
    tail = [recipe, str(steps), str(warmup)]
    commands = {
        f"ganvas {precision}": [sys.executable, str(PEERS / "ganvas_peer.py"), *tail, precision]
        for precision in (("fp32", "bf16") if devices.has_bf16() else ("fp32",))
    }
    commands["PyTorch"] = [sys.executable, str(PEERS / "torch_peer.py"), *tail]
    if keras:
        commands["Keras"] = [keras, str(PEERS / "keras_peer.py"), *tail]
    return commands


def measure(recipe: str, keras: str | None, rounds: int, steps: int, warmup: int) -> dict[str, Any]:
    """Median seconds a step of every contender in every round."""
    commands = contenders(recipe, keras, steps, warmup)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    versions = {}
    for number in range(rounds):
        order = list(commands) if number % 2 == 0 else list(reversed(commands))
        for name in order:
            result = timed(commands[name])
            versions[name] = result["version"]
            seconds[name].append(statistics.median(result["seconds"]))
            print(
                f"{recipe}  round {number + 1}  {name:<12} {seconds[name][-1]:.4f} s a step", file=sys.stderr
            )
    return {"recipe": recipe, "seconds": seconds, "versions": versions}


def lines(result: dict[str, Any]) -> list[str]:
    """Rows of the table: how many times as fast as each peer, lowest and highest round."""
    seconds = result["seconds"]
    rows = []
    for ours in (name for name in seconds if name.startswith("ganvas")):
        row = [result["recipe"], ours, f"{statistics.median(seconds[ours]):.3f} s"]
        for peer in ("Keras", "PyTorch"):
            if peer not in seconds:
                row.append("not run")
                continue
            ratios = sorted(theirs / own for theirs, own in zip(seconds[peer], seconds[ours], strict=True))
            middle = statistics.median(ratios)
            theirs = statistics.median(seconds[peer])
            row.append(f"{middle:.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f}; {theirs:.3f} s)")
        rows.append("| " + " | ".join(row) + " |")
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keras", metavar="PYTHON", help="the Python of an environment with TensorFlow")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("throughput.json"))
    a = parser.parse_args()
    import torch

    machine = devices.describe_machine(torch.device("cpu"))
    results = [measure(recipe, a.keras, a.rounds, a.steps, a.warmup) for recipe in a.recipes]
    write_json(a.out, {"machine": machine, "results": results})
    print(f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}\n")
    print("| recipe | | a step | against Keras | against plain PyTorch |\n|---|---|---|---|---|")
    for result in results:
        print("\n".join(lines(result)))


if __name__ == "__main__":
    main()

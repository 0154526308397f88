"""The engine: `python -m ganvas.studio.engine`, which generates images for the page.

It reads jobs from stdin, a JSON object a line, and writes for each a line of JSON with `bytes`, the number of
bytes that follow. It ends when its stdin does, so it never outlives the server.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

import ganvas
from ganvas.errors import GanvasError, MachineError, UserError, printable
from ganvas.runs import latents
from ganvas.runs.copies import NearestImages
from ganvas.runs.plan import estimated_seconds
from ganvas.runs.run import Run
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil

JSON = dict[str, Any]
Answer = tuple[JSON, bytes]

MAX_IMAGES = 1_024  # of one answer
_OPEN_RUNS = 8
_PREVIEW_COLUMNS, _PREVIEW_ROWS = 8, 4


class Engine:
    """The runs that are open, and a method for each kind of job."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._real: dict[str, NearestImages] = {}

    def answer(self, job: Mapping[str, Any]) -> Answer:
        """Do a job.

        Raises:
            GanvasError: it cannot be done.
        """
        kinds = {
            "generate": self.generate,
            "neighbors": self.neighbors,
            "directions": self.directions,
            "preview": preview_data,
        }
        torch.set_num_threads(int(job.get("threads", 1)))
        return kinds[job["kind"]](job)

    def generate(self, job: Mapping[str, Any]) -> Answer:
        """Images uint8 [N, H, W, C] of latent points."""
        run = self._run(job["run"])
        step = run.resolve_step(job.get("step"))
        points = read_points(run, job, step)
        images = latents.render(run, points, step)
        return {
            "shape": _shape(images),
            "step": step,
            "command": latents.shell_command(run, points, step),
            "python": latents.python_call(run, points, step),
        }, _bytes(images)

    def neighbors(self, job: Mapping[str, Any]) -> Answer:
        """The training images nearest to a generated one, and whether it is a copy of one."""
        run = self._run(job["run"])
        step = run.resolve_step(job.get("step"))
        image = latents.render(run, read_points(run, job, step), step)[:1]
        if job["run"] not in self._real:
            self._real = {job["run"]: NearestImages(run)}
        result = self._real[job["run"]].find(image[0])
        return {
            "distance": result.distance,
            "percentile": result.percentile,
            "copy": result.is_copy,
            "message": result.message,
            "distances": result.distances,
            "shape": _shape(result.images),
            "images": base64.b64encode(_bytes(result.images)).decode(),
        }, b""

    def directions(self, job: Mapping[str, Any]) -> Answer:
        """The directions that this run's latent space has been found to have."""
        run = self._run(job["run"])
        directions = latents.find_directions(run, run.resolve_step(job.get("step")))
        return {"directions": [{"name": d.name, "kind": d.kind, "r2": d.r2} for d in directions]}, b""

    def _run(self, path: str) -> Run:
        """The run, opened; again where it has been trained on or replaced since."""
        known = self._runs.get(path)
        run = Run.open(path)
        if known is not None and known.record == run.record and known.step == run.step:
            return known
        while len(self._runs) >= _OPEN_RUNS:
            self._runs.pop(next(iter(self._runs)))
        self._runs[path] = run
        self._real.pop(path, None)
        return run


def read_points(run: Run, job: Mapping[str, Any], step: int) -> latents.Points:
    """The points of latent space that a request names: seeds, blends of seeds, or a part of the plane.

    Raises:
        UserError: none of these, or too many.
    """
    try:
        if "plane" in job:
            part = job["plane"]
            columns, rows = int(part["columns"]), int(part["rows"])
            _check_count(columns * rows if min(columns, rows) > 0 else 0)
            x, y, spacing = (_finite(part[key]) for key in ("x", "y", "spacing"))
            blends = latents.plane(x, y, columns, rows, spacing)
        elif "blends" in job:
            blends = [
                {int(seed): _finite(weight) for seed, weight in blend.items()} for blend in job["blends"]
            ]
        else:
            blends = [{int(seed): 1.0} for seed in job["seeds"]]
        label = None if job.get("label") is None else int(job["label"])
        truncation = _finite(job.get("truncation", 1.0))
        directions = {str(k): _finite(v) for k, v in job.get("directions", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UserError("expected seeds, blends or plane, and numbers in them") from None
    _check_count(len(blends))
    return latents.Points.of(
        run, blends, label=label, truncation=truncation, directions=directions, step=step
    )


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not -1e9 < number < 1e9:
        raise ValueError
    return number


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_IMAGES:
        raise UserError(f"images {count}: expected 1 to {MAX_IMAGES}")


def preview_data(job: Mapping[str, Any]) -> Answer:
    """A data set's first look: some images, and what training on it would do."""
    options = {key: value for key, value in job["options"].items() if value is not None}
    plan = ganvas.plan(**options)
    images = plan.images
    rng = np.random.default_rng(0)
    count = min(_PREVIEW_COLUMNS * _PREVIEW_ROWS, len(images))
    rows = np.sort(rng.choice(len(images), count, replace=False))
    sheet = encode_png(to_pil(make_grid(np.asarray(images.images[rows]), _PREVIEW_COLUMNS)))
    recipe = plan.record.recipe
    return {
        "name": printable(images.name),
        "images": len(images),
        "image_shape": images.image_shape,
        "classes": images.num_classes,
        "class_names": [printable(name) for name in images.class_names[:200]],
        "source": printable(images.source),
        "note": printable(images.note),
        "notes": [printable(note) for note in plan.record.notes],
        "recipe": printable(recipe.name),
        "steps": plan.record.steps,
        "seconds": estimated_seconds(recipe, images.image_shape, plan.record),
        "preview": base64.b64encode(sheet).decode(),
    }, b""


def _shape(images: ImageArray) -> list[int]:
    count, channels, height, width = images.shape
    return [count, height, width, channels]


def _bytes(images: ImageArray) -> bytes:
    """Images uint8 [N, C, H, W] as bytes [N, H, W, C]."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).tobytes()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer job after job until `requests` ends."""
    engine = Engine()
    for line in requests:
        try:
            answer, content = engine.answer(json.loads(line))
        except UserError as error:
            answer, content = _failure("bad_request", error), b""
        except (GanvasError, MachineError) as error:
            answer, content = _failure("failed", error), b""
        except MemoryError:
            answer, content = {"code": "failed", "message": "the memory is full"}, b""
        answers.write(json.dumps(answer | {"bytes": len(content)}).encode() + b"\n" + content)
        answers.flush()


def _failure(code: str, error: Exception) -> JSON:
    """The error as the page shows it, with the form's field where the line begins with one."""
    message = printable(str(error))
    first = message.split(" ", 1)[0].rstrip(":")
    return {"code": code, "message": message, "field": first if first in FIELDS else None}


FIELDS: Sequence[str] = (
    "data", "recipe", "budget", "steps", "epochs", "clusters", "conditional", "seed", "size", "resize", "out",
)  # fmt: skip


def main() -> None:
    """Serve stdin; what libraries print goes nowhere, so that it cannot be taken for an answer."""
    answers = os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the life of the process
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()

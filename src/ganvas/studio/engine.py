"""The engine: `python -m ganvas.studio.engine`, which generates images for the page.

It reads jobs from stdin, a JSON object a line, and writes for each a line of JSON with `bytes`, the number of
bytes that follow. It ends when its stdin does, so it never outlives the server.
"""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

import ganvas
from ganvas.data.image_set import ImageSet
from ganvas.errors import DataError, GanvasError, MachineError, UserError, printable
from ganvas.runs import latents
from ganvas.runs.copies import NearestImages
from ganvas.runs.discriminate import discriminate
from ganvas.runs.inversion import project, saliency
from ganvas.runs.plan import estimated_seconds
from ganvas.runs.resume import reload_data
from ganvas.runs.run import Run
from ganvas.runs.slow_motion import SlowMotion, signed_map
from ganvas.utils import memory
from ganvas.utils.images import ImageArray, encode_png, make_grid, to_pil

JSON = dict[str, Any]
Answer = tuple[JSON, bytes]

MAX_IMAGES = 1_024  # of one answer
_OPEN_RUNS = 8
_SHOWN_LATENTS = 64  # numbers of z that are sent
_PREVIEW_COLUMNS, _PREVIEW_ROWS = 8, 4


class Engine:
    """The runs that are open, and a method for each kind of job."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._real: dict[str, NearestImages] = {}
        self._slow: tuple[tuple[str, int, int], SlowMotion] | None = None
        self._images: tuple[str, ImageSet] | None = None

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
            "slow": self.slow_motion,
            "project": self.project,
            "saliency": self.saliency,
            "quiz": self.quiz,
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
            "images": _encoded(result.images),
        }, b""

    def directions(self, job: Mapping[str, Any]) -> Answer:
        """The directions that this run's latent space has been found to have."""
        run = self._run(job["run"])
        directions = latents.find_directions(run, run.resolve_step(job.get("step")))
        return {"directions": [{"name": d.name, "kind": d.kind, "r2": d.r2} for d in directions]}, b""

    def slow_motion(self, job: Mapping[str, Any]) -> Answer:
        """A training step on eight real images, after some turns of D and G on a copy of the run."""
        run, turns, seed = self._run(job["run"]), str(job.get("turns", "")), whole(job.get("seed", 0), "seed")
        key = (job["run"], run.resolve_step(job.get("step")), seed)
        if self._slow is None or self._slow[0] != key:
            self._slow = (key, SlowMotion(run, key[1], seed))
        frame = self._slow[1].after(turns)
        parts = (frame.real, frame.fake, frame.real_gradient, frame.fake_gradient)
        return {
            "step": key[1],
            "turns": turns,
            "objective": run.recipe.objective,
            "z": frame.z[:, :_SHOWN_LATENTS].tolist(),
            "real_probability": frame.real_probability,
            "fake_probability": frame.fake_probability,
            "discriminator_loss": _or_none(frame.discriminator_loss),
            "generator_loss": _or_none(frame.generator_loss),
            "discriminator_norm": _or_none(frame.discriminator_norm),
            "generator_norm": _or_none(frame.generator_norm),
            "shape": _shape(frame.real),
            "images": [_encoded(part) for part in parts],
        }, b""

    def project(self, job: Mapping[str, Any]) -> Answer:
        """The image of the generator that is nearest to a drawing, or to a part of one."""
        run = self._run(job["run"])
        channels, height, width = run.record.data.image_shape
        target = _decoded(job.get("image"), (height, width, channels), "image").transpose(2, 0, 1)
        mask = None if job.get("mask") is None else _decoded(job["mask"], (height, width), "mask")
        start = job.get("start")
        label = None if job.get("label") is None else whole(job["label"], "label")
        result = project(
            run, np.ascontiguousarray(target), step=run.resolve_step(job.get("step")), label=label, mask=mask,
            start=None if start is None else torch.tensor(_numbers(start, "start")),
        )  # fmt: skip
        return {
            "z": result.z.tolist(),
            "label": result.label,
            "error": result.error,
            "shape": [1, height, width, channels],
            "image": _encoded(result.image[None]),
        }, b""

    def saliency(self, job: Mapping[str, Any]) -> Answer:
        """D's probabilities for generated images, and what of each decides it."""
        run = self._run(job["run"])
        step = run.resolve_step(job.get("step"))
        points = read_points(run, job, step)
        return self._judged(run, latents.render(run, points, step), step), b""

    def quiz(self, job: Mapping[str, Any]) -> Answer:
        """Real and generated images in a random order, with D's probabilities: you against D."""
        run, seed = self._run(job["run"]), whole(job.get("seed", 0), "seed")
        count, step = whole(job.get("count", 12), "count"), run.resolve_step(job.get("step"))
        _check_count(count)
        if self._images is None or self._images[0] != job["run"]:
            self._images = (job["run"], reload_data(run.record, None, memory.MMAP_THRESHOLD))
        data, rng = self._images[1], np.random.default_rng(seed)
        truth = rng.random(count) < 0.5  # whether each is real
        rows = np.sort(rng.choice(len(data), int(truth.sum())))
        images = np.asarray(run.sample(count, seed=seed, step=step)).copy()
        images[truth] = data.images[rows][rng.permutation(len(rows))]
        return {"real": truth.tolist(), **self._judged(run, images, step)}, b""

    def _judged(self, run: Run, images: ImageArray, step: int) -> JSON:
        logits = discriminate(run, images, step=step)
        return {
            "step": step,
            "probability": torch.tensor(logits).sigmoid().tolist(),
            "shape": _shape(images),
            "images": _encoded(images),
            "maps": _encoded(signed_map(saliency(run, images, step=step))),
        }

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


def whole(value: object, name: str) -> int:
    """The whole number from 0 on that `value` is.

    Raises:
        UserError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise UserError(f"{name}: expected a whole number from 0 on")
    return value


def _numbers(value: object, name: str) -> list[float]:
    try:
        return [_finite(x) for x in value]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise UserError(f"{name}: expected numbers") from None


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _encoded(images: ImageArray) -> str:
    return base64.b64encode(_bytes(images)).decode()


def _decoded(value: object, shape: tuple[int, ...], name: str) -> ImageArray:
    try:
        content = base64.b64decode(value, validate=True)  # type: ignore[arg-type]
        return np.frombuffer(content, np.uint8).reshape(shape)
    except (TypeError, ValueError):
        raise UserError(f"{name}: expected {math.prod(shape)} bytes of {list(shape)} in base64") from None


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
    field = first if first in FIELDS else "data" if isinstance(error, DataError) else None
    return {"code": code, "message": message, "field": field}


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

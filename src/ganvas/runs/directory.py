"""The run directory: where things lie in it, and `run.json`, which says what the run is.

    run.json            recipe, seed, data, machine, versions, command
    metrics.jsonl       one line a logged step
    samples/            grids of fixed z by step; the noise before training is step 0
    checkpoints/        see `ganvas.training.checkpoint`
    generators/         the generator alone, by epoch, where the recipe asks for it
    tensorboard/        where it was asked for
    clusters.safetensors  the cluster of each image, in a run conditioned on clusters
    animation.gif       all grids
    status.json         the process that trains it: state, step, speed (see `ganvas.runs.control`)
    control.json        what it is to do: run, pause or stop
    preview.png         its samples of right now, while somebody watches
    evaluation.json     the score of its best generator, see `ganvas evaluate`
    neighbors.png      its images closest to training images
    report.html         all of it on one page

A run directory is all that passes between training and everything after it. Nothing in it is code, and no
path in it needs to exist elsewhere: it can be moved to another machine.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, ValidationError, model_validator

from ganvas.errors import NewerFormatError, RunError
from ganvas.evaluation.history import History
from ganvas.networks import ImageShape
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe
from ganvas.runs.own_files import RECORD, check_all, check_kinds
from ganvas.utils.config import FrozenConfig
from ganvas.utils.io import read_regular, write_json

FORMAT = 2
MAX_RECORD_BYTES = 2**26  # 65,536 long class names fit
_LARGEST = 2**63 - 1

_PARTS_OF_A_RECORD = {
    "recipe": dict, "seed": int, "data": dict, "steps_per_epoch": int, "command": str, "created": str,
    "ganvas": str, "machine": dict,
}  # fmt: skip


def _check_shape(shape: ImageShape) -> ImageShape:
    channels, *sides = shape
    if channels not in (1, 3) or not all(8 <= side <= 256 for side in sides):
        raise ValueError("expected 1 or 3 channels and sides of 8 to 256 pixels")
    return shape


class DataRecord(FrozenConfig):
    """What a run was trained on."""

    requested: str
    name: str
    split: str
    size: int | None = None
    resize: str | None = None
    source: str
    fingerprint: str
    images: Annotated[PositiveInt, Field(le=_LARGEST)]
    image_shape: Annotated[ImageShape, AfterValidator(_check_shape)]
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()


class ClusterRecord(FrozenConfig):
    """The clusters of the images, in a run conditioned on clusters.

    Attributes:
        counts: images in each.
        sha256: of the labels in `clusters.safetensors`, as int32, little-endian.
    """

    counts: tuple[Annotated[int, Field(ge=0, le=_LARGEST)], ...]
    sha256: str


class ForkRecord(FrozenConfig):
    """Where a run began that went on from another's checkpoint."""

    parent: str
    step: Annotated[PositiveInt, Field(le=_LARGEST)]
    overrides: dict[str, Any] = {}


class RunRecord(FrozenConfig):
    """The content of `run.json`."""

    format: int = FORMAT
    recipe: Recipe
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    data: DataRecord
    steps_per_epoch: Annotated[PositiveInt, Field(le=_LARGEST)]
    precision: Literal["fp32", "bf16"] = "fp32"
    notes: tuple[str, ...] = ()
    fork: ForkRecord | None = None
    clusters: ClusterRecord | None = None
    command: str
    created: str
    ganvas: str
    machine: dict[str, str | int]

    @model_validator(mode="after")
    def _classes_agree(self) -> Self:
        classes, names, counts = self.recipe.classes, self.class_names, self.class_counts
        if (self.clusters is not None) != self.recipe.conditioned_on_clusters:
            if self.clusters is None:
                raise ValueError("expected a record of clusters: the recipe is conditioned on them")
            raise ValueError("expected no record of clusters: the recipe is not conditioned on them")
        if classes and not (len(names) == len(counts) == classes and min(counts) >= 0 and sum(counts) > 0):
            raise ValueError(
                f"a run with {classes} classes: expected as many class_names and class_counts, none below 0, "
                f"got {len(names)} and {len(counts)}"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that the run is conditioned on; clusters are numbered."""
        if not self.recipe.conditioned_on_clusters:
            return self.data.class_names
        return tuple(f"cluster-{number}" for number in range(len(self.class_counts)))

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each of these classes."""
        if not self.recipe.conditioned_on_clusters:
            return self.data.class_counts
        return () if self.clusters is None else self.clusters.counts

    @property
    def class_frequencies(self) -> tuple[float, ...]:
        """How often each class comes in the data; () where the recipe tells no classes."""
        counts = self.class_counts if self.recipe.classes else ()
        total = sum(counts)
        return tuple(count / total for count in counts)

    @property
    def steps(self) -> int:
        """The run's length in steps."""
        return self.to_steps(self.recipe.length)

    def to_steps(self, span: str) -> int:
        """Steps in a span like "2 epochs"."""
        return to_steps(span, self.steps_per_epoch)

    def epoch_of(self, step: int) -> int:
        """Whole epochs done after `step` steps."""
        return step // self.steps_per_epoch


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run."""

    path: Path

    @property
    def record_path(self) -> Path:
        """`run.json`; a directory without it is no run."""
        return self.path / RECORD

    @property
    def shell_path(self) -> str:
        """The path as it is typed in a shell."""
        return shlex.quote(str(self.path))

    def is_certain(self) -> bool:
        """Whether `run.json` is as this or an earlier ganvas writes it."""
        try:
            self._read_certain()
        except RunError:
            return False
        return True

    def check_own(self) -> None:
        """Refuse a directory that is not certainly a run, or where a file of a run is something else.

        Raises:
            RunError: no run.json, or not as this or an earlier ganvas writes it; a link, or a folder in the
                place of a file; other files in the folder of a checkpoint.
        """
        self._read_certain()
        check_all(self.path)

    @property
    def metrics(self) -> Path:
        """`metrics.jsonl`."""
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """Folder of sample grids."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def generators(self) -> Path:
        """Folder of generators saved by epoch."""
        return self.path / "generators"

    def generator_file(self, epoch: int) -> Path:
        """The generator of `epoch`."""
        return self.generators / f"epoch-{epoch:04d}.safetensors"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def clusters(self) -> Path:
        """The cluster of each image, int32 [N] `labels`."""
        return self.path / "clusters.safetensors"

    @property
    def animation(self) -> Path:
        """The animated GIF of all grids."""
        return self.path / "animation.gif"

    @property
    def evaluation(self) -> Path:
        """`evaluation.json`."""
        return self.path / "evaluation.json"

    @property
    def neighbors(self) -> Path:
        """The image of images and the training images nearest to them."""
        return self.path / "neighbors.png"

    @property
    def preview(self) -> Path:
        """The samples of right now, while somebody watches the run train."""
        return self.path / "preview.png"

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.path / "report.html"

    def remove_results(self) -> None:
        """Remove the scores and pages of a run that is about to go on: they are no longer its own."""
        for file in (self.evaluation, self.neighbors, self.report):
            file.unlink(missing_ok=True)

    def sample_file(self, step: int) -> Path:
        """The grid of `step`."""
        return self.samples / f"{step:08d}.png"

    def sample_files(self) -> list[Path]:
        """Grids saved so far, oldest first."""
        return sorted(p for p in self.samples.glob("*.png") if p.stem.isdecimal())

    def write(self, record: RunRecord) -> None:
        """Write `run.json` atomically."""
        write_json(self.record_path, record.model_dump(mode="json"), durable=True)

    def read(self) -> RunRecord:
        """Read `run.json`.

        Raises:
            RunError: no run here, a damaged record, or one of a newer format.
        """
        values = self._read_values()
        version = values["format"]
        if version < FORMAT:
            raise RunError(
                f"{self.path} has run format {version}, of an earlier ganvas with other names for its "
                f"settings: use it with that ganvas, or train it again"
            )
        check_kinds(self.path)
        try:
            return RunRecord.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            if "unknown" in first["msg"] and " kind " in first["msg"]:
                raise RunError(
                    f"{self.path}: {first['msg'].removeprefix('Value error, ')}; where it is code of your "
                    f"own, import it first, as a plugin"
                ) from None
            raise RunError(f"{self.record_path} is damaged: {where}: {first['msg']}") from None

    def _read_values(self) -> dict[str, Any]:
        """The object in `run.json`, of a format that is known; nothing else is checked.

        Raises:
            RunError: as `read`.
        """
        path = self.record_path
        try:
            content = read_regular(path, limit=MAX_RECORD_BYTES, follow_links=False)
            values = json.loads(content, parse_constant=_refuse_constant)
            json.dumps(values, ensure_ascii=False).encode()  # refuses half a surrogate pair, in keys as well
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(
                f"no run at {self.path}: expected a directory with run.json, as 'ganvas train' makes"
            ) from None
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: {error}") from None
        version = values.get("format") if isinstance(values, dict) else None
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise RunError(f"{path} is not a ganvas run: it has no format number")
        if version > FORMAT:
            raise NewerFormatError(
                f"{self.path} has run format {version}, this ganvas reads up to {FORMAT}: "
                f"update ganvas (pip install -U ganvas)"
            )
        return dict(values)

    def _read_certain(self) -> dict[str, Any]:
        values = self._read_values()
        if not all(isinstance(values.get(name), kind) for name, kind in _PARTS_OF_A_RECORD.items()):
            raise RunError(
                f"{self.record_path} is not certainly of a ganvas run: expected "
                f"{', '.join(_PARTS_OF_A_RECORD)}"
            )
        return values

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; see `ganvas.evaluation.history`."""
        return History.read(self.metrics).lines


def _refuse_constant(name: str) -> float:
    raise ValueError(f"expected numbers, got {name}")

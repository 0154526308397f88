"""The callbacks of a run, put together from its recipe."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from ganvas.callbacks.base import Callback, CallbackList, TrainingContext
from ganvas.callbacks.checkpointing import Checkpointer, GeneratorSaver
from ganvas.callbacks.d_accuracy import DiscriminatorAccuracy
from ganvas.callbacks.metrics_log import MetricBuffer, MetricsLog, truncate_after
from ganvas.callbacks.progress import Display
from ganvas.callbacks.sample_grids import SampleGrids, sample_grid
from ganvas.callbacks.scores import HealthChecks, Scores
from ganvas.callbacks.tensorboard import MISSING, TensorBoard, installed
from ganvas.data.clusters import Labels
from ganvas.data.image_set import ImageSet
from ganvas.errors import RunError, StorageError
from ganvas.evaluation import Reference, load_reference
from ganvas.profiling.flops import score_interval
from ganvas.runs.animation import animate
from ganvas.runs.control import TrainerControl
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.runs.overwrite import DiscardReplaced
from ganvas.training import checkpoint
from ganvas.training.loop import StepResult
from ganvas.training.state import TrainState
from ganvas.utils.images import encode_png, to_pil
from ganvas.utils.io import write_bytes


def start_callbacks(
    directory: RunDirectory,
    record: RunRecord,
    images: ImageSet,
    labels: Labels | None,
    state: TrainState,
    display: Display,
    custom: Sequence[Callback] = (),
    control: TrainerControl | None = None,
) -> tuple[CallbackList, Checkpointer]:
    """Make the run's callbacks and call `on_start`; return them, and the one that saves on demand.

    Their order: metrics are checked before anything is saved; a callback that writes or shows events comes
    before those that report them; the checkpoint comes after all that belongs to its step has been written,
    by the user's callbacks, too; the health checks, which may stop the run, are last.
    """
    last = truncate_after(directory.metrics, state.step)
    _remove_grids_after(directory, state.step)
    board = _tensorboard(record, display)
    scores, checks = _scores(directory, record, images)
    checkpointer = Checkpointer(directory.checkpoints, scores.best_step if scores else None)
    probe, generators = record.recipe.accuracy_probe, record.recipe.generator_interval
    ordered = [
        MetricBuffer(last["seconds"] if last else 0.0),
        MetricsLog(directory.metrics),
        display,
        board,
        *custom,
        SampleGrids(directory.sample_file),
        Preview(directory.preview, control) if control else None,
        scores,
        DiscriminatorAccuracy(probe, images, labels) if probe else None,
        GeneratorSaver(generators, directory.generator_file) if generators else None,
        checkpointer,
        DiscardReplaced(directory),
        Animation(directory),
        checks,
    ]
    callbacks = CallbackList([callback for callback in ordered if callback is not None], custom, state)
    try:
        callbacks.on_start(
            TrainingContext(
                path=directory.path,
                recipe=record.recipe,
                data=record.data.name,
                image_shape=record.data.image_shape,
                steps=record.steps,
                steps_per_epoch=record.steps_per_epoch,
                seed=record.seed,
                state=state,
                callbacks=callbacks,
                class_frequencies=record.class_frequencies,
            )
        )
    except BaseException:
        callbacks.on_close()
        raise
    return callbacks, checkpointer


class Preview(Callback):
    """Writes `preview.png`, the grid of the state as it is, while somebody watches the run in the studio.

    It is due a second after the last, or so much later that previews take at most 3% of the time.
    """

    _FRACTION = 0.03

    def __init__(self, path: Path, control: TrainerControl) -> None:
        self._path, self._control = path, control
        self._due = 0.0  # seconds of the monotonic clock

    def on_start(self, context: TrainingContext) -> None:
        """Remember the run."""
        self._context = context

    def on_step(self, result: StepResult) -> None:
        """Write the preview, if it is due."""
        if not self._control.preview_wanted:
            return
        begin = time.monotonic()
        if begin < self._due:
            return
        sheet = sample_grid(self._context)
        with contextlib.suppress(StorageError):  # of a full disk, the next checkpoint tells
            write_bytes(self._path, encode_png(to_pil(sheet)))
            self._control.preview_step = result.step
        seconds = time.monotonic() - begin
        self._due = begin + max(1.0, seconds / self._FRACTION)

    def on_close(self) -> None:
        """Remove the preview: the grids and checkpoints tell the rest."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Animation(Callback):
    """Writes the animation of all grids at the end, and says where the images are."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def on_start(self, context: TrainingContext) -> None:
        """Remember the run."""
        self._context = context

    def on_end(self) -> None:
        """Write the animation."""
        context, directory = self._context, self._directory
        say, frames = context.callbacks.on_message, directory.sample_files()
        say(f"done: step {context.state.step}")
        say(f"  last grid   {frames[-1]}")
        try:
            count = animate(frames, directory.animation, subsample=context.recipe.animation == "subsampled")
            say(f"  animation   {directory.animation} ({count} frames)")
        except RunError as error:  # a grid was damaged; what was trained is whole
            say(f"note: no animation: {error}")
        say(f"  sample it   ganvas sample {directory.shell_path} --count 64 --out samples.png")


def _remove_grids_after(directory: RunDirectory, step: int) -> None:
    """Remove grids that a killed process made beyond the checkpoint; they will be made again."""
    for file in directory.sample_files():
        if int(file.stem) > step:
            file.unlink()


def _tensorboard(record: RunRecord, display: Display) -> TensorBoard | None:
    if record.recipe.tensorboard and not installed():
        display.say(f"note: {MISSING}; training continues without it")
        return None
    return TensorBoard() if record.recipe.tensorboard else None


def _scores(
    directory: RunDirectory, record: RunRecord, images: ImageSet
) -> tuple[Scores | None, HealthChecks | None]:
    """Scores and health checks, where the recipe has them."""
    recipe, data = record.recipe, record.data
    if recipe.scores is None:
        return None, None

    def reference() -> Reference:
        whole_split = data.split != "all"
        return load_reference(
            data.requested,
            split=data.split,
            images=images if whole_split else None,
            size=data.size,
            resize=data.resize,
        )

    lines = directory.read_metrics()
    interval = score_interval(recipe, data.image_shape, record.steps_per_epoch, record.precision)
    saved = checkpoint.saved_steps(directory.checkpoints)
    scores = Scores(interval, recipe.scores.images, reference, lines, saved)
    if recipe.health == "off":
        return scores, None
    return scores, HealthChecks(directory.shell_path, stop=recipe.health == "stop", lines=lines)

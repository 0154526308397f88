"""All callbacks of a run, put together from its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganvas.callbacks.base import Callback, TrainingContext
from ganvas.callbacks.checkpointing import Checkpointer, GeneratorSaver
from ganvas.callbacks.d_accuracy import DiscriminatorAccuracy
from ganvas.callbacks.metric_buffer import LogRecord, MetricBuffer
from ganvas.callbacks.metrics_log import MetricsLog, truncate_after
from ganvas.callbacks.progress import Display
from ganvas.callbacks.sample_grids import SampleGrids
from ganvas.callbacks.scores import Scores
from ganvas.callbacks.tensorboard import MISSING, TensorBoard, installed
from ganvas.data.clusters import Labels
from ganvas.data.image_set import ImageSet
from ganvas.errors import CallbackError, GanvasError, HealthStop, RunError
from ganvas.evaluation import load_reference
from ganvas.profiling.flops import score_interval
from ganvas.recipes.durations import Duration
from ganvas.runs.animation import animate
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.training import checkpoint
from ganvas.training.loop import StepCallback, StepResult
from ganvas.training.state import TrainState
from ganvas.utils.images import ImageArray


class CallbackList:
    """Callback that calls the others in their order: terms are checked before anything is saved, and
    the checkpoint comes last, so that what it is the step of has all been written.
    """

    def __init__(
        self,
        directory: RunDirectory,
        record: RunRecord,
        images: ImageSet,
        labels: Labels | None,
        state: TrainState,
        display: Display,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._directory, self._record, self._state, self._display = directory, record, state, display
        self._custom = _CustomCallbacks(callbacks, directory, record, state)
        recipe = record.recipe
        last = truncate_after(directory.metrics, state.step)
        self._forget_samples_after(state.step)
        log = MetricsLog(directory.metrics)
        self._board = self._open_board()
        boards = [self._board] if self._board else []
        sinks: list[Callable[[LogRecord], None]] = [log, display, *boards, self._custom.on_log]
        saved = self._due(recipe.checkpoint_interval)
        self._scores = scores = self._new_scores(images, log, boards)
        if scores:
            sinks.append(scores.read)
        readings = MetricBuffer(
            record.to_steps(recipe.log_interval),
            record.steps,
            saved,
            record.steps_per_epoch,
            sinks,
            seconds=last["seconds"] if last else 0.0,
            images_seen=state.images_seen,
            step=state.step,
        )
        grids = SampleGrids(
            directory.sample_file,
            recipe,
            record.seed,
            self._due(recipe.grid.interval),
            [*(board.grid for board in boards), self._custom.on_grid],
            record.class_frequencies,
        )
        keep = recipe.keep_interval
        self._checkpoints = Checkpointer(
            directory.checkpoints,
            recipe,
            saved,
            lambda: scores.best_step if scores else None,
            record.to_steps(keep) if keep else None,
        )
        self._callbacks: list[StepCallback] = [readings, grids]
        if scores:
            self._callbacks.append(scores)
        if recipe.accuracy_probe:
            due, count = self._due(recipe.accuracy_probe.interval), recipe.accuracy_probe.images
            self._callbacks.append(
                DiscriminatorAccuracy(
                    images, labels, recipe, record.seed, count, due, record.epoch_of, log.write, display.say
                )
            )
        if recipe.generator_interval:
            due = self._due(recipe.generator_interval)
            self._callbacks.append(
                GeneratorSaver(lambda step: directory.generator_file(record.epoch_of(step)), due)
            )
        self._callbacks += [self._checkpoints, self._custom.on_step]
        self._custom.on_start()
        if state.step == 0:
            grids.write(state)  # the noise before training
            if self._board:
                self._board.describe(recipe, state)

    def __call__(self, progress: StepResult) -> None:
        """Call every callback.

        Raises:
            HealthStop: the health monitor found a reason to stop, and was asked to.
        """
        self._display.step(progress.step)
        for callback in self._callbacks:
            callback(progress)
        if self._scores is not None and self._scores.stop is not None:  # all of this step has been written
            raise HealthStop(self._scores.stop)

    def save(self) -> None:
        """Save a checkpoint of the state as it is, outside the schedule."""
        self._checkpoints.save(self._state)

    def close(self) -> None:
        """Flush what is pending, also when training stopped early."""
        if self._board:
            self._board.close()

    def finish(self) -> None:
        """Write the animation, call `on_end`, and say where the images are."""
        self._custom.on_end()
        frames = self._directory.sample_files()
        subsample = self._record.recipe.animation == "subsampled"
        self._display.say(f"done: step {self._state.step}")
        self._display.say(f"  last grid   {frames[-1]}")
        try:
            count = animate(frames, self._directory.animation, subsample=subsample)
            self._display.say(f"  animation   {self._directory.animation} ({count} frames)")
        except RunError as error:  # a grid was damaged; what was trained is whole
            self._display.say(f"note: no animation: {error}")
        self._display.say(
            f"  sample it   ganvas sample {self._directory.shell_path} --count 64 --out samples.png"
        )

    def _new_scores(self, images: ImageSet, log: MetricsLog, boards: list[TensorBoard]) -> Scores | None:
        record, recipe = self._record, self._record.recipe
        if recipe.scores is None:
            return None
        data = record.data
        return Scores(
            recipe,
            record.seed,
            recipe.scores.images,
            self._every(score_interval(recipe, data.image_shape, record.steps_per_epoch, record.precision)),
            record.epoch_of,
            lambda: load_reference(
                data.requested,
                split=data.split,
                images=images if data.split != "all" else None,
                size=data.size,
                resize=data.resize,
            ),
            self._directory.shell_path,
            recipe.health,
            log.write,
            self._display.say,
            [*(board.score for board in boards), self._custom.on_score],
            self._directory.read_metrics(),
            checkpoint.saved_steps(self._directory.checkpoints),
            record.class_frequencies,
        )

    def _due(self, span: Duration) -> Callable[[int], bool]:
        """Whether a step is a multiple of `span`, or the last one."""
        return self._every(self._record.to_steps(span))

    def _every(self, steps: int) -> Callable[[int], bool]:
        end = self._record.steps
        return lambda step: step % steps == 0 or step == end

    def _forget_samples_after(self, step: int) -> None:
        """Remove grids that a killed process made beyond the checkpoint; they will be made again."""
        for file in self._directory.sample_files():
            if int(file.stem) > step:
                file.unlink()

    def _open_board(self) -> TensorBoard | None:
        if not self._record.recipe.tensorboard:
            return None
        if not installed():
            self._display.say(f"note: {MISSING}; training goes on without it")
            return None
        step = self._state.step
        return TensorBoard(self._directory.tensorboard, purge_step=step + 1 if step else None)


class _CustomCallbacks:
    """The user's callbacks, called in order after ganvas's own."""

    def __init__(
        self, callbacks: Sequence[Callback], directory: RunDirectory, record: RunRecord, state: TrainState
    ) -> None:
        self._callbacks, self._state = callbacks, state
        self._context = TrainingContext(
            path=directory.path,
            recipe=record.recipe,
            data=record.data.name,
            image_shape=record.data.image_shape,
            steps=record.steps,
            steps_per_epoch=record.steps_per_epoch,
            seed=record.seed,
            state=state,
        )

    def on_start(self) -> None:
        self._call("on_start", self._context)

    def on_step(self, result: StepResult) -> None:
        self._call("on_step", result)

    def on_log(self, record: LogRecord) -> None:
        self._call("on_log", record)

    def on_grid(self, step: int, grid: ImageArray) -> None:
        self._call("on_grid", step, grid)

    def on_score(self, step: int, scores: Mapping[str, Any]) -> None:
        self._call("on_score", step, scores)

    def on_end(self) -> None:
        self._call("on_end")

    def _call(self, method: str, *arguments: Any) -> None:
        """Call one method of each.

        Raises:
            CallbackError: one raised; the line names it.
        """
        for callback in self._callbacks:
            try:
                getattr(callback, method)(*arguments)
            except GanvasError:
                raise
            except Exception as error:  # the user's own code may fail in any way
                text = " ".join(str(error).split())
                raise CallbackError(
                    f"callback {type(callback).__name__} failed in {method} at step {self._state.step}: "
                    f"{type(error).__name__}: {text}"
                ) from error

"""All observers of a run, put together from its recipe."""

from __future__ import annotations

from collections.abc import Callable

from ganvas.animate import animate
from ganvas.data.imageset import ImageSet
from ganvas.errors import GuardStop, RunError
from ganvas.observers.display import Display
from ganvas.observers.grids import Grids
from ganvas.observers.metrics_log import MetricsLog, cut_after
from ganvas.observers.reading import Reading, Readings
from ganvas.observers.saves import Checkpoints, Generators
from ganvas.observers.scores import Scores, steps_between
from ganvas.observers.tensorboard import MISSING, TensorBoard, installed
from ganvas.observers.verdict import Verdicts
from ganvas.recipe import Span
from ganvas.rundir import RunDirectory, RunRecord
from ganvas.scores import load_reference
from ganvas.training import checkpoint
from ganvas.training.loop import Observer, Progress
from ganvas.training.state import TrainState


class Watch:
    """Observer that calls the others in their order: terms are checked before anything is saved, and
    the checkpoint comes last, so that what it is the step of has all been written.
    """

    def __init__(
        self,
        directory: RunDirectory,
        record: RunRecord,
        images: ImageSet,
        told: ImageSet,
        state: TrainState,
        shown: Display,
    ) -> None:
        self._directory, self._record, self._state, self._shown = directory, record, state, shown
        recipe = record.recipe
        last = cut_after(directory.metrics, state.step)
        self._forget_samples_after(state.step)
        log = MetricsLog(directory.metrics)
        self._board = self._open_board()
        boards = [self._board] if self._board else []
        sinks: list[Callable[[Reading], None]] = [log, shown, *boards]
        saved = self._due(recipe.checkpoint_every)
        self._scores = scores = self._new_scores(images, log, boards)
        if scores:
            sinks.append(scores.read)
        readings = Readings(
            record.steps_in(recipe.log_every),
            record.steps,
            saved,
            record.steps_per_epoch,
            sinks,
            seconds=last["seconds"] if last else 0.0,
            images_seen=state.images_seen,
            step=state.step,
        )
        grids = Grids(
            directory,
            recipe,
            record.seed,
            self._due(recipe.grid.every),
            [board.grid for board in boards],
            record.class_shares,
        )
        keep = recipe.checkpoints_keep_every
        self._checkpoints = Checkpoints(
            directory,
            recipe,
            saved,
            lambda: scores.best_step if scores else None,
            record.steps_in(keep) if keep else None,
        )
        self._observers: list[Observer] = [readings, grids]
        if scores:
            self._observers.append(scores)
        if recipe.verdict:
            due, count = self._due(recipe.verdict.every), recipe.verdict.images
            self._observers.append(
                Verdicts(told, recipe, record.seed, count, due, record.epoch_of, log.write, shown.say)
            )
        if recipe.generator_every:
            due = self._due(recipe.generator_every)
            self._observers.append(Generators(directory, due, record.epoch_of))
        self._observers.append(self._checkpoints)
        if state.step == 0:
            grids.write(state)  # the noise before training
            if self._board:
                self._board.describe(recipe, state)

    def __call__(self, progress: Progress) -> None:
        """Let every observer look.

        Raises:
            GuardStop: the guard found a reason to stop, and was asked to.
        """
        for observer in self._observers:
            observer(progress)
        if self._scores is not None and self._scores.stop is not None:  # all of this step has been written
            raise GuardStop(self._scores.stop)

    def save(self) -> None:
        """Save a checkpoint of the state as it is, outside the schedule."""
        self._checkpoints.save(self._state)

    def close(self) -> None:
        """Flush what is pending, also when training stopped early."""
        if self._board:
            self._board.close()

    def finish(self) -> None:
        """Write the animation and say where the pictures are."""
        frames = self._directory.sample_files()
        thin = self._record.recipe.animation == "thinned"
        self._shown.say(f"done: step {self._state.step}")
        self._shown.say(f"  last grid   {frames[-1]}")
        try:
            count = animate(frames, self._directory.animation, thin=thin)
            self._shown.say(f"  animation   {self._directory.animation} ({count} frames)")
        except RunError as error:  # a grid was damaged; what was trained is whole
            self._shown.say(f"note: no animation: {error}")
        self._shown.say(f"  sample it   ganvas sample {self._directory.typed} --count 64 --out samples.png")

    def _new_scores(self, images: ImageSet, log: MetricsLog, boards: list[TensorBoard]) -> Scores | None:
        record, recipe = self._record, self._record.recipe
        if recipe.scores is None:
            return None
        data = record.data
        return Scores(
            recipe,
            record.seed,
            recipe.scores.images,
            self._every(steps_between(recipe, data.image_shape, record.steps_per_epoch, record.precision)),
            record.epoch_of,
            lambda: load_reference(
                data.requested,
                split=data.split,
                images=images if data.split != "all" else None,
                size=data.size,
                fit=data.fit,
            ),
            self._directory.typed,
            recipe.guard,
            log.write,
            self._shown.say,
            [board.score for board in boards],
            self._directory.metric_lines(),
            checkpoint.steps_saved(self._directory.checkpoints),
            record.class_shares,
        )

    def _due(self, span: Span) -> Callable[[int], bool]:
        """Whether a step is a multiple of `span`, or the last one."""
        return self._every(self._record.steps_in(span))

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
            self._shown.say(f"note: {MISSING}; training goes on without it")
            return None
        step = self._state.step
        return TensorBoard(self._directory.tensorboard, purge_step=step + 1 if step else None)

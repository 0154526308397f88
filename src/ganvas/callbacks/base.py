"""`Callback`: what can be done while a run trains, by ganvas's own callbacks and by a user's.

    class PrintLoss(ganvas.callbacks.Callback):
        def on_log(self, record):
            print(record.step, record.values["generator_loss"])

    ganvas.train("mlp", callbacks=[PrintLoss()])

Within a step the events come in this order: `on_log`, `on_step`, `on_grid`, `on_score`, `on_health`,
`on_metrics`, `on_save`; each where it is due. A callback sees the live state and must not change its
parameters. Whatever else it does to the networks (running them in train mode, say) is undone after each
event, and random numbers that it draws change nothing: every step seeds its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.errors import CallbackError, HealthStop, RecipeError, StorageError
from ganvas.recipes.durations import Duration, to_steps
from ganvas.registry import Registry

if TYPE_CHECKING:
    from ganvas.evaluation.health import HealthIssue
    from ganvas.recipes.schema import Recipe
    from ganvas.training.loop import StepResult
    from ganvas.training.state import TrainState
    from ganvas.utils.images import ImageArray


@dataclass(frozen=True)
class TrainingContext:
    """A run as its callbacks see it.

    Attributes:
        path: the run directory.
        recipe: what is trained.
        data: the data set's name.
        image_shape: (C, H, W).
        steps: the run's length.
        steps_per_epoch: steps per epoch.
        seed: of the run.
        state: the live state: networks, optimizers, step.
        callbacks: all callbacks of the run as one. A callback that produces an event calls its method, as
            `context.callbacks.on_message("a line for the user")`.
        class_frequencies: of the classes, where training is conditional.
    """

    path: Path
    recipe: Recipe
    data: str
    image_shape: tuple[int, int, int]
    steps: int
    steps_per_epoch: int
    seed: int
    state: TrainState
    callbacks: Callback
    class_frequencies: Sequence[float] = ()

    def epoch_of(self, step: int) -> int:
        """Whole epochs done after `step` steps."""
        return step // self.steps_per_epoch

    def to_steps(self, duration: Duration) -> int:
        """Steps in a duration like "2 epochs"."""
        return to_steps(duration, self.steps_per_epoch)

    def schedule(self, interval: int) -> Callable[[int], bool]:
        """A function of a step: whether it is a multiple of `interval` steps, or the last one."""
        last = self.steps
        return lambda step: step % interval == 0 or step == last


@dataclass(frozen=True)
class LogRecord:
    """A logged step. `seconds` of training since the run began; `values` are the step's metrics."""

    step: int
    epoch: int
    images_seen: int
    seconds: float
    images_per_second: float
    seconds_per_epoch: float
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRecord:
    """A scored step.

    Attributes:
        step: the step.
        epoch: whole epochs done.
        values: scores by name, as in metrics.jsonl: "fid", "kid", "precision", ...; None where there is none.
        protocol: all that the scores depend on besides the images.
        baseline: the same scores of held-out real images.
        is_best: whether the FID is the lowest of the run so far.
    """

    step: int
    epoch: int
    values: Mapping[str, Any]
    protocol: str
    baseline: Mapping[str, Any]
    is_best: bool


class Callback:
    """Base class: every method does nothing."""

    def on_start(self, context: TrainingContext) -> None:
        """Before the first step of this process."""

    def on_step(self, result: StepResult) -> None:
        """After each step. `result.metrics` are tensors on the device: reading them waits for it."""

    def on_log(self, record: LogRecord) -> None:
        """After each logged step: `record.values` are the step's metrics as numbers."""

    def on_grid(self, step: int, grid: ImageArray) -> None:
        """After each sample grid, uint8 [C, H, W]."""

    def on_score(self, record: ScoreRecord) -> None:
        """After each score while training."""

    def on_health(self, step: int, issue: HealthIssue) -> None:
        """After a health check failed: `issue.kind` and `issue.message` say what is wrong."""

    def on_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """After a callback measured something else; a line of metrics.jsonl."""

    def on_message(self, line: str) -> None:
        """When there is a line for the user."""

    def on_save(self, step: int, path: Path) -> None:
        """After each checkpoint; `path` is its folder."""

    def on_stop(self, step: int, reason: str) -> None:
        """When the run is stopped before its end ("Ctrl-C", "SIGTERM", "SIGHUP"), after it was saved."""

    def on_end(self) -> None:
        """After the last step, when everything is saved."""

    def on_close(self) -> None:
        """When this process stops training, at the end of the run or before it: release what is held."""


class CallbackList(Callback):
    """All callbacks of a run as one: each event calls the method of the same name, in the list's order.

    A callback from outside (`custom`) cannot change training: see `preserved_networks`. If it raises, it is
    not called any more, and the error is raised at the end of the step, when the others have written all that
    belongs to it: a checkpoint saved then is complete.

    Args:
        callbacks: in the order in which they are called.
        custom: those of them that are not ganvas's own.
        state: the live state.

    Raises:
        CallbackError: by `on_start`, `on_step`, `on_stop` and `on_end`, if a custom callback raised; the line
            names it.
    """

    def __init__(self, callbacks: Sequence[Callback], custom: Sequence[Callback], state: TrainState) -> None:
        self._state = state
        self._failed: set[int] = set()
        self._error: CallbackError | HealthStop | None = None
        listed = [(callback, any(callback is c for c in custom)) for callback in callbacks]
        for event in (name for name in vars(Callback) if name.startswith("on_")):
            methods = [
                partial(self._call_custom, callback, event) if is_custom else getattr(callback, event)
                for callback, is_custom in listed
                if _is_overridden(callback, event)
            ]
            setattr(self, event, partial(self._call, event, methods))

    def _call(self, event: str, methods: Sequence[Callable[..., None]], *arguments: Any) -> None:
        for method in methods:
            method(*arguments)
        if self._error is not None and event in ("on_start", "on_step", "on_stop", "on_end", "on_close"):
            error, self._error = self._error, None
            if event != "on_close":
                raise error
            self.on_message(f"note: {error}")  # whatever ends the run must not be hidden by it

    def _call_custom(self, callback: Callback, event: str, *arguments: Any) -> None:
        if id(callback) in self._failed:
            return
        try:
            with preserved_networks(self._state):
                getattr(callback, event)(*arguments)
        except (KeyboardInterrupt, MemoryError, StorageError):
            raise
        except HealthStop as stop:
            self._error = self._error or stop
        except BaseException as error:  # a user's code may raise anything, sys.exit() included
            self._failed.add(id(callback))
            text = " ".join(str(error).split())
            failure = CallbackError(
                f"callback {type(callback).__name__} failed in {event} at step {self._state.step}: "
                f"{type(error).__name__}: {text}"
            )
            failure.__cause__ = error
            self._error = self._error or failure


@contextlib.contextmanager
def preserved_networks(state: TrainState) -> Iterator[None]:
    """Within, the networks may run in any mode; afterwards their modes and buffers are as before.

    Buffers hold batch statistics and the vectors of spectral norm. They are copied, which is cheap: they are
    small. Parameters are not.
    """
    networks = [state.generator, state.discriminator, *([] if state.ema is None else [state.ema])]
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for module, name, buffer, copy in buffers:
            buffer.detach().copy_(copy)
            module._buffers[name] = buffer


def _is_overridden(callback: Callback, event: str) -> bool:
    return getattr(getattr(callback, event), "__func__", None) is not getattr(Callback, event)


CALLBACKS: Registry[Callable[[], Callback]] = Registry("callback", RecipeError)
"""Callback classes by name, for `ganvas train --callback NAME`."""


def load_callback(name: str) -> Callback:
    """A new callback of the class registered as `name`.

    Raises:
        RecipeError: no such callback, or what was registered makes none.
    """
    callback = CALLBACKS.find(name)()
    if not isinstance(callback, Callback):
        raise RecipeError(
            f"callback {name}: expected a ganvas.callbacks.Callback, got {type(callback).__name__}"
        )
    return callback

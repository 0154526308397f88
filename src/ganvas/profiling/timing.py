"""What `ganvas bench` times: training steps and their parts, callbacks, sampling, saving, the machine."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganvas.callbacks.base import CallbackList, TrainingContext
from ganvas.callbacks.metrics_log import MetricBuffer, MetricsLog
from ganvas.callbacks.sample_grids import SampleGrids
from ganvas.data.batches import Batches
from ganvas.errors import DataError
from ganvas.evaluation import Reference
from ganvas.evaluation.score import compute_score
from ganvas.kernels.matmul import matrix_multiply
from ganvas.profiling.flops import score_interval
from ganvas.recipes.durations import Duration, to_steps
from ganvas.recipes.schema import Recipe
from ganvas.training import checkpoint, updates
from ganvas.training.loop import StepResult, training_steps
from ganvas.training.rng import StepRNG
from ganvas.training.sampling import generate
from ganvas.training.state import TrainState

WARMUP_STEPS = 5
SAMPLING_BATCH = 500  # as in `ganvas sample`
MATRIX_SIDES, GPU_MATRIX_SIDES, MATRIX_ROUNDS = (1024, 2048, 4096), (4096, 8192), 5

PARTS = ("data", "G forward", "D forward", "backward", "optimizers")


def peak_matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the machine's best rate for square matrices, in operations a second (two for a MAC).

    The best over several sizes, rounds and libraries: on some processors the library that PyTorch chooses by
    itself is slower than another of its libraries by a factor of two.
    """
    best = 0.0
    for side in MATRIX_SIDES if device.type == "cpu" else GPU_MATRIX_SIDES:
        rng = torch.Generator(device).manual_seed(0)
        a, b = (torch.randn(side, side, device=device, generator=rng).to(dtype) for _ in range(2))
        for multiply in (torch.matmul, matrix_multiply):
            multiply(a, b)
            for _ in range(MATRIX_ROUNDS):
                best = max(best, 2 * side**3 / _elapsed(lambda: multiply(a, b), device))  # noqa: B023
    return best


def time_training(
    recipe: Recipe, state: TrainState, batches: Batches, device: torch.device, precision: str, steps: int
) -> tuple[list[float], dict[str, float]]:
    """Train for a warm-up and `steps` timed steps; return the seconds of each, and a step's seconds by part.

    The parts are timed in a few further steps, so that timing them does not slow down the steps themselves.
    """

    def rng_at(step: int) -> StepRNG:
        latent, frequencies = recipe.latent, [1.0] * recipe.classes
        return StepRNG(0, step, latent.size, latent.distribution, device, frequencies)

    def train(count: int) -> list[float]:
        seconds, start = [], time.perf_counter()
        for _ in training_steps(
            state,
            updates.make_update(recipe),
            batches,
            rng_at,
            pixel_range=recipe.pixel_range,
            until=state.step + count,
            precision=precision,
        ):
            _synchronize(device)
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
        return seconds

    train(WARMUP_STEPS)
    seconds = train(steps)
    timer, timed_steps = _PartTimer(device), max(steps // 4, 3)
    with timer.attached(state, batches):
        total = sum(train(timed_steps))
    return seconds, timer.seconds_per_step(total, timed_steps)


def sampling_rate(recipe: Recipe, state: TrainState, device: torch.device) -> float:
    """Return the images a second that the generator makes in fp32."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(SAMPLING_BATCH, recipe.generator_input_size, generator=rng)
    return SAMPLING_BATCH / _median_seconds(
        lambda: generate(state.generator, z, recipe.pixel_range), 5, device
    )


def time_checkpoint(recipe: Recipe, state: TrainState) -> float:
    """Return the seconds of saving a checkpoint to the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(prefix="ganvas-bench-") as folder:

        def save() -> None:
            checkpoint.save(Path(folder), state, recipe)
            state.step += 1

        return _median_seconds(save, 3, torch.device("cpu"))


def time_callbacks(
    recipe: Recipe,
    state: TrainState,
    batches: Batches,
    reference: Callable[[], Reference],
    checkpoint_seconds: float,
    sampled_per_second: float,
    precision: str,
) -> float:
    """Return the seconds that log, grids, scores and checkpoints add to a step, on average over the run.

    Each is timed once, and counted as often as the recipe calls it.

    Args:
        recipe: what is measured.
        state: at any step.
        batches: of the data set.
        reference: gives the real images; called if the recipe has scores.
        checkpoint_seconds: what one save takes.
        sampled_per_second: images that the generator makes in a second.
        precision: of training.
    """
    epoch = batches.steps_per_epoch

    def per_step(interval: Duration) -> float:
        return 1 / to_steps(interval, epoch)

    log_seconds, grid_seconds = _time_log_and_grid(recipe, state, batches)
    seconds = per_step(recipe.log_interval) * log_seconds + per_step(recipe.grid.interval) * grid_seconds
    seconds += per_step(recipe.checkpoint_interval) * checkpoint_seconds
    if recipe.scores is None:
        return seconds
    try:
        real = reference()
    except DataError:  # too few images: training continues without scores
        return seconds
    count = recipe.scores.images
    index = torch.arange(count) % len(real.images)
    pixels = real.images.images[index.numpy()]
    score_seconds = count / sampled_per_second + _warm_seconds(
        lambda: compute_score(real.extractor(pixels), real)
    )
    return seconds + score_seconds / score_interval(recipe, real.images.image_shape, epoch, precision)


def _time_log_and_grid(recipe: Recipe, state: TrainState, batches: Batches) -> tuple[float, float]:
    """Seconds of one record of the log, and of one grid of images."""
    _, channels, height, width = batches.at(0).shape
    with tempfile.TemporaryDirectory(prefix="ganvas-bench-") as name:
        folder = Path(name)
        log = CallbackList([MetricBuffer(), MetricsLog(folder / "metrics.jsonl")], (), state)
        grids = SampleGrids(lambda step: folder / f"{step}.png")
        context = TrainingContext(
            path=folder,
            recipe=recipe.model_copy(update={"log_interval": "1 step"}),
            data="",
            image_shape=(channels, height, width),
            steps=2**62,
            steps_per_epoch=batches.steps_per_epoch,
            seed=0,
            state=state,
            callbacks=log,
        )
        for callback in (log, grids):
            callback.on_start(context)
        result = StepResult(state.step + 1, 1, {name: torch.zeros(()) for name in "abcdefghi"}, state)
        return _warm_seconds(lambda: log.on_step(result)), _warm_seconds(grids.write)


class _PartTimer:
    """Times the calls that a step makes; the rest of the step is its backward passes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._start = 0.0

    def seconds_per_step(self, total: float, steps: int) -> dict[str, float]:
        """Seconds of each part in a step, of `steps` steps that took `total` seconds."""
        known = {part: self._seconds[part] / steps for part in PARTS if part != "backward"}
        known["backward"] = max(total / steps - sum(known.values()), 0.0)
        return {part: known[part] for part in PARTS}

    @contextmanager
    def attached(self, state: TrainState, batches: Batches) -> Iterator[None]:
        """Within the context, calls of the networks, optimizers and batches are timed."""
        hooks = [
            *self._forward_hooks(state.generator, "G forward"),
            *self._forward_hooks(state.discriminator, "D forward"),
        ]
        optimizers = (state.generator_optimizer, state.discriminator_optimizer)
        for optimizer in optimizers:
            optimizer.step = self._timed(optimizer.step, "optimizers")  # type: ignore[method-assign]
        batches.at = self._timed(batches.at, "data")  # type: ignore[method-assign]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for optimizer in optimizers:
                del optimizer.step
            del batches.at

    def _forward_hooks(self, network: nn.Module, part: str) -> list[Any]:
        def before(*_: object) -> None:
            _synchronize(self._device)
            self._start = time.perf_counter()

        def after(*_: object) -> None:
            _synchronize(self._device)
            self._seconds[part] += time.perf_counter() - self._start

        return [network.register_forward_pre_hook(before), network.register_forward_hook(after)]

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            _synchronize(self._device)
            start = time.perf_counter()
            result = call(*args, **kwargs)
            _synchronize(self._device)
            self._seconds[part] += time.perf_counter() - start
            return result

        return timed


def _median_seconds(call: Callable[[], object], rounds: int, device: torch.device) -> float:
    """Median seconds of a call, after one that is not counted."""
    call()
    return statistics.median(_elapsed(call, device) for _ in range(rounds))


def _warm_seconds(call: Callable[[], object]) -> float:
    """Seconds of the second call: the first may have something to prepare."""
    call()
    return _elapsed(call, torch.device("cpu"))


def _elapsed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call until the device has done what was asked of it."""
    _synchronize(device)
    start = time.perf_counter()
    call()
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

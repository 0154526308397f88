"""The measurement behind `ganvas bench`: images a second, and how far from the machine's own rate."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganvas import recipes
from ganvas.data import ImageSet, load_dataset
from ganvas.data.batches import Batches
from ganvas.errors import UserError
from ganvas.evaluation import load_reference
from ganvas.profiling import flops
from ganvas.profiling.callback_cost import callback_seconds
from ganvas.profiling.machine import peak_matmul_flops, synchronize
from ganvas.profiling.profile import StepProfile
from ganvas.recipes import auto
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe
from ganvas.training import checkpoint, updates
from ganvas.training.conditioning import conditioning_labels
from ganvas.training.loop import training_steps
from ganvas.training.rng import StepRNG
from ganvas.training.sampling import generate
from ganvas.training.state import TrainState, new_state
from ganvas.utils import devices, memory

WARM_UP = 5
SAMPLED = 500  # images a sampling batch, as `ganvas sample` draws them


@dataclass(frozen=True)
class BenchResult:
    """What was measured; times in seconds, rates in images or operations a second.

    Attributes:
        images_per_second: median over the steps.
        images_per_second_low: the lower quartile.
        images_per_second_high: the upper quartile.
        parts: seconds a step of each part; callbacks at their defaults, spread over the recipe's length.
        operations_per_image: two for each MAC that the mathematics needs, padding left out.
        flops: operations a second that the steps reached.
        machine_flops: what products of matrices reach here, at the same precision, in this run.
        sample_images_per_second: of the generator alone, in fp32.
        sample_ratio: its operations a second over the machine's in fp32.
        checkpoint_seconds: one save, to the disk.
        peak_memory_bytes: of the process (on a GPU, of its memory).
        full_length_seconds: what the recipe's whole length takes here.
    """

    recipe: str
    data: str
    image_shape: tuple[int, int, int]
    batch_size: int
    precision: str
    device: str
    machine: Mapping[str, str | int]
    steps: int
    images_per_second: float
    images_per_second_low: float
    images_per_second_high: float
    parts: Mapping[str, float]
    operations_per_image: int
    flops: float
    machine_flops: float
    sample_images_per_second: float
    sample_ratio: float
    checkpoint_seconds: float
    peak_memory_bytes: int
    full_length_steps: int
    full_length_seconds: float

    @property
    def ratio(self) -> float:
        """The rate reached over the machine's own."""
        return self.flops / self.machine_flops

    def as_json(self) -> dict[str, Any]:
        """Plain values; rates of operations in units of 10^9."""
        values = dict(vars(self))
        for name in ("flops", "machine_flops"):
            values[name.replace("flops", "gflops")] = round(values.pop(name) / 1e9, 2)
        values["ratio"] = round(self.ratio, 4)
        values["machine"], values["parts"] = dict(self.machine), dict(self.parts)
        return values

    def lines(self) -> list[str]:
        """The lines that people read."""
        step = self.batch_size / self.images_per_second
        channels, height, width = self.image_shape
        low, high = self.images_per_second_low, self.images_per_second_high
        fractions = ", ".join(f"{part} {seconds / step:.0%}" for part, seconds in self.parts.items())
        hours, minutes = divmod(round(self.full_length_seconds / 60), 60)
        length = f"{hours} h {minutes} min" if hours else f"{self.full_length_seconds / 60:.1f} min"
        return [
            f"{self.recipe} on {self.data}, {channels} x {height} x {width}, batches of {self.batch_size}, "
            f"{self.precision}, {self.device}: {self.machine.get('gpu', self.machine.get('processor'))}, "
            f"{self.machine.get('threads')} threads",
            f"training     {self.images_per_second:,.0f} images/s (quartiles {low:,.0f} to {high:,.0f}, "
            f"{self.steps} steps), {step:.3f} s a step",
            f"of a step    {fractions}",
            f"operations   {self.operations_per_image / 1e6:,.0f} M an image, {self.flops / 1e9:,.0f} "
            f"GFLOP/s; the machine's matrix products {self.machine_flops / 1e9:,.0f}: {self.ratio:.0%}",
            f"sampling     {self.sample_images_per_second:,.0f} images/s in fp32, {self.sample_ratio:.0%} of "
            f"the machine's matrix products",
            f"checkpoint   {self.checkpoint_seconds:.3f} s a save",
            f"memory       {self.peak_memory_bytes / 2**20:,.0f} MiB at most",
            f"whole length {self.full_length_steps:,} steps, about {length}",
        ]


def run_benchmark(
    recipe: str | Recipe,
    data: str | Path | None = None,
    *,
    steps: int = 20,
    overrides: Mapping[str, Any] | None = None,
    precision: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    size: int | None = None,
    resize: str | None = None,
    mmap_threshold: float = memory.MMAP_THRESHOLD,
) -> BenchResult:
    """Measure a recipe on this machine.

    Args:
        recipe: as `ganvas.train` takes it.
        data: a set's name or path; the bundled digits where None: what is on the images takes no time.
        steps: timed, after a warm-up of 5.
        overrides: recipe keys by their path.
        precision: "auto", "fp32" or "bf16"; the recipe's where None.
        device: "auto", "cpu" or "cuda".
        threads: processor threads.
        size: side to which images are resized, with `resize`.
        resize: how.
        mmap_threshold: a set larger than this fraction of the free memory is memory-mapped.

    Raises:
        UserError: anything asked for that cannot be.
    """
    if steps < 3:
        raise UserError(f"steps {steps}: expected 3 or more")
    changed = dict(overrides or {})
    chosen = None if recipe == "auto" else _found(recipe).with_overrides(changed)
    place = devices.resolve_device(device)
    devices.set_threads(threads)
    name = "mnist-5k" if data is None else data
    images = load_dataset(name, size=size, resize=resize, mmap_threshold=mmap_threshold)
    if chosen is None:
        chosen, _ = auto.auto_recipe(images.image_shape, len(images), None, changed)
    kind = devices.resolve_precision(precision or chosen.precision, place)
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    with devices.memory_errors():
        machine_flops = peak_matmul_flops(place, dtype)
        plain_flops = machine_flops if dtype == torch.float32 else peak_matmul_flops(place, torch.float32)
        state = new_state(chosen, images.image_shape, 0, place)
        batches = _batches(chosen, images, place)
        seconds, parts = _training(chosen, state, batches, place, kind, steps)
        sampled = _sampling(chosen, state, place)
        checkpoint_seconds = _checkpoint(chosen, state)
        parts["callbacks"] = callback_seconds(
            chosen,
            state,
            batches,
            lambda: load_reference(name, size=size, resize=resize),
            checkpoint_seconds,
            sampled,
            kind,
        )
    rates = [chosen.batch_size / s for s in seconds]
    low, middle, high = statistics.quantiles(rates, n=4)
    per_step = 2 * flops.step_macs(chosen, images.image_shape)
    length = to_steps(chosen.length, batches.steps_per_epoch)
    return BenchResult(
        recipe=chosen.name,
        data=images.name,
        image_shape=images.image_shape,
        batch_size=chosen.batch_size,
        precision=kind,
        device=place.type,
        machine=devices.describe_machine(place),
        steps=steps,
        images_per_second=middle,
        images_per_second_low=low,
        images_per_second_high=high,
        parts=parts,
        operations_per_image=per_step // chosen.batch_size,
        flops=per_step * middle / chosen.batch_size,
        machine_flops=machine_flops,
        sample_images_per_second=sampled,
        sample_ratio=2 * flops.sample_macs(chosen, images.image_shape) * sampled / plain_flops,
        checkpoint_seconds=checkpoint_seconds,
        peak_memory_bytes=_peak_memory(place),
        full_length_steps=length,
        # The mean: a lazy penalty is in some steps only.
        full_length_seconds=length * (statistics.fmean(seconds) + parts["callbacks"]),
    )


def _found(recipe: str | Path | Recipe) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else recipes.load_recipe(recipe)


def _batches(recipe: Recipe, images: ImageSet, device: torch.device) -> Batches:
    return Batches(
        images,
        recipe.real_batch_size,
        order=recipe.data_order.order,
        drop_last=True,  # all steps alike
        seed=0,
        device=device,
        labels=conditioning_labels(images, recipe, 0),
        steps_from=recipe.batch_size,
        num_classes=recipe.classes,
    )


def _training(
    recipe: Recipe, state: TrainState, batches: Batches, device: torch.device, precision: str, steps: int
) -> tuple[list[float], dict[str, float]]:
    """Seconds of each timed step, and of each part of a step."""

    def random(step: int) -> StepRNG:
        latent, frequencies = recipe.latent, [1.0] * recipe.classes
        return StepRNG(0, step, latent.size, latent.distribution, device, frequencies)

    def run(count: int) -> list[float]:
        seconds, began = [], time.perf_counter()
        for _ in training_steps(
            state,
            updates.make_update(recipe),
            batches,
            random,
            pixel_range=recipe.pixel_range,
            until=state.step + count,
            precision=precision,
        ):
            synchronize(device)
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
        return seconds

    run(WARM_UP)
    seconds = run(steps)
    parts, watched = StepProfile(device), max(steps // 4, 3)
    with parts.watching(state, batches):
        whole = run(watched)
    return seconds, parts.fractions(sum(whole), watched)


def _sampling(recipe: Recipe, state: TrainState, device: torch.device) -> float:
    z = torch.randn(SAMPLED, recipe.generator_input_size, generator=torch.Generator().manual_seed(0))

    def draw() -> object:
        return generate(state.generator, z, recipe.pixel_range)

    return SAMPLED / _median(draw, 5, device)


def _checkpoint(recipe: Recipe, state: TrainState) -> float:
    with tempfile.TemporaryDirectory(prefix="ganvas-bench-") as folder:

        def save() -> None:
            checkpoint.save(Path(folder), state, recipe)
            state.step += 1

        return _median(save, 3, torch.device("cpu"))


def _median(call: Callable[[], object], rounds: int, device: torch.device) -> float:
    """Median seconds of a call, after one that is not counted."""
    call()
    seconds = []
    for _ in range(rounds):
        synchronize(device)
        began = time.perf_counter()
        call()
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":  # it has no such count
        return 0
    if sys.platform.startswith("linux"):
        # `ru_maxrss` below begins with what the parent process held when it started this one.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

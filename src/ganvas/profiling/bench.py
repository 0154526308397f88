"""`ganvas bench`: images a second of a recipe, and how close it gets to what the machine can do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganvas import recipes
from ganvas.data import ImageSet, load_dataset
from ganvas.data.batches import Batches
from ganvas.errors import UserError
from ganvas.evaluation import Reference, load_reference
from ganvas.profiling import flops, timing
from ganvas.recipes import auto
from ganvas.recipes.durations import to_steps
from ganvas.recipes.schema import Recipe
from ganvas.training.conditioning import conditioning_labels
from ganvas.training.state import new_state
from ganvas.utils import devices, memory


@dataclass(frozen=True)
class BenchResult:
    """What was measured; times in seconds, rates in images or operations a second.

    Attributes:
        images_per_second: median over the steps.
        images_per_second_low: the lower quartile.
        images_per_second_high: the upper quartile.
        parts: seconds a step of each part; callbacks at their defaults, averaged over the recipe's length.
        operations_per_image: two for each MAC, see `ganvas.profiling.flops`.
        flops: operations a second that the steps reached.
        machine_flops: what matrix multiplications reach on this machine, at the same precision.
        sample_images_per_second: of the generator alone, in fp32.
        sample_ratio: its operations a second over the machine's in fp32.
        checkpoint_seconds: one save, to the disk.
        peak_memory_bytes: of the process (on a GPU, of its memory).
        full_length_seconds: training for the recipe's full length on this machine.
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
        """Operations a second that the steps reached, as a fraction of the machine's."""
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
        """The result for people, as `ganvas bench` prints it."""
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
            f"{self.steps} steps), {step:.3f} s per step",
            f"step         {fractions}",
            f"operations   {self.operations_per_image / 1e6:,.0f} M per image, {self.flops / 1e9:,.0f} "
            f"GFLOP/s; the machine's matrix multiplications {self.machine_flops / 1e9:,.0f}: "
            f"{self.ratio:.0%}",
            f"sampling     {self.sample_images_per_second:,.0f} images/s in fp32, {self.sample_ratio:.0%} of "
            f"the machine's matrix multiplications",
            f"checkpoint   {self.checkpoint_seconds:.3f} s per save",
            f"memory       {self.peak_memory_bytes / 2**20:,.0f} MiB at its peak",
            f"full length  {self.full_length_steps:,} steps, about {length}",
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
    """Measure how fast a recipe trains and samples on this machine.

    Args:
        recipe: as `ganvas.train` takes it.
        data: a set's name or path; the bundled digits where None: their content does not matter.
        steps: timed, after a warm-up of 5.
        overrides: recipe keys by their path.
        precision: "auto", "fp32" or "bf16"; the recipe's where None.
        device: "auto", "cpu" or "cuda".
        threads: processor threads.
        size: side to which images are resized, with `resize`.
        resize: "crop", "pad" or "resize".
        mmap_threshold: a set larger than this fraction of the free memory is memory-mapped.

    Raises:
        UserError: a value that cannot be, or networks whose MACs cannot be counted.
        MachineError: memory is full.
    """
    if steps < 3:
        raise UserError(f"steps {steps}: expected 3 or more")
    target = devices.resolve_device(device)
    devices.set_threads(threads)
    name = "mnist-5k" if data is None else data
    named = _load_recipe(recipe, overrides or {})
    images = load_dataset(name, size=size, resize=resize, mmap_threshold=mmap_threshold)
    chosen = named or auto.auto_recipe(images.image_shape, len(images), None, overrides or {})[0]
    with devices.memory_errors():
        return _measure(
            chosen,
            images,
            target,
            devices.resolve_precision(precision or chosen.precision, target),
            steps,
            lambda: load_reference(name, size=size, resize=resize),
        )


def _load_recipe(recipe: str | Path | Recipe, overrides: Mapping[str, Any]) -> Recipe | None:
    """The recipe with overrides; None for the automatic one, which is chosen for the images."""
    if recipe == "auto":
        return None
    named = recipe if isinstance(recipe, Recipe) else recipes.load_recipe(recipe)
    return named.with_overrides(overrides)


def _measure(
    recipe: Recipe,
    images: ImageSet,
    device: torch.device,
    precision: str,
    steps: int,
    reference: Callable[[], Reference],
) -> BenchResult:
    shape = images.image_shape
    step_flops, sample_flops = 2 * flops.step_macs(recipe, shape), 2 * flops.sample_macs(recipe, shape)
    machine_fp32 = machine_flops = timing.peak_matmul_flops(device, torch.float32)
    if precision == "bf16":
        machine_flops = timing.peak_matmul_flops(device, torch.bfloat16)
    state = new_state(recipe, shape, 0, device)
    batches = Batches(
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
    seconds, parts = timing.time_training(recipe, state, batches, device, precision, steps)
    sampled = timing.sampling_rate(recipe, state, device)
    saving = timing.time_checkpoint(recipe, state)
    parts["callbacks"] = timing.time_callbacks(recipe, state, batches, reference, saving, sampled, precision)
    low, median, high = statistics.quantiles([recipe.batch_size / s for s in seconds], n=4)
    length = to_steps(recipe.length, batches.steps_per_epoch)
    return BenchResult(
        recipe=recipe.name,
        data=images.name,
        image_shape=shape,
        batch_size=recipe.batch_size,
        precision=precision,
        device=device.type,
        machine=devices.describe_machine(device),
        steps=steps,
        images_per_second=median,
        images_per_second_low=low,
        images_per_second_high=high,
        parts=parts,
        operations_per_image=step_flops // recipe.batch_size,
        flops=step_flops * median / recipe.batch_size,
        machine_flops=machine_flops,
        sample_images_per_second=sampled,
        sample_ratio=sample_flops * sampled / machine_fp32,
        checkpoint_seconds=saving,
        peak_memory_bytes=memory.peak_memory(device),
        full_length_steps=length,
        # By the mean: a lazy penalty is in some steps only.
        full_length_seconds=length * (statistics.fmean(seconds) + parts["callbacks"]),
    )

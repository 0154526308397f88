"""`Run`: a run directory, opened. All that one does with a trained generator starts here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.report.run_page import curves_page
from ganvas.runs import animation as animation
from ganvas.runs.conditioning import class_number
from ganvas.runs.directory import RunDirectory
from ganvas.runs.discriminate import compare_fixed_fakes, discriminate
from ganvas.runs.image_batch import ImageBatch
from ganvas.runs.live import watch
from ganvas.runs.networks import RunNetworks, StepChoice
from ganvas.runs.notebook import Animation, HTMLPage
from ganvas.runs.overwrite import recover_for_reading
from ganvas.training import sampling
from ganvas.utils import memory
from ganvas.utils.images import ImageArray
from ganvas.utils.output import one_line

if TYPE_CHECKING:
    from ganvas.callbacks.base import Callback
    from ganvas.runs.evaluate import EvaluationResult
    from ganvas.runs.latents import Direction


class Run(RunNetworks):
    """A run directory, opened for use on the CPU; `Run.open` checks that it is one.

    Which checkpoint is meant, and the networks in it: see `RunNetworks`.
    """

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the run at `path`.

        Raises:
            RunError: no run there, damaged, or of a newer format.
        """
        directory = RunDirectory(Path(path).expanduser())
        recover_for_reading(directory.path)
        return cls(directory, directory.read())

    def sample(
        self,
        count: int,
        *,
        seed: int = 0,
        step: StepChoice = None,
        epoch: int | None = None,
        ema: bool = True,
        class_: str | int | None = None,
    ) -> ImageBatch:
        """`count` images, uint8 [count, C, H, W]; in a notebook they show themselves as a grid.

        Those of a run conditioned on classes know theirs: `images.labels`.

        Args:
            count: how many.
            seed: where z comes from; the same seed gives the same images.
            step: a checkpoint's step, "best" or "newest"; see `resolve_step`.
            epoch: a generator that the recipe saved by epoch, instead.
            ema: the averaged generator, where the run has one.
            class_: the name or number of a class, or "cluster-3", of a conditional run; None draws classes
                by their frequency in the data.

        Raises:
            UserError: no such class, or a run without classes.
        """
        if count < 1:
            raise UserError(f"count {count}: expected 1 or more")
        _check_seed(seed)
        self._require_memory(count)
        classes = self._classes(count, class_)
        network = self.raw_generator(step=step, epoch=epoch, ema=ema)
        frequencies = self.record.class_frequencies
        inputs = sampling.sample_inputs(self.recipe, count, seed, frequencies=frequencies, classes=classes)
        images = ImageBatch.of(sampling.generate(network, inputs.z, self.recipe.pixel_range, seed))
        if inputs.labels is not None and not self.recipe.conditioned_on_clusters:
            images.labels, images.class_names = inputs.labels.numpy(), self.record.class_names
        return images

    def blend(
        self,
        blends: Sequence[Mapping[int, float]],
        *,
        step: StepChoice = None,
        class_: str | int | None = None,
        truncation: float = 1.0,
        directions: Mapping[str, float] | None = None,
    ) -> ImageBatch:
        """Images between seeds, uint8 [N, C, H, W]: one for each blend.

        A blend gives seeds weights: `{12: 0.5, 13: 0.5}` is halfway between the first images of `sample(1,
        seed=12)` and `sample(1, seed=13)`.

        Args:
            blends: what to mix for each image.
            step: as in `sample`.
            class_: as in `sample`; None takes the class of the heaviest seed.
            truncation: factor on z, 0 to 2: below 1, images are more typical and vary less.
            directions: standard deviations to go along directions by name; see `directions`.

        Raises:
            UserError: no seeds, weights of 0 only, no such class or direction.
        """
        from ganvas.runs import latents  # it opens runs

        label = None if class_ is None else class_number(self.record, class_, str(self.path))
        points = latents.Points.of(
            self, blends, label=label, truncation=truncation, directions=directions, step=step
        )
        return ImageBatch.of(latents.render(self, points, step))

    def directions(self, *, step: StepChoice = None) -> tuple[Direction, ...]:
        """Directions of the latent space: of attributes that z explains (with R²), and principal ones."""
        from ganvas.runs import latents  # it opens runs

        return latents.find_directions(self, step)

    def interpolate(
        self,
        *,
        rows: int = 5,
        columns: int = 10,
        seed: int = 0,
        ema: bool = True,
        class_: str | int | None = None,
    ) -> ImageBatch:
        """Spherical walks between random z: uint8 [rows * columns, C, H, W], row by row.

        In a conditional run they lead from class to class, or stay in `class_`.
        """
        for name, value, least in (("rows", rows, 1), ("columns", columns, 2)):
            if value < least:
                raise UserError(f"{name} {value}: expected {least} or more")
        _check_seed(seed)
        self._require_memory(rows * columns)
        classes = self._classes(2 * rows, class_)
        network, frequencies = self.raw_generator(ema=ema), self.record.class_frequencies
        pixels = sampling.interpolate(network, self.recipe, rows, columns, seed, classes, frequencies)
        return ImageBatch.of(pixels, columns=columns)

    def evaluate(
        self,
        *,
        data: str | Path | None = None,
        count: int = 10_000,
        seed: int = 0,
        step: StepChoice = None,
        ema: bool = True,
        features: str | None = None,
    ) -> EvaluationResult:
        """Score images of the generator against real ones; see `ganvas.evaluate`.

        Raises:
            UserError: too few images, no checkpoint, the real images are not available.
        """
        from ganvas.runs.evaluate import evaluate  # it opens runs, as the next two do

        return evaluate(self, data=data, count=count, seed=seed, step=step, ema=ema, features=features)

    def resume(
        self,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        data: str | Path | None = None,
        mmap_threshold: float = memory.MMAP_THRESHOLD,
        device: str = "auto",
        tensorboard: bool | None = None,
        health: str | None = None,
        quiet: bool = False,
        callbacks: Sequence[Callback | str] = (),
    ) -> Self:
        """Continue training, to the end or a new length, and return this run; see `ganvas.resume`."""
        options = {key: value for key, value in locals().items() if key != "self"}
        from ganvas.runs.resume import resume

        self.record = resume(self.path, **options).record
        self._networks.clear()
        self._chosen.clear()
        return self

    def fork(
        self,
        *,
        step: int | str = "best",
        out: str | Path | None = None,
        overrides: Mapping[str, Any] | None = None,
        seed: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        data: str | Path | None = None,
        mmap_threshold: float = memory.MMAP_THRESHOLD,
        device: str = "auto",
        tensorboard: bool | None = None,
        health: str | None = None,
        quiet: bool = False,
        callbacks: Sequence[Callback | str] = (),
        command: str | None = None,
    ) -> Run:
        """Train a new run that continues from a checkpoint of this one; see `ganvas.fork`."""
        options = {key: value for key, value in locals().items() if key != "self"}
        from ganvas.runs.fork import fork

        return fork(self.path, **options)

    def plot(self) -> HTMLPage:
        """The curves of losses, of D's outputs and of the scores; in a notebook they show themselves."""
        return HTMLPage(curves_page(self))

    def live(self) -> None:
        """Show this run while another process trains it, until that ends or you interrupt.

        In a notebook: samples, curves and a bar under the cell; elsewhere the lines of `ganvas train`.
        Interrupting ends the display, not the run.
        """
        watch(self.directory, self.record)

    def report(self, out: str | Path | None = None) -> HTMLPage:
        """Write the run's page to `out` (`RUN/report.html` where None); in a notebook it shows itself.

        Raises:
            StorageError: the disk is full or not writable.
        """
        from ganvas.runs.evaluate import write_report  # it opens runs

        path, _ = write_report(self, None if out is None else Path(out).expanduser())
        return HTMLPage(path.read_bytes(), height=900)

    def animate(self, out: str | Path | None = None, *, subsample: bool | None = None) -> Animation:
        """Write the GIF of all grids (fewer, if the recipe or `subsample` says so); in a notebook it plays.

        Raises:
            RunError: there are no grids, or one is damaged.
            StorageError: the disk is full or not writable.
        """
        path = Path(out).expanduser() if out else self.directory.animation
        fewer = self.recipe.animation == "subsampled" if subsample is None else subsample
        animation.animate(self.directory.sample_files(), path, subsample=fewer)
        return Animation(path)

    def discriminate(self, images: ImageArray, *, step: StepChoice = None) -> list[float]:
        """The discriminator's logit for each image uint8 [N, C, H, W]; above 0 it calls it real.

        In a conditional run it is the highest of the logits of all classes.

        Raises:
            UserError: images of another shape than the run's.
        """
        return discriminate(self, images, step=step)

    def compare_fixed_fakes(self) -> tuple[ImageBatch, list[float], list[float]]:
        """One fixed z through the generator before and after training, judged before and after.

        Returns:
            The two fakes uint8 [2, C, H, W], and the logits of the untrained and of the trained
            discriminator for each. The untrained networks are drawn again from the seed.
        """
        return compare_fixed_fakes(self)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        r = self.record
        where = f"{r.recipe.name} on {r.data.name}, step {self.step} of {r.steps}"
        return one_line(f"Run({str(self.path)!r}: {where})")

    def _classes(self, count: int, class_: str | int | None) -> Tensor | None:
        """`count` times the class that is meant; None where none is."""
        if class_ is None:
            return None
        return torch.full((count,), class_number(self.record, class_, str(self.path)))

    def _require_memory(self, count: int) -> None:
        """Refuse more images than fit: z, the pixels, and the file they become."""
        channels, height, width = self.record.data.image_shape
        each = 3 * channels * height * width + 16 * self.recipe.latent.size + 16 * self.recipe.classes
        memory.require_memory(count * each, f"{count:,} images", "ask for fewer, with another seed each time")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise UserError(f"seed {seed}: expected 0 or more")


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the run directory at `path`; see `Run`.

    Raises:
        RunError: no run there, damaged, or of a newer format.
    """
    return Run.open(path)

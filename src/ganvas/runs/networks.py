"""Which checkpoint of a run is meant, and the networks in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganvas.errors import RunError, UserError
from ganvas.evaluation.history import best_scored_step, scored_steps
from ganvas.networks.conditioning import ConditionalGenerator
from ganvas.recipes.schema import Recipe
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.training import checkpoint
from ganvas.training.state import build_discriminator, build_generator

StepChoice = int | str | None
"""Which checkpoint: a step's number, "best", "newest", or None for the best where there are scores."""


class RunNetworks:
    """The trained networks of a run, by step; they stay in memory once they were asked for.

    Attributes:
        directory, record: of the run.
        notes: what the user should know of the checkpoints that were taken.
    """

    def __init__(self, directory: RunDirectory, record: RunRecord) -> None:
        self.directory, self.record = directory, record
        self.notes: list[str] = []
        self._networks: dict[tuple[str, int], nn.Module] = {}
        self._chosen: dict[StepChoice, int] = {}

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @property
    def recipe(self) -> Recipe:
        """What the run trains."""
        return self.record.recipe

    @property
    def best_step(self) -> int | None:
        """The step with the best score, where one was scored and its checkpoint is there."""
        saved = set(checkpoint.saved_steps(self.directory.checkpoints))
        top = best_scored_step(s for s in scored_steps(self.history()) if s.step in saved)
        return None if top is None else top.step

    @property
    def step(self) -> int:
        """The newest checkpoint's step; 0 before the first."""
        steps = checkpoint.saved_steps(self.directory.checkpoints)
        return steps[-1] if steps else 0

    def resolve_step(self, step: StepChoice = None) -> int:
        """The checkpoint that is meant: a step's own number, the "newest", or the "best" by score.

        None is the best where the run has scores, else the newest. A damaged best one is passed over for
        the newest whole one, with a note.

        Raises:
            RunError: there is no such checkpoint.
        """
        if step not in self._chosen:
            self._chosen[step] = self._choose(step)
        return self._chosen[step]

    def _choose(self, step: StepChoice) -> int:
        steps = checkpoint.saved_steps(self.directory.checkpoints)
        if isinstance(step, int):
            if step not in steps:
                known = ", ".join(map(str, steps)) or "none"
                raise RunError(f"{self.path} has no checkpoint of step {step}; there are: {known}")
            return step
        if step not in (None, "best", "newest"):
            raise UserError(f"step {step}: expected a step's number, best or newest")
        top = None if step == "newest" else self.best_step
        if top is None and step == "best":
            raise RunError(
                f"{self.path} has no scored checkpoint; take one of {steps or 'none'} by its number"
            )
        if top is not None:
            try:
                checkpoint.verify(checkpoint.checkpoint_path(self.directory.checkpoints, top))
            except RunError as error:
                if step == "best":
                    raise
                self._note(f"{error}; taking the newest whole one instead of the best")
            else:
                return top
        path, notes = checkpoint.latest_valid(self.directory.checkpoints)
        for note in notes:
            self._note(note)
        return int(path.name)

    def generator(self, *, step: StepChoice = None, epoch: int | None = None, ema: bool = True) -> nn.Module:
        """The trained generator, in inference mode: z float32 [N, Z] -> images in the pixel range.

        That of a conditional run is a `ConditionalGenerator`: `generator(z, labels=None)`.

        Args:
            step: a checkpoint's step, "best" or "newest"; see `resolve_step`.
            epoch: a generator that the recipe saved by epoch, instead of a checkpoint's.
            ema: the averaged generator, where the run has one.

        Raises:
            RunError: no such checkpoint, or it is damaged.
        """
        network = self.raw_generator(step=step, epoch=epoch, ema=ema)
        if not self.recipe.classes:
            return network
        frequencies = tuple(self.record.class_frequencies) or (1.0,) * self.recipe.classes
        return ConditionalGenerator(network, frequencies, _random_labels).eval()

    def raw_generator(
        self, *, step: StepChoice = None, epoch: int | None = None, ema: bool = True
    ) -> nn.Module:
        """The network itself: z float32 [N, Z], or [N, Z + K] with the one-hot class -> images."""
        if epoch is not None:
            return self._generator_of_epoch(epoch)
        name = "generator_ema" if ema and self.recipe.ema is not None else "generator"
        return self._network(name, step)

    def discriminator(self, *, step: StepChoice = None) -> nn.Module:
        """The trained discriminator, in inference mode: images in the pixel range -> logits [N].

        That of a conditional run gives a logit for each class, [N, K].
        """
        return self._network("discriminator", step)

    def history(self) -> list[dict[str, Any]]:
        """The records of `metrics.jsonl`."""
        return self.directory.read_metrics()

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _network(self, name: str, step: StepChoice) -> nn.Module:
        number = self.resolve_step(step)
        key = (name, number)
        if key not in self._networks:
            recipe, shape = self.recipe, self.record.data.image_shape
            if name == "discriminator":
                network = build_discriminator(recipe, shape)
            else:
                network = build_generator(recipe, shape)
            checkpoint.load_network(
                checkpoint.checkpoint_path(self.directory.checkpoints, number), name, network
            )
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._networks[key] = network.eval()
        return self._networks[key]

    def _generator_of_epoch(self, epoch: int) -> nn.Module:
        file = self.directory.generator_file(epoch)
        if not file.exists():
            found = sorted(self.directory.generators.glob("epoch-*.safetensors"))
            known = ", ".join(p.stem.removeprefix("epoch-").lstrip("0") or "0" for p in found) or "none"
            raise RunError(
                f"{self.path} has no generator of epoch {epoch}; there are: {known} (recipes save them "
                f"where generator_interval says so)"
            )
        network = build_generator(self.recipe, self.record.data.image_shape)
        checkpoint.load_weights(file, network)
        return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def _random_labels(count: int, frequencies: tuple[float, ...]) -> Tensor:
    return torch.multinomial(torch.tensor(frequencies), count, replacement=True)

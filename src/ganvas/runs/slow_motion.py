"""A run's training step in slow motion: on eight real images, on a copy of a checkpoint.

The run itself is not touched. What is shown is what the update rules compute (`ganvas.training.updates`): the
noise, G's images, D's probabilities, both losses, and the gradients at the images, which are all that G ever
learns from D. Turns of D and of G can be taken one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganvas.data.clusters import Labels
from ganvas.data.image_set import ImageSet
from ganvas.errors import UserError
from ganvas.networks.conditioning import (
    Batch,
    GeneratorInput,
    append_one_hot,
    class_logits,
    generate_batch,
)
from ganvas.networks.layers import frozen_statistics
from ganvas.runs.conditioning import restore_conditioning
from ganvas.runs.resume import reload_data
from ganvas.runs.run import Run
from ganvas.training import checkpoint, sampling, updates
from ganvas.training.objectives import OBJECTIVES
from ganvas.training.optimizers import gradients
from ganvas.training.rng import StepRNG
from ganvas.training.state import TrainState
from ganvas.utils import memory
from ganvas.utils.images import ImageArray, to_float, to_uint8

COUNT = 8  # images of each kind
MAX_TURNS = 200
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Frame:
    """What a step looks like before its next turn.

    Attributes:
        z: float32 [8, Z], the same in all turns.
        real: uint8 [8, C, H, W], the real images.
        fake: uint8 [8, C, H, W], G's images of z.
        real_probability: D's probability that each real image is real, [8].
        fake_probability: the same of each generated image, [8].
        discriminator_loss: of both kinds together, by the run's objective, without penalties.
        generator_loss: by the run's objective.
        fake_gradient: uint8 [8, C, H, W]: how G's images should change for G's loss to fall: above 128
            brighter, below darker, scaled by the largest of all.
        real_gradient: how D's loss would fall by a change of the real images: what D looks at.
        generator_norm: length of the gradient of G's loss by G's parameters.
        discriminator_norm: of D's loss by D's.
    """

    z: Tensor
    real: ImageArray
    fake: ImageArray
    real_probability: list[float]
    fake_probability: list[float]
    discriminator_loss: float
    generator_loss: float
    fake_gradient: ImageArray
    real_gradient: ImageArray
    generator_norm: float
    discriminator_norm: float


class SlowMotion:
    """A copy of a run's checkpoint, on which turns are taken.

    Args:
        run: the run.
        step: of the checkpoint.
        seed: of the eight real images and of z.

    Raises:
        RunError: no such checkpoint, or the data set is not there.
    """

    def __init__(self, run: Run, step: int, seed: int = 0) -> None:
        self._run, self._step, self._seed = run, step, seed
        images = reload_data(run.record, None, memory.MMAP_THRESHOLD)
        labels = restore_conditioning(run.directory, run.record, images, began=True)
        self._real = self._eight(images, labels)
        recipe, frequencies = run.recipe, run.record.class_frequencies
        z = sampling.sample_z(recipe.latent, COUNT, seed)
        self._inputs = GeneratorInput(z)
        if recipe.classes:  # of the same classes as the real images, so that they can be compared
            assert self._real.labels is not None
            chosen = self._real.labels
            self._inputs = GeneratorInput(append_one_hot(z, chosen, recipe.classes), chosen)
        self._objective = OBJECTIVES.find(recipe.objective)
        self._context = updates.UpdateContext(
            self._objective, COUNT, classes=recipe.classes, penalties=recipe.penalties,
            pixel_range=recipe.pixel_range, length=run.record.steps,
            generator_eval=recipe.update.generator_mode == "eval",
        )  # fmt: skip
        self._frequencies = frequencies
        self._turns = ""
        self._state = self._load()

    def _eight(self, images: ImageSet, labels: Labels | None) -> Batch:
        rows = np.sort(np.random.default_rng(self._seed).choice(len(images), min(COUNT, len(images)), False))
        rows = np.resize(rows, COUNT)  # of a set of fewer images, some come twice
        pixels = torch.from_numpy(np.ascontiguousarray(images.images[rows]))
        chosen = None if labels is None else torch.from_numpy(labels[rows])
        return Batch(to_float(pixels, self._run.recipe.pixel_range), chosen)

    def _load(self) -> TrainState:
        folder = checkpoint.checkpoint_path(self._run.directory.checkpoints, self._step)
        return checkpoint.load(folder, self._run.record.data.image_shape, _CPU, self._run.recipe)

    def after(self, turns: str) -> Frame:
        """The step after turns like "DGD" from the checkpoint: D's, G's, and D's again.

        Raises:
            UserError: other letters, or more than 200 turns.
        """
        if len(turns) > MAX_TURNS or set(turns) - set("DG"):
            raise UserError(f"turns: expected at most {MAX_TURNS} letters D and G, got {turns[:20]!r}")
        if not turns.startswith(self._turns):
            self._state, self._turns = self._load(), ""
        for turn in turns[len(self._turns) :]:
            self._take(turn)
        self._turns = turns
        return self._frame()

    def _take(self, turn: str) -> None:
        """One turn of a player, as in the alternating rule."""
        state, context = self._state, self._context
        latent = self._run.recipe.latent
        rng = StepRNG(self._seed, state.step, latent.size, latent.distribution, _CPU, self._frequencies)
        rng.seed_layers(state.generator, state.discriminator)
        for network in (state.generator, state.discriminator):
            network.train()
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            optimizer.set_progress(context.fraction(state.step))
        if turn == "D":
            fake = updates.generate_for_discriminator(context, state, self._inputs)
            logits = class_logits(state.discriminator, self._real), class_logits(state.discriminator, fake)
            loss = sum(self._objective.discriminator_loss(*logits), torch.zeros(()))
            updates.discriminator_step(context, state, loss, self._real, fake, rng)
        else:
            updates.generator_step(context, state, generate_batch(state.generator, self._inputs), self._real)
        state.step += 1

    def _frame(self) -> Frame:
        """What there is to see of the state as it is; it does not change."""
        state, pixel_range = self._state, self._run.recipe.pixel_range
        generator, discriminator = state.generator.train(), state.discriminator.train()
        with (
            torch.random.fork_rng(devices=[]),
            frozen_statistics(generator),
            frozen_statistics(discriminator),
        ):
            # The same dropout in all frames: what differs between two is what the turn did.
            rng = StepRNG(self._seed, self._step, 1, "normal", _CPU)
            rng.seed_layers(generator, discriminator)
            fake = generate_batch(generator, self._inputs)
            real = Batch(self._real.images.clone().requires_grad_(), self._real.labels)
            real_logits, fake_logits = class_logits(discriminator, real), class_logits(discriminator, fake)
            d_loss = sum(self._objective.discriminator_loss(real_logits, fake_logits), torch.zeros(()))
            g_loss = self._objective.generator_loss(real_logits, fake_logits)
            d_grads = gradients(d_loss, [real.images, *discriminator.parameters()], retain_graph=True)
            g_grads = gradients(g_loss, [fake.images, *generator.parameters()])
        return Frame(
            self._inputs.z[:, : self._run.recipe.latent.size],
            to_uint8(self._real.images, pixel_range),
            to_uint8(fake.images.detach(), pixel_range),
            real_logits.sigmoid().tolist(),
            fake_logits.sigmoid().tolist(),
            d_loss.item(),
            g_loss.item(),
            signed_map(-g_grads[0]),
            signed_map(-d_grads[0]),
            _norm(g_grads[1:]),
            _norm(d_grads[1:]),
        )


def signed_map(values: Tensor) -> ImageArray:
    """Values [N, C, H, W] as uint8: 128 is 0; the largest magnitude of all is 1 or 255."""
    scale = values.abs().max().clamp(min=1e-20)
    result: ImageArray = (128 + 127 * values / scale).round().to(torch.uint8).numpy()
    return result


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([t.square().sum() for t in tensors]).sum().sqrt())

"""One process's part of a run: from where the state stands to the end, everything observed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganvas import devices
from ganvas.data import ImageSet
from ganvas.data.batches import Batches
from ganvas.errors import GuardStop, TrainingError
from ganvas.observers.display import Display, display
from ganvas.observers.watch import Watch
from ganvas.randomness import StepRandom
from ganvas.rundir import RunDirectory, RunRecord
from ganvas.stopping import stop_requests
from ganvas.training import checkpoint, updates
from ganvas.training.loop import train as training_steps
from ganvas.training.state import TrainState


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; everything is saved. `args[0]` says how to go on."""


@dataclass
class Session:
    """What one process needs to train. `told` are the images with the labels that the players are told."""

    directory: RunDirectory
    record: RunRecord
    images: ImageSet
    told: ImageSet
    batches: Batches
    update: updates.Update
    state: TrainState
    device: torch.device
    quiet: bool


def run(s: Session) -> None:
    """Train to the end of the run's length.

    Raises:
        Interrupted: stopped by the user; a checkpoint was saved.
        TrainingError: a loss or weight is no longer finite.
        StorageError: the disk is full; the last good checkpoint is kept.
    """
    recipe, record, directory = s.record.recipe, s.record, s.directory
    latent, shares = recipe.latent, record.class_shares
    shown = display(record.steps, s.state.step, quiet=s.quiet)

    def random(step: int) -> StepRandom:
        return StepRandom(record.seed, step, latent.size, latent.distribution, s.device, shares)

    devices.make_repeatable(s.device)
    with stop_requests() as stopped, devices.memory_errors(), shown:
        _announce(s, shown)
        checkpoint.sweep(directory.checkpoints)
        directory.sweep()
        watch = Watch(directory, record, s.images, s.told, s.state, shown)
        try:
            for progress in training_steps(
                s.state,
                s.update,
                s.batches,
                random,
                pixel_range=recipe.pixel_range,
                until=record.steps,
                precision=record.precision,
            ):
                watch(progress)
                if stopped() and progress.step < record.steps:
                    watch.save()
                    raise Interrupted(
                        f"stopped at step {progress.step} of {record.steps}, all saved; go on with: "
                        f"ganvas resume {directory.typed}"
                    )
        except GuardStop as stop:
            watch.save()
            raise GuardStop(
                f"stopped by the guard at step {s.state.step}: {stop}; all saved; to go on all the same: "
                f"ganvas resume {directory.typed} --guard warn"
            ) from None
        except TrainingError as error:
            raise TrainingError(f"{error}{_how_to_go_on(directory)}") from None
        finally:
            watch.close()
        watch.finish()


def _announce(s: Session, shown: Display) -> None:
    record = s.record
    channels, height, width = record.data.image_shape
    kind = "grey" if channels == 1 else "RGB"
    begin = f"from step {s.state.step} " if s.state.step else ""
    shown.say(
        f"{record.recipe.name} on {record.data.name}: {record.data.images:,} {kind} images of "
        f"{height}x{width} from {s.images.source}"
    )
    for note in record.notes:
        shown.say(f"note: {note}")
    shown.say(
        f"training {begin}to step {record.steps} ({record.recipe.length}, "
        f"{record.steps_per_epoch} steps an epoch) on {s.device.type}, "
        f"{torch.get_num_threads()} threads, {record.precision}, into {s.directory.path}"
    )


def _how_to_go_on(directory: RunDirectory) -> str:
    saved = checkpoint.steps_saved(directory.checkpoints)
    return f" (last good checkpoint: step {saved[-1]})" if saved else " (none was saved yet)"

"""Training within one process: from the current state to the end of the run, with all its callbacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ganvas.callbacks.base import Callback
from ganvas.callbacks.progress import Display
from ganvas.data import ImageSet
from ganvas.data.batches import Batches
from ganvas.data.clusters import Labels
from ganvas.errors import CallbackError, HealthStop, MachineError, TrainingError
from ganvas.runs.callback_list import start_callbacks
from ganvas.runs.control import TrainerControl
from ganvas.runs.directory import RunDirectory, RunRecord
from ganvas.runs.live import choose_display
from ganvas.runs.own_files import remove_parts
from ganvas.training import checkpoint, updates
from ganvas.training.loop import StepResult, training_steps
from ganvas.training.rng import StepRNG
from ganvas.training.state import TrainState
from ganvas.utils import devices
from ganvas.utils.signals import stop_requests


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; everything is saved. `args[0]` says how to resume."""


@dataclass
class Session:
    """What one process needs to train. `labels` int64 [N] are what the networks are conditioned on, if on
    anything: those of the images, or their clusters.
    """

    directory: RunDirectory
    record: RunRecord
    images: ImageSet
    labels: Labels | None
    batches: Batches
    update: updates.Update
    state: TrainState
    device: torch.device
    quiet: bool
    callbacks: Sequence[Callback] = ()


def run(s: Session) -> None:
    """Train to the end of the run's length.

    Raises:
        Interrupted: stopped by the user; a checkpoint was saved.
        TrainingError: a loss or parameter is no longer finite.
        StorageError: the disk is full; the last good checkpoint is kept.
    """
    record, directory = s.record, s.directory
    display = choose_display(record.steps, s.state.step, quiet=s.quiet)
    devices.make_deterministic(s.device)
    control = TrainerControl(directory.path, s.state.step, record.steps)
    with stop_requests() as stopped, devices.memory_errors(), display:
        _announce(s, display)
        checkpoint.remove_partial(directory.checkpoints)
        remove_parts(directory.path)
        callbacks, checkpointer = start_callbacks(
            directory, record, s.images, s.labels, s.state, display, s.callbacks, control
        )
        try:
            for result in _steps(s):
                callbacks.on_step(result)
                want = control.update(result.step)
                if result.step == record.steps:
                    continue
                if want == "pause" and not stopped():
                    checkpointer.save()  # so that nothing is lost if the machine is switched off meanwhile
                    display.say(f"paused at step {result.step}, everything is saved")
                    want = control.wait(stopped)
                    display.say("continuing")
                if stopped() or want == "stop":
                    checkpointer.save()
                    reason = stopped.reason or "request"
                    control.finish("stopped")
                    callbacks.on_stop(result.step, reason)
                    raise Interrupted(
                        f"stopped by {reason} at step {result.step} of {record.steps}, everything is saved; "
                        f"resume with: ganvas resume {directory.shell_path}"
                    )
            callbacks.on_end()
            if stopped():
                raise Interrupted(
                    f"stopped by {stopped.reason} after the last step, everything is saved; to score the "
                    f"run: ganvas resume {directory.shell_path}"
                )
            control.finish("finished")
        except CallbackError as error:
            checkpointer.save()
            control.finish("failed", str(error))
            raise CallbackError(
                f"{error}; everything is saved; resume with: ganvas resume {directory.shell_path}"
            ) from error.__cause__
        except HealthStop as stop:
            checkpointer.save()
            control.finish("stopped", str(stop))
            raise HealthStop(
                f"stopped by a health check at step {s.state.step}: {stop}; everything is saved; to continue "
                f"anyway: ganvas resume {directory.shell_path} --health warn"
            ) from None
        except TrainingError as error:
            control.finish("failed", str(error))
            raise TrainingError(f"{error}{_last_checkpoint(directory)}") from None
        except MachineError as error:
            control.finish("failed", str(error))
            raise
        finally:
            callbacks.on_close()


def _steps(s: Session) -> Iterator[StepResult]:
    """The training steps from the current state to the end of the run."""
    record, latent = s.record, s.record.recipe.latent
    frequencies = record.class_frequencies

    def rng_at(step: int) -> StepRNG:
        return StepRNG(record.seed, step, latent.size, latent.distribution, s.device, frequencies)

    return training_steps(
        s.state, s.update, s.batches, rng_at,
        pixel_range=record.recipe.pixel_range, until=record.steps, precision=record.precision,
    )  # fmt: skip


def _announce(s: Session, display: Display) -> None:
    record = s.record
    channels, height, width = record.data.image_shape
    kind = "gray" if channels == 1 else "RGB"
    begin = f"from step {s.state.step} " if s.state.step else ""
    threads = torch.get_num_threads()
    display.say(
        f"{record.recipe.name} on {record.data.name}: {record.data.images:,} {kind} images of "
        f"{height}x{width} from {s.images.source}"
    )
    for note in record.notes:
        display.say(f"note: {note}")
    display.say(
        f"training {begin}to step {record.steps} ({record.recipe.length}, "
        f"{record.steps_per_epoch} steps per epoch) on {s.device.type}, "
        f"{threads} thread{'s' * (threads > 1)}, {record.precision}, into {s.directory.path}"
    )


def _last_checkpoint(directory: RunDirectory) -> str:
    saved = checkpoint.saved_steps(directory.checkpoints)
    return f" (last good checkpoint: step {saved[-1]})" if saved else " (none was saved yet)"

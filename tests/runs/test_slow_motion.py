"""A training step in slow motion: true to the objective, and without any effect on the run."""

import hashlib

import numpy as np
import pytest
import torch

import ganvas
import tiny
from ganvas.errors import UserError
from ganvas.runs.slow_motion import SlowMotion, signed_map


@pytest.fixture(scope="module", params=["mlp", "tutorial-dcgan", "auto"])
def run(request, tmp_path_factory):
    """A short run of a recipe, conditional where that is the recipe's way."""
    overrides = {"health": "off"}
    return tiny.train(tmp_path_factory.mktemp(request.param), request.param, steps=12, overrides=overrides)


def files(run):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in run.path.rglob("*") if p.is_file()}


def test_the_run_is_untouched_and_the_same_turns_give_the_same_step(run):
    before = files(run)
    first = SlowMotion(run, run.step).after("DGGD")
    other = SlowMotion(run, run.step)
    for turns in ("D", "DG", "", "G", "DGGD"):
        second = other.after(turns)
    assert files(run) == before
    assert np.array_equal(first.fake, second.fake)
    assert first.real_probability == second.real_probability
    assert first.generator_loss == second.generator_loss


def test_looking_does_not_change_what_comes(run):
    looked, blind = SlowMotion(run, run.step), SlowMotion(run, run.step)
    for turns in ("D", "DG", "DGD"):
        looked.after(turns)
    assert looked.after("DGDG").generator_loss == blind.after("DGDG").generator_loss


def test_a_turn_moves_its_own_player_only(run):
    slow = SlowMotion(run, run.step)
    start = slow.after("")
    after_d = slow.after("D")
    assert np.array_equal(start.fake, after_d.fake)
    assert start.real_probability != after_d.real_probability
    after_g = SlowMotion(run, run.step).after("G")
    assert start.real_probability == pytest.approx(after_g.real_probability, abs=1e-6)
    assert start.fake_probability != after_g.fake_probability


def test_many_turns_of_one_player_lower_its_loss(run):
    start = SlowMotion(run, run.step).after("")
    assert SlowMotion(run, run.step).after(40 * "D").discriminator_loss < start.discriminator_loss
    assert SlowMotion(run, run.step).after(40 * "G").generator_loss < start.generator_loss


def test_the_numbers_are_those_of_the_objective(tmp_path):
    run = tiny.train(tmp_path, "tutorial-dcgan", steps=5)
    frame = SlowMotion(run, run.step).after("")
    real, fake = (
        torch.tensor(p, dtype=torch.float64) for p in (frame.real_probability, frame.fake_probability)
    )
    assert frame.discriminator_loss == pytest.approx(float(-(real.log() + (1 - fake).log()).mean()), rel=1e-4)
    assert frame.generator_loss == pytest.approx(float(-fake.log().mean()), rel=1e-4)


def test_moving_the_images_along_the_gradient_lowers_the_loss(tmp_path):
    """The map of a fake image says how it should change: D then takes it for more real."""
    run = tiny.train(tmp_path, "mlp", steps=40)
    frame = SlowMotion(run, run.step).after("")
    moved = np.clip(frame.fake + 0.5 * (frame.fake_gradient.astype(float) - 128), 0, 255).astype(np.uint8)
    before, after = run.discriminate(frame.fake), run.discriminate(moved)
    assert np.mean(after) > np.mean(before)


@pytest.mark.parametrize("turns", ["d", "DGX", "DG" * 101])
def test_other_turns_are_refused(run, turns):
    with pytest.raises(UserError, match="letters D and G"):
        SlowMotion(run, run.step).after(turns)


def test_the_eight_real_images_are_of_the_data_set_and_classes_agree(tmp_path):
    np.savez(tmp_path / "discs.npz", images=tiny.images(), labels=np.arange(72) % 3)
    run = tiny.train(tmp_path, "mlp", steps=2, data=tmp_path / "discs.npz", conditional=True)
    slow = SlowMotion(run, run.step)
    known = {image.tobytes(): label for image, label in zip(tiny.images(), np.arange(72) % 3, strict=True)}
    labels = [known[image.tobytes()] for image in slow.after("").real]
    assert slow._inputs.labels.tolist() == labels


def test_a_signed_map_has_zero_in_the_middle_and_the_largest_at_an_end():
    values = torch.tensor([0.0, 2.0, -1.0]).view(3, 1, 1, 1)
    assert signed_map(values).flatten().tolist() == [128, 255, 64]
    assert signed_map(torch.zeros(1, 1, 2, 2)).flatten().tolist() == [128] * 4


def test_a_set_of_fewer_than_eight_images_is_shown_all_the_same(tmp_path):
    np.savez(tmp_path / "few.npz", images=tiny.images(count=5))
    run = ganvas.train(
        "mlp", tmp_path / "few.npz", tmp_path / "run", steps=2, quiet=True,
        overrides={**tiny.TINY["mlp"], "batch_size": 4, "scores": None},
    )  # fmt: skip
    assert SlowMotion(run, run.step).after("DG").real.shape[0] == 8

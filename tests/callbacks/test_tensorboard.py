"""TensorBoard's events are read back by TensorBoard itself."""

import pytest

import ganvas
import tiny

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def events(run):
    result = accumulator.EventAccumulator(str(run.directory.tensorboard), {"images": 0, "scalars": 0})
    return result.Reload()


def test_scalars_of_every_logged_step_grids_graph_and_hyper_parameters_are_written(tmp_path):
    run = tiny.train(tmp_path, "tf1-dcgan", steps=4, overrides={"tensorboard": True, "grid.interval": 2})
    result = events(run)
    losses = result.Scalars("loss/generator_loss")
    assert [event.step for event in losses] == [1, 2, 3, 4]
    logged = [line["generator_loss"] for line in run.history()]
    assert [event.value for event in losses] == pytest.approx(logged)
    assert [event.step for event in result.Images("samples")] == [0, 2, 4]
    assert "Conv" in str(result.Graph())
    assert result.SummaryMetadata("recipe/text_summary")
    assert "batch_size" in str(result.SummaryMetadata("_hparams_/session_start_info"))


def test_a_resumed_run_shows_each_step_once(tmp_path):
    tiny.train(tmp_path, steps=3, overrides={"tensorboard": True})
    run = ganvas.resume(tmp_path / "run", steps=6, quiet=True)
    assert [event.step for event in events(run).Scalars("loss/generator_loss")] == [1, 2, 3, 4, 5, 6]


def test_any_recipe_can_write_them(tmp_path):
    run = tiny.train(tmp_path, "keras-cnn", steps=2, tensorboard=True)
    assert events(run).Scalars("loss/discriminator_loss")


def test_scores_are_written_at_the_steps_that_were_scored(tmp_path):
    overrides = {"tensorboard": True, "scores": {"interval": 2, "images": 24, "final": 24}}
    run = tiny.train(tmp_path, steps=4, overrides=overrides)
    distances = events(run).Scalars("score/fid")
    assert [event.step for event in distances] == [2, 4]
    logged = [line["score"]["fid"] for line in run.history() if "score" in line]
    assert [event.value for event in distances] == pytest.approx(logged)

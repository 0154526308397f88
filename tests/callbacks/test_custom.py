"""User callbacks cannot change what is trained; one that fails ends the run in one line."""

import random

import numpy as np
import pytest
import torch

import ganvas
import tiny
from ganvas.callbacks import Callback
from ganvas.errors import CallbackError
from ganvas.networks.layers import inference


class Disturbing(Callback):
    """Draws from every global generator and runs the generator after each step."""

    def on_start(self, context):
        self.context, self.images = context, 0

    def on_step(self, result):
        random.random()
        np.random.rand(3)
        z = torch.randn(2, self.context.recipe.generator_input_size)
        with inference(result.state.generator):
            self.images += len(result.state.generator(z))


class Failing(Callback):
    def on_step(self, result):
        if result.step == 3:
            raise ValueError("no such thing")


def test_a_callback_that_draws_random_numbers_and_samples_leaves_the_bits_as_they_were(tmp_path):
    data, callback = tiny.data_file(tmp_path), Disturbing()
    plain = tiny.train(tmp_path, "mlp", steps=6, name="plain", data=data)
    watched = tiny.train(tmp_path, "mlp", steps=6, name="watched", data=data, callbacks=[callback])
    assert callback.images == 12
    assert tiny.weights(watched) == tiny.weights(plain)


def test_a_callback_that_fails_ends_the_run_with_a_checkpoint_and_its_name_in_one_line(tmp_path):
    data = tiny.data_file(tmp_path)
    with pytest.raises(CallbackError) as error:
        tiny.train(tmp_path, "mlp", steps=6, name="run", data=data, callbacks=[Failing()])
    line = str(error.value)
    assert "callback Failing failed in on_step at step 3: ValueError: no such thing" in line
    assert "\n" not in line
    assert ganvas.open_run(tmp_path / "run").step == 3

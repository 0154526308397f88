"""bf16 rounds products and nothing else; what was chosen is recorded, and a run goes on in it."""

import json

import pytest
import torch

import ganvas
import tiny
from ganvas import recipes
from ganvas.errors import RecipeError
from ganvas.networks.conditioning import Batch
from ganvas.training import updates
from ganvas.training.rng import StepRNG
from ganvas.training.state import new_state
from ganvas.utils import devices

RECIPES = ["tutorial-dcgan", "keras-cnn", "mlp", "tf1-dcgan"]
CPU = torch.device("cpu")


def one_step(name, precision):
    recipe = recipes.load_recipe(name).with_overrides({**tiny.TINY[name], "batch_size": 64})
    state = new_state(recipe, (1, 28, 28), 0, CPU)
    real = torch.rand(recipe.real_batch_size, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    real = real.contiguous(memory_format=torch.channels_last)
    latent = recipe.latent
    with devices.autocast(precision, CPU):
        random = StepRNG(0, 0, latent.size, latent.distribution, CPU)
        terms = updates.make_update(recipe)(state, Batch(real), random)
    return state, terms


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_in_bf16_is_the_step_in_fp32_but_for_rounding(name):
    _, exact = one_step(name, "fp32")
    state, rounded = one_step(name, "bf16")
    for term in exact:
        if "accuracy" not in term:
            assert rounded[term].item() == pytest.approx(exact[term].item(), rel=0.05, abs=0.02)
    tensors = [*state.generator.state_dict().values(), *state.discriminator.state_dict().values()]
    assert {t.dtype for t in tensors} == {torch.float32}


@pytest.mark.parametrize("name", RECIPES)
def test_terms_logits_and_images_are_fp32_at_any_precision(name):
    state, metrics = one_step(name, "bf16")
    assert {value.dtype for value in metrics.values()} == {torch.float32}
    with devices.autocast("bf16", CPU), torch.no_grad():
        fake = state.generator(torch.zeros(2, 100))
        assert fake.dtype == torch.float32
        assert state.discriminator(fake).dtype == torch.float32


def test_a_run_records_its_precision_and_resumes_in_it_to_the_same_bits(tmp_path):
    whole = tiny.train(tmp_path, steps=6, name="whole", precision="bf16")
    tiny.train(tmp_path, steps=3, name="parts", precision="bf16")
    parts = ganvas.resume(tmp_path / "parts", steps=6, quiet=True)
    other = tiny.train(tmp_path, steps=6, name="other", precision="fp32")
    assert json.loads(parts.directory.record_path.read_text())["precision"] == "bf16"
    assert tiny.weights(parts) == tiny.weights(whole) != tiny.weights(other)


def test_auto_is_bf16_where_the_processor_multiplies_it(tmp_path, monkeypatch):
    for has, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(devices, "has_bf16", lambda has=has: has)
        assert devices.resolve_precision("auto", CPU) == expected
        assert devices.resolve_precision("fp32", CPU) == "fp32"
        assert tiny.train(tmp_path, name=expected, steps=1, precision="auto").record.precision == expected


def test_a_recipe_is_fp32_by_default(tmp_path):
    assert tiny.train(tmp_path, steps=1).record.precision == "fp32"


def test_a_fork_may_change_the_precision(tmp_path):
    run = tiny.train(tmp_path, steps=4, precision="bf16", overrides={"checkpoint_interval": 2})
    same = ganvas.fork(run.path, step=2, out=tmp_path / "same", quiet=True)
    other = ganvas.fork(run.path, step=2, out=tmp_path / "o", overrides={"precision": "fp32"}, quiet=True)
    assert same.record.precision == "bf16"
    assert other.record.precision == "fp32"


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="precision"):
        tiny.train(tmp_path, precision="fp16")


def test_sampling_is_fp32_whatever_the_run_was_trained_in(tmp_path):
    run = tiny.train(tmp_path, steps=2, precision="bf16")
    z = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    images = run.generator()(z)
    exact = run.generator().double()(z.double())
    assert images.dtype == torch.float32
    assert (images - exact).abs().max() < 1e-5


@pytest.mark.parametrize("name", RECIPES)
def test_a_generator_at_its_own_first_weights_draws_the_same_in_bf16(name):
    """At full width: `tf1-dcgan`'s layers begin with biases of thousands, which bf16 could not add to."""
    recipe = recipes.load_recipe(name)
    generator = new_state(recipe, (1, 28, 28), 0, CPU).generator.train()
    z = torch.randn(32, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact = generator(z)
        with devices.autocast("bf16", CPU):
            rounded = generator(z)
    assert (rounded - exact).square().mean().sqrt() < 0.02 * exact.std()

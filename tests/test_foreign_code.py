"""Plugins and recipe files may raise and print what they like, while imported and later: one line says it."""

import importlib
import itertools
import json
import subprocess
import sys

import pytest

import tiny
from ganvas.callbacks import CALLBACKS
from ganvas.cli import main
from ganvas.errors import RecipeError, UserError
from ganvas.evaluation.metric_info import CUSTOM_METRICS
from ganvas.features import EXTRACTORS
from ganvas.networks import DiscriminatorSpec, GeneratorSpec
from ganvas.recipes import load_recipe
from ganvas.recipes.optimizers import Optimizer
from ganvas.registry import foreign_origin, load_entry_points, load_plugin
from ganvas.training.objectives import OBJECTIVES
from ganvas.training.penalties import PENALTIES
from ganvas.training.updates import UPDATE_RULES

# How code can raise, and what a line says of it.
RAISES = {
    "Exception": ("raise ValueError('too\\nbad')", "ValueError: too bad"),
    "BaseException": ("raise BaseException('too bad')", "BaseException: too bad"),
    "own BaseException": ("raise type('Mine', (BaseException,), {})('too bad')", "Mine: too bad"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "StopIteration": ("raise StopIteration(3)", "StopIteration: 3"),
    "StopAsyncIteration": ("raise StopAsyncIteration", "StopAsyncIteration"),
    "SystemExit": ("raise SystemExit", "SystemExit"),
    "exit code 0": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "exit with a word": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "CancelledError": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "recursion": ("(lambda f: f(f))(lambda f: f(f))", "RecursionError: maximum recursion depth exceeded"),
    "group": ("raise ExceptionGroup('many', [ValueError(1), KeyError(2)])", "ExceptionGroup: many"),
    "no message": ("assert False", "AssertionError"),
    "OSError": ("open('/nowhere/at/all')", "FileNotFoundError: [Errno 2] No such file"),
    "BrokenPipeError": ("raise BrokenPipeError", "BrokenPipeError"),
    "a megabyte": ("raise ValueError('x' * 10**6)", "ValueError: xxx"),
    "escape sequences": ("raise ValueError(chr(27) + chr(7))", r"ValueError: \x1b\x07"),
    "surrogate": ("raise ValueError('\\ud800')", r"ValueError: \ud800"),
    "no text": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
        "Mute: its message cannot be read",
    ),
    "a hostile name": ("raise type('A\\nganvas: all is well', (Exception,), {})", r"A\nganvas: all is well"),
    "chained": ("\n    try: 1 / 0\n    except ZeroDivisionError: raise KeyError('k')", "KeyError: 'k'"),
}


@pytest.fixture
def forget():
    """The modules that a test imports are forgotten after it."""
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        sys.modules.pop(name)


def refused(error, call, *arguments):
    """The line of the error with which a call is refused."""
    with pytest.raises(error) as caught:
        call(*arguments)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 600
    return line


@pytest.mark.parametrize(("code", "expected"), RAISES.values(), ids=RAISES)
def test_whatever_code_raises_while_it_is_imported_is_one_line(tmp_path, monkeypatch, forget, code, expected):
    text = f"if True:\n    {code}\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "mine_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    before = sys.stdout, sys.stderr
    for error, call, name in (
        (UserError, load_plugin, str(tmp_path / "mine.py")),
        (UserError, load_plugin, "mine_module"),
        (RecipeError, load_recipe, tmp_path / "mine.py"),
        (RecipeError, load_recipe, "mine_module:recipe"),
    ):
        line = refused(error, call, name)
        assert expected in line
        assert str(name).partition(":")[0] in line
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("source", ["", "\0", "def", "\ud800", "import nowhere_at_all", "recipe = 3"])
@pytest.mark.parametrize("call", [load_plugin, load_recipe])
def test_a_file_that_is_no_python_or_no_recipe_is_one_line(tmp_path, source, call):
    file = tmp_path / "mine.py"
    file.write_text(source, errors="surrogatepass")
    if call is load_plugin and source in ("", "recipe = 3"):
        load_plugin(str(file))
    else:
        refused(UserError, call, str(file))


@pytest.mark.parametrize(
    "name",
    ["nowhere.py", "nowhere_at_all", "", ".", "..", "a b", "\0", "x" * 100_000, "\x1b", "ganvas.nothing"],
)
def test_a_plugin_that_is_none_is_one_line(name):
    refused(UserError, load_plugin, name)


@pytest.mark.parametrize("call", [load_plugin, load_recipe])
def test_a_file_of_gigabytes_is_not_read_as_code(tmp_path, call):
    with (tmp_path / "mine.py").open("wb") as file:
        file.truncate(2**40)  # of holes
    assert "expected a Python file of at most" in refused(UserError, call, str(tmp_path / "mine.py"))


def test_ctrl_c_while_a_plugin_is_imported_stays_the_users(tmp_path, capsys):
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    assert main(["recipes", "--plugin", str(tmp_path / "slow.py")]) in (2, 130)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "code",
    [
        "print('hello')",
        "import sys; sys.stdout.write('hello\\n'); sys.stdout = None",
        "import sys, io; sys.stdout = sys.stderr = io.StringIO(); print('lost')",
        "import sys; sys.stdout = open('/dev/full', 'w'); sys.stderr = sys.stdout",
    ],
)
def test_what_a_plugin_prints_or_puts_in_the_place_of_stdout_does_not_reach_the_results(tmp_path, code):
    (tmp_path / "loud.py").write_text(code)
    words = [sys.executable, "-m", "ganvas", "recipes", "show", "mlp", "--plugin", str(tmp_path / "loud.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "mlp"


# Where code of one's own is called, and the settings that make it so.
PLACES = {
    "objective": ["objective=boom"],
    "penalty": ['penalties=[{"kind": "boom", "weight": 1}]'],
    "update rule": ["update.rule=boom"],
    "generator": ['generator={"kind": "boom"}'],
    "generator's build": ['generator={"kind": "boom_build"}'],
    "discriminator": ['discriminator={"kind": "boom"}'],
    "discriminator's gradient": ['discriminator={"kind": "boom_backward"}'],
    "optimizer": ['generator_optimizer={"kind": "boom", "learning_rate": 1}'],
    "optimizer's build": ['generator_optimizer={"kind": "boom_build", "learning_rate": 1}'],
    "validation of a setting": ['generator={"kind": "boom_setting", "width": 3}'],
    "callback": [],
}
PLUGIN = """
import ganvas, pydantic, torch
from torch import nn
from typing import Literal
from ganvas.callbacks import Callback
from ganvas.networks import GeneratorSpec, DiscriminatorSpec
from ganvas.recipes.optimizers import Optimizer

def boom():
    {code}

@ganvas.register.objective("boom")
def objective(real, fake): boom()

@ganvas.register.penalty("boom")
def penalty(discriminator, real, fake, uniform): boom()

@ganvas.register.update_rule("boom")
def rule(context, state, real, rng): boom()

@ganvas.register.callback("boom")
class Boom(Callback):
    def on_step(self, result): boom()

class Layer(nn.Flatten):
    def forward(self, x):
        if self.training: boom()
        return super().forward(x)

class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, grad): boom()

class BackwardLayer(nn.Module):
    def forward(self, x): return Backward.apply(x)

class G(GeneratorSpec):
    kind: Literal["boom"] = "boom"
    def build(self, image_shape, latent_size, pixel_range):
        return nn.Sequential(nn.Linear(latent_size, 144), Layer(), nn.Unflatten(1, image_shape))

class GB(GeneratorSpec):
    kind: Literal["boom_build"] = "boom_build"
    def build(self, image_shape, latent_size, pixel_range): boom()

class GS(GeneratorSpec):
    kind: Literal["boom_setting"] = "boom_setting"
    width: int = 2
    @pydantic.field_validator("width")
    @classmethod
    def check(cls, value): boom()

class D(DiscriminatorSpec):
    kind: Literal["boom"] = "boom"
    def build(self, image_shape, classes=0):
        return nn.Sequential(Layer(), nn.Linear(144, 1), nn.Flatten(0))

class DB(DiscriminatorSpec):
    kind: Literal["boom_backward"] = "boom_backward"
    def build(self, image_shape, classes=0):
        return nn.Sequential(nn.Flatten(), nn.Linear(144, 1), BackwardLayer(), nn.Flatten(0))

class O(Optimizer):
    kind: Literal["boom"] = "boom"
    def build(self, parameters):
        class SGD(torch.optim.SGD):
            def step(self, closure=None): boom()
        return SGD(parameters, lr=1)

class OB(Optimizer):
    kind: Literal["boom_build"] = "boom_build"
    def build(self, parameters): boom()
"""
SMALL = ["batch_size=8", "scores=null", "generator.hidden=[8]", "discriminator.hidden=[8]", "latent.size=4"]
IN_TRAINING = ("Exception", "BaseException", "GeneratorExit", "StopIteration", "exit code 0", "recursion")
TRIES = [
    *itertools.product(PLACES, IN_TRAINING[:3]),
    *itertools.product(["objective", "generator", "callback"], IN_TRAINING[3:]),
]


@pytest.fixture
def known():
    """What a test registers is forgotten after it."""
    registries = (
        *(OBJECTIVES, PENALTIES, UPDATE_RULES, CUSTOM_METRICS, CALLBACKS, EXTRACTORS),
        *(GeneratorSpec.kinds, DiscriminatorSpec.kinds, Optimizer.kinds),
    )
    before = [set(names) for names in registries]
    yield
    for names, old in zip(registries, before, strict=True):
        for name in set(names) - old:
            names.remove(name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(tiny.data_file(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """A run of two steps."""
    overrides = {"generator.hidden": [8], "discriminator.hidden": [8]}
    return tiny.train(tmp_path_factory.mktemp("run"), "mlp", steps=2, data=data, overrides=overrides).path


@pytest.fixture
def plugin(tmp_path, known):
    def make(code):
        path = tmp_path / "my_gan.py"
        path.write_text(PLUGIN.replace("{code}", code))
        return str(path)

    return make


@pytest.mark.parametrize(("place", "name"), TRIES)
def test_whatever_code_raises_while_it_trains_is_one_line_that_names_file_and_line(
    tmp_path, data, plugin, capsys, place, name
):
    code, expected = RAISES[name]
    words = ["train", "mlp", "--data", data, "--out", str(tmp_path / "run"), "--steps", "2", "--quiet"]
    words += ["--plugin", plugin(code), "--device", "cpu", "--threads", "1"]
    words += ["--callback", "boom"] * (place == "callback")
    assert main([*words, *(w for setting in (*SMALL, *PLACES[place]) for w in ("--set", setting))]) == 2
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert "Traceback" not in output.err
    assert "mistake in ganvas" not in output.err
    assert lines[-1].startswith("ganvas: ")
    if (place, name) == ("validation of a setting", "Exception"):  # so pydantic's validators refuse a value
        assert lines[-1].startswith("ganvas: recipe key 'generator.width': too")
    else:
        assert expected in lines[-1]
        assert "my_gan.py, line " in lines[-1] or place == "callback"


@pytest.mark.parametrize("name", RAISES)
def test_whatever_a_metric_raises_is_one_line_and_what_it_prints_is_no_part_of_the_json(
    trained, tmp_path, known, capsys, name
):
    code, expected = RAISES[name]
    plugin = tmp_path / "my_metric.py"
    head = "import ganvas\n@ganvas.register.metric('boom', title='Boom')\ndef metric(fake, real):\n"
    words = ["evaluate", str(trained), "--count", "24", "--json", "--plugin", str(plugin)]
    plugin.write_text(f"{head}    print('hello')\n    return 3.5\n")
    if name == "Exception":
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["boom"] == 3.5
    plugin.write_text(f"{head}    print('hello')\n    {code}\n")
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f"ganvas: metric boom failed: {expected}" in output.err.splitlines()[-1]


@pytest.mark.parametrize("name", RAISES)
def test_whatever_a_feature_extractor_raises_is_one_line(trained, tmp_path, known, capsys, name):
    code, expected = RAISES[name]
    plugin = tmp_path / "my_features.py"
    head = "import ganvas\n@ganvas.register.features('boom')\ndef features(images, device):\n"
    plugin.write_text(f"{head}    {code}\n")
    words = ["evaluate", str(trained), "--count", "24", "--features", "boom", "--plugin", str(plugin)]
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("ganvas: my_features.py, line ")
    assert expected in line


@pytest.mark.parametrize("name", ["BaseException", "SystemExit", "exit code 0", "GeneratorExit"])
def test_whatever_the_plugin_of_an_installed_package_raises_is_one_line(tmp_path, monkeypatch, forget, name):
    code, expected = RAISES[name]
    (tmp_path / "installed_gan.py").write_text(code)
    metadata = tmp_path / "installed_gan-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-gan\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[ganvas.plugins]\nmine = installed_gan\n")
    monkeypatch.syspath_prepend(tmp_path)
    load_entry_points.cache_clear()
    line = refused(UserError, load_entry_points)
    assert line == f"plugin mine (installed_gan) failed: {expected}"


def test_a_mistake_of_an_installed_package_is_not_taken_for_a_plugins(tmp_path, monkeypatch, forget):
    package = tmp_path / "lib" / "site-packages"
    package.mkdir(parents=True)
    (package / "some_package.py").write_text("def fail(): raise ValueError")
    (tmp_path / "own_code.py").write_text("def fail(): raise ValueError\ndef call(f): f()")
    monkeypatch.syspath_prepend(package)
    monkeypatch.syspath_prepend(tmp_path)
    some_package, own_code = map(importlib.import_module, ("some_package", "own_code"))

    def origin(call, *arguments):
        with pytest.raises(ValueError) as caught:
            call(*arguments)
        trace = caught.value.__traceback__
        while trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return foreign_origin(caught.value.with_traceback(trace))

    assert origin(some_package.fail) is None
    assert origin(own_code.fail).startswith("own_code.py, line 1, in fail: ValueError")
    assert origin(own_code.call, some_package.fail).startswith("own_code.py, line 2, in call")

"""Whatever run.json says: each command answers in one line, and a value that is accepted breaks none."""

import itertools
import json
import shutil

import pytest

import tiny
from ganvas.errors import RunError
from ganvas.runs.directory import RunDirectory
from hostile import COMMANDS, call

NASTY = {
    "10^400": "1" + "0" * 400,
    "5000 digits": "1" * 5000,
    "-1": "-1",
    "2^63": str(2**63),
    "1e400": "1e400",
    "NaN": "NaN",
    "null": "null",
    "a list": '["a", 1]',
    "nested": "[" * 900 + "]" * 900,
    "nested deep": "[" * 100_000 + "]" * 100_000,
    "half a surrogate pair": '"\\ud800"',
    "a key of half a surrogate pair": '{"\\ud800": 1}',
    "control characters": '"\\u001b]52;c;eA==\\u0007\\n\\u009b"',
    "a null character": '"a\\u0000b"',
    "nothing": '""',
    "a path": '"../../../../../etc/passwd"',
    "year 1": '"0001-01-01T00:00:00+00:00"',
    "year 9999": '"9999-12-31T23:59:59-23:59"',
}
"""JSON texts for the place of a value."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A forked run, which has all that run.json can say, and another one to compare it with."""
    folder = tmp_path_factory.mktemp("trained")
    how = {"checkpoint_interval": 2, "generator_interval": 2, "grid.interval": 2}
    parent = tiny.train(folder, "mlp", steps=4, name="parent", overrides=how, clusters=2)
    parent.fork(step=2, out=folder / "run", overrides={"ema": 0.9}, seed=3, steps=5, quiet=True)
    tiny.train(folder, "mlp", steps=2, name="other")
    return folder


@pytest.fixture(scope="module")
def record(trained):
    return json.loads((trained / "run" / "run.json").read_text())


def fields(value, path=()):
    """The paths of all values in a JSON value, of lists the first two."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value[:2]):
            yield from fields(item, (*path, key))


def changed(record, path, text):
    """The record as JSON, with `text` in the place of one value."""
    marked = json.loads(json.dumps(record))
    inner = marked
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "MARK"
    return json.dumps(marked).replace('"MARK"', text)


def paths(record, *, recipe):
    return [path for path in fields(record) if path and (path[0] == "recipe" and len(path) > 1) == recipe]


@pytest.mark.parametrize("value", NASTY)
def test_every_field_with_a_nasty_value_is_refused_or_harmless(trained, tmp_path, record, value):
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.copytree(trained / "other", tmp_path / "other")
    turns = itertools.cycle([command for command in COMMANDS if command != "show"])
    accepted = 0
    for path in paths(record, recipe=False):
        run, text = tmp_path / "run", changed(record, path, NASTY[value])
        (run / "run.json").write_text(text)
        code, lines = call(COMMANDS["show"](run))
        assert_one_line(code, lines, path)
        if code == 0:  # of the other commands, each takes its turn
            accepted += 1
            victim = shutil.copytree(run, tmp_path / "victim")
            command = next(turns)
            assert_one_line(*call(COMMANDS[command](victim)), (command, *path))
            shutil.rmtree(victim)
            shutil.rmtree(tmp_path / "victim-from-2", ignore_errors=True)
    assert accepted < 30


def assert_one_line(code, lines, what):
    """0 without an error line, or 2 with one at the end."""
    assert code in (0, 2), (what, code, lines)
    errors = [line for line in lines if line.startswith("ganvas: ")]
    assert errors == ([] if code == 0 else lines[-1:]), (what, lines)
    assert "mistake" not in " ".join(errors), what


@pytest.mark.parametrize("value", ["10^400", "NaN", "nested", "half a surrogate pair", "a list", "null"])
def test_every_recipe_key_with_a_nasty_value_is_refused_in_one_line_or_read(trained, tmp_path, record, value):
    directory = RunDirectory(tmp_path)
    errors = []
    for path in paths(record, recipe=True):
        directory.record_path.write_text(changed(record, path, NASTY[value]))
        try:
            directory.read()
        except RunError as error:
            errors.append(str(error))
    assert len(errors) > 20
    assert not [error for error in errors if "\n" in error or len(error) > 1000]


@pytest.mark.parametrize("device", ["-1", "", "mps", 7, "a\0b"])
def test_a_run_from_a_device_that_is_not_known_here_is_forked(trained, tmp_path, record, device):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    (run / "run.json").write_text(changed(record, ("machine", "device"), json.dumps(device)))
    code, lines = call([*COMMANDS["fork"](run), "--quiet"])
    assert (code, lines) == (0, [])

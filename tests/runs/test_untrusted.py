"""What a run directory says is not trusted: hostile values in its files, through all commands that read them.

Each is a clear line or counts as missing, and nothing moves the terminal's cursor. The reader's own tests
(tests/evaluation/test_history.py) put each value into each field alone; here it is in every field of the
log and of the evaluation at once, and in each field of `run.json` alone.
"""

import csv
import itertools
import json
import math
import random
import re
import shutil

import pytest

import ganvas
import tiny
import untrusted
from ganvas import cli
from ganvas.errors import GanvasError
from ganvas.evaluation.history import read_evaluations
from ganvas.report import compare, report
from ganvas.runs.run import Run
from ganvas.runs.summary import summary

SCORES = {"scores": {"interval": 3, "images": 24, "final": 30}}
by_value = pytest.mark.parametrize("text", untrusted.VALUES, ids=untrusted.label)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run of 6 steps that was scored while training and after."""
    return tiny.train(tmp_path_factory.mktemp("scored"), "mlp", overrides=SCORES).path


@pytest.fixture
def run(scored, tmp_path):
    return Run.open(shutil.copytree(scored, tmp_path / "run"))


def corrupt_log(run, *texts):
    """Add lines to `metrics.jsonl`: copies of its own with each of `texts` in each field."""
    lines = run.directory.metrics.read_text().splitlines()
    health = json.dumps({"step": 6, "epoch": 1, "health": "worse", "message": "it got worse"})
    stop = json.dumps({"step": 6, "epoch": 1, "stopped": "Ctrl-C"})
    hostile = []
    scores = [line for line in lines if '"score"' in line]
    documents = [json.loads(line) for line in (lines[0], scores[0], health, stop)]
    for document, text in itertools.product(documents, texts):
        hostile += [untrusted.replaced(document, path, text) for path in untrusted.paths(document)]
        hostile.append(untrusted.leaves_replaced(document, text, keep=("step",)))
    run.directory.metrics.write_text("\n".join([*lines, *hostile, scores[-1]]) + "\n")


def corrupt_evaluation(run, text):
    document = json.loads(run.directory.evaluation.read_text())
    document["evaluations"].append(json.loads(untrusted.leaves_replaced(document["evaluations"][0], '"@"')))
    run.directory.evaluation.write_text(json.dumps(document).replace('"@"', text))


def assert_harmless(capsys, code):
    """The output of a command is printable lines, its errors are one, and none is a mistake in ganvas."""
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in (out + err).split("\n"))
    assert "mistake in ganvas" not in err
    assert "Traceback" not in err
    assert code in (0, 2)
    if code:
        assert err.count("\n") == 1


@by_value
def test_hostile_values_in_log_and_evaluation_count_as_missing_in_every_command(run, tmp_path, capsys, text):
    corrupt_log(run, text)
    corrupt_evaluation(run, text)
    path, page, table = map(str, (run.path, tmp_path / "page.html", tmp_path / "table.csv"))
    for words in (
        ["show", path],
        ["compare", path, "--out", page, "--json"],
        ["compare", path, "--out", table],
    ):
        assert_harmless(capsys, cli.main(words))
    for page in (report(run, tmp_path / "report.html"), tmp_path / "page.html"):
        blocks = re.findall(
            r'<script type="application/json">(.*?)</script>', page.read_text("utf-8"), re.DOTALL
        )
        assert all(json.loads(block, parse_constant=pytest.fail) for block in blocks)
    (row,) = csv.DictReader((tmp_path / "table.csv").read_text("utf-8").splitlines())
    assert all(math.isfinite(float(value)) for key, value in row.items() if "fid" in key and value)
    run.plot()
    assert run.best_step in (3, 6)


def test_a_run_with_hostile_values_in_its_log_is_resumed_to_the_same_bits(run):
    whole = tiny.train(run.path.parent, "mlp", steps=9, name="whole", data=run.record.data.requested)
    corrupt_log(run, *untrusted.VALUES)
    again = ganvas.resume(run.path, steps=9, quiet=True)
    assert tiny.weights(again) == tiny.weights(whole)
    assert [line["step"] for line in again.history() if "score" in line][-1] == 9


def test_an_evaluation_is_added_to_a_file_with_hostile_values(run, capsys):
    corrupt_evaluation(run, "1" + 400 * "0")
    assert cli.main(["evaluate", str(run.path), "--count", "24"]) == 0
    assert_harmless(capsys, 0)
    assert [e["protocol"]["images"] for e in read_evaluations(run.directory.evaluation) if "fid" in e] == [
        30,
        24,
    ]


@by_value
def test_hostile_values_in_run_json_are_a_clear_line_or_do_no_harm(run, tmp_path, text):
    document = json.loads(run.directory.record_path.read_text())
    accepted = 0
    for path in untrusted.paths(document):
        if path[:1] == ("recipe",) and path not in (("recipe",), ("recipe", "name"), ("recipe", "summary")):
            continue  # tests/recipes has these
        run.directory.record_path.write_text(untrusted.replaced(document, path, text))
        try:
            opened = Run.open(run.path)
            lines = summary(opened)
            compare([opened]).save(tmp_path / "table.csv")
            report(opened, tmp_path / "report.html")
        except GanvasError as error:
            lines = [str(error)]
        else:
            accepted += 1
        assert all(line.isprintable() for line in lines), path
    assert accepted < 40


@pytest.mark.parametrize("word", ["x" * 10**6, "\x1b[2J", "a\nganvas: all is well", "\ud800"])
def test_long_and_hostile_text_is_short_and_escaped_where_runs_are_shown_and_compared(run, capsys, word):
    other = shutil.copytree(run.path, run.path.parent / "other")
    data = run.record.data.model_copy(update={"name": word, "class_names": (word,)})
    run.directory.write(run.record.model_copy(update={"data": data, "notes": (word,), "command": word}))
    document = json.loads(run.directory.evaluation.read_text())
    document["evaluations"][0]["protocol"].update(text=word, features=word)
    run.directory.evaluation.write_text(json.dumps(document))
    page = str(run.path / "page.html")
    for words, expected in (
        (["show", str(run.path)], 0), (["compare", str(run.path), "--out", page], 0),
        (["compare", str(run.path), str(other), "--out", page], 2),
    ):  # fmt: skip
        code = cli.main(words)
        out, err = capsys.readouterr()
        assert code in (expected, 2)  # what is no Unicode is refused when the record is read
        assert all(line.isprintable() and len(line) < 10_000 for line in (out + err).split("\n"))
        assert err.count("\n") == (code == 2)


def test_bytes_changed_at_random_in_log_and_evaluation_raise_nothing(run):
    """300 tries: bytes exchanged, parts removed, repeated or moved."""
    rng = random.Random(0)
    contents = [(path, path.read_bytes()) for path in (run.directory.metrics, run.directory.evaluation)]
    for path, content in contents:
        for _ in range(150):
            changed = bytearray(content)
            for _ in range(rng.randint(1, 20)):
                i, j = sorted(rng.choices(range(len(changed)), k=2))
                part, kind = changed[i : min(j, i + 50)], rng.randrange(4)
                if kind == 0:
                    changed[i] = rng.randrange(256)
                elif kind == 1:
                    del changed[i : i + len(part)]
                else:
                    at = j if kind == 2 else rng.randrange(len(changed))
                    changed[at:at] = part
            path.write_bytes(changed)
            assert all(line.isprintable() for line in summary(run))
            assert compare([run]).lines()
        path.write_bytes(content)

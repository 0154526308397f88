r"""What comes from outside cannot act on the terminal: every source, every nasty string, every command.

Names of files, folders, classes, zip members and npz keys, the fields of run.json, metrics.jsonl and
evaluation.json, recipe files, plugins, environment variables and the words of the command line: whatever they
hold, the output is printable lines, none of them forged, and the exit code is that of a known answer.
"""

import ast
import dataclasses
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganvas
import tiny
from ganvas import errors
from ganvas.callbacks import Callback
from ganvas.cli import main
from ganvas.cli.parser import COMMANDS
from ganvas.recipes import load_recipe
from ganvas.utils.output import MAX_LINE, one_line, print_line

FORGED = "ganvas: all is well"
NASTY = {
    "erase the screen": "\x1b[2J\x1b[1;1H",
    "write the clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "C1": "\x9b31m\x90\x85",
    "forged line": f"\n{FORGED}\n",
    "carriage return": f"\r{FORGED}\r\x0b\x0c",
    "backspaces": "\x08\x08\x08\x7f",
    "bidi override": "‮gnp.exe‭⁦",
    "line separators": f"\u2028{FORGED}\u2029",
    "lone surrogate": "\udcff\ud800",
    "null": "\x00\x01",
    "long": "x" * 100_000,
}
# For what takes long: all of them at once, and the one that any escaping of single characters misses.
ALL_AT_ONCE = {
    "all": "".join(text for name, text in NASTY.items() if name != "long"),
    "forged line": NASTY["forged line"],
    "long": NASTY["long"],
}
OF_FILES = {name: text.replace("\x00", "\x02").replace("\ud800", "") for name, text in NASTY.items()}


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A conditional run with scores, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "set.npz", images=tiny.images(60), labels=np.arange(60) % 3)
    overrides = {"scores": {"interval": 2, "images": 24, "final": 30}}
    return tiny.train(folder, "mlp", steps=2, data=folder / "set.npz", overrides=overrides, conditional=True)


def copy(run, folder):
    """The run, with every file of it, in `folder`."""
    shutil.copytree(run.path, folder)
    return folder


def assert_safe(output: bytes, code: int, words) -> None:
    text = output.decode("utf-8")
    unprintable = {c for c in text if not (c.isprintable() or c == "\n")}
    assert not unprintable, f"{words}: {unprintable} in {text!r}"
    assert FORGED not in text.split("\n"), f"{words}: {text!r}"
    assert "mistake in ganvas" not in text, f"{words}: {text}"
    assert "Traceback" not in text
    assert code in (0, 2) or (code == 1 and "File name too long" in text)  # says the disk
    assert max(map(len, text.split("\n"))) < 5000


def run_safely(capfdbinary, *words) -> tuple[int, str]:
    capfdbinary.readouterr()
    code = main([str(word) for word in words])
    captured = capfdbinary.readouterr()
    assert_safe(captured.out + captured.err, code, words)
    if code:
        assert captured.err.count(b"ganvas: ") >= 1
        assert captured.out == b""
    return code, (captured.out + captured.err).decode("utf-8")


def everywhere(text: str, record: dict) -> None:
    """Put `text` into every free text of a run.json."""
    record["recipe"]["summary"] = record["recipe"]["source"] = record["recipe"]["data"] = text
    data = record["data"]
    data["name"], data["source"] = f"set{text}", text
    data["class_names"] = [f"{i}{text}" for i in range(len(data["class_names"]))]
    record["notes"] = [text]
    record["command"], record["created"], record["ganvas"] = f"ganvas train {text}", text, text
    record["machine"] = dict.fromkeys(("processor", "torch", "system", "python", text), text)
    record["machine"] |= {"threads": 1, "device": "cpu"}
    record["fork"] = {"parent": text, "step": 1, "overrides": {text: text}}


def one_field(*path):
    def edit(text: str, record: dict) -> None:
        node = record
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = text

    return edit


RECORDS = {
    "every free text": everywhere,
    "the data's path": one_field("data", "requested"),
    "the recipe's name": one_field("recipe", "name"),
    "a network's kind": one_field("recipe", "generator", "kind"),
    "the objective": one_field("recipe", "objective"),
    "the length": one_field("recipe", "length"),
    "the precision": one_field("precision"),
    "the split": one_field("data", "split"),
    "how it was resized": one_field("data", "resize"),
    "an unknown key": lambda text, record: record.update({text: text}),
    "an unknown recipe key": lambda text, record: record["recipe"].update({text: text}),
    "the format": one_field("format"),
}
RUN_COMMANDS = {
    "show": ["show", "r", "--layers"],
    "sample": ["sample", "r", "--count", "4"],
    "sample into folders": ["sample", "r", "--count", "9", "--out", "pictures"],
    "sample a class": ["sample", "r", "--count", "2", "--class", "nobody"],
    "interpolate": ["interpolate", "r", "--rows", "1", "--columns", "2"],
    "animate": ["animate", "r"],
    "discriminate": ["discriminate", "r"],
    "compare": ["compare", "r"],
    "compare as JSON": ["compare", "r", "--json"],
    "report": ["report", "r"],
    "evaluate": ["evaluate", "r", "--count", "24"],
    "fork": ["fork", "r", "--step", "newest", "--steps", "3"],
    "resume": ["resume", "r", "--steps", "3"],
}


@pytest.mark.parametrize("source", RECORDS)
@pytest.mark.parametrize("nasty", NASTY)
def test_no_field_of_a_run_json_acts_on_the_terminal(work, trained, capfdbinary, source, nasty):
    folder = copy(trained, work / "r")
    record = json.loads((folder / "run.json").read_text())
    RECORDS[source](NASTY[nasty], record)
    (folder / "run.json").write_text(json.dumps(record))
    for command in ("show", "compare", "sample a class"):
        run_safely(capfdbinary, *RUN_COMMANDS[command])


@pytest.mark.parametrize("nasty", ALL_AT_ONCE)
def test_no_command_on_a_run_shows_what_its_run_json_holds_as_it_is(work, trained, capfdbinary, nasty):
    folder = copy(trained, work / "r")
    record = json.loads((folder / "run.json").read_text())
    everywhere(
        ALL_AT_ONCE[nasty].replace("\udcff\ud800", ""), record
    )  # which would be refused before all else
    (folder / "run.json").write_text(json.dumps(record))
    for command in RUN_COMMANDS.values():
        run_safely(capfdbinary, *command)


@pytest.mark.parametrize("nasty", ALL_AT_ONCE)
def test_no_line_of_a_log_or_an_evaluation_acts_on_the_terminal(work, trained, capfdbinary, nasty):
    folder, text = copy(trained, work / "r"), ALL_AT_ONCE[nasty]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    lines += [json.dumps({"step": 2, "message": text, text: text, "protocol": text, "warning": text})]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    content = json.loads((folder / "evaluation.json").read_text())
    for entry in content["evaluations"]:
        entry |= {"subject": text, "modes_missing": [text], text: text}
        entry["protocol"] |= {"text": text, "reference": text, "features": text}
    (folder / "evaluation.json").write_text(json.dumps(content))
    for command in ("show", "sample", "compare", "report", "evaluate", "resume"):
        run_safely(capfdbinary, *RUN_COMMANDS[command])


def image_folder(path: Path, text: str) -> Path:
    for i, name in enumerate(("a", "b")):
        folder = path / f"{name}{text}"
        folder.mkdir(parents=True)
        for j in range(15):
            Image.fromarray(tiny.images(1, seed=20 * i + j)[0, 0]).save(folder / f"{j}{text}.png", "PNG")
    return path


def zip_file(path: Path, text: str) -> Path:
    folder = image_folder(path.with_suffix(".d"), "")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.writestr(f"{file.parent.name}{text}/{file.stem}{text}.png", file.read_bytes())
    return path


DATA = {
    "a folder of classes": lambda work, text: image_folder(work / "photos", text),
    "its own path": lambda work, text: image_folder(work / f"photos{text}", ""),
    "a damaged image": lambda work, text: damaged_image(work / "photos", text),
    "a zip": lambda work, text: zip_file(work / "photos.zip", text),
    "a zip's path": lambda work, text: zip_file(work / f"photos{text}.zip", ""),
    "a zip that is no UTF-8": lambda work, text: broken_utf8(zip_file(work / "photos.zip", f"é{text}")),
    "keys that are no UTF-8": lambda work, text: broken_utf8(npz_file(work / "set.npz", f"é{text}")),
    "keys of a npz": lambda work, text: npz_file(work / "set.npz", text),
    "a npy's path": lambda work, text: npy_file(work / f"set{text}.npy"),
    "a missing path": lambda work, text: work / f"nothing{text}.npz",
}


def damaged_image(path: Path, text: str) -> Path:
    image_folder(path, "")
    (path / "a" / f"broken{text}.png").write_bytes(b"no image")
    return path


def npz_file(path: Path, text: str) -> Path:
    np.savez(path, **{f"images{text}": tiny.images(30)})
    return path


def broken_utf8(path: Path) -> Path:
    """The archive, with a name in it that its flags call UTF-8 and that is none."""
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\x9b"))
    return path


def npy_file(path: Path) -> Path:
    np.save(path, tiny.images(30))
    return path


DATA_COMMANDS = {
    "data": ["data", "{data}"],
    "plan": ["train", "mlp", "--data", "{data}", "--dry-run", "--conditional"],
    "discriminate": ["discriminate", "r", "{data}"],
    "out": ["sample", "r", "--count", "1", "--out", "{data}"],
}
TRAINING_COMMANDS = {
    "train": ["train", "mlp", "--data", "{data}", "--steps", "1", "--out", "new", *tiny.words("mlp")],
    "show": ["show", "new"],
    "resume": ["resume", "new", "--steps", "2"],
    "evaluate": ["evaluate", "{data}", "--data", "{data}"],
}


OF_ARCHIVES = ("a zip", "a zip that is no UTF-8", "keys of a npz", "keys that are no UTF-8")


def of_data(source: str, text: str) -> str:
    """The text as a part of a path, or of a name in an archive, which is UTF-8."""
    text = text.replace("/", ":").replace("\x00", "\x02").replace("\ud800", "")
    if source not in OF_ARCHIVES and source != "a missing path":
        text = text[:150]  # a file name may have 255 bytes
    text = text[:20_000]  # of a zip, 65,535
    return text.encode("utf-8", "replace").decode() if source in OF_ARCHIVES else text


@pytest.mark.parametrize("source", DATA)
@pytest.mark.parametrize("nasty", NASTY)
def test_no_name_in_a_data_set_acts_on_the_terminal(work, trained, capfdbinary, source, nasty):
    data = DATA[source](work, of_data(source, NASTY[nasty]))
    for command in DATA_COMMANDS.values():
        words = [str(trained.path) if word == "r" else word.replace("{data}", str(data)) for word in command]
        run_safely(capfdbinary, *words)


@pytest.mark.parametrize("source", DATA)
@pytest.mark.parametrize("nasty", ALL_AT_ONCE)
def test_training_on_names_of_others_does_not_act_on_the_terminal(work, capfdbinary, source, nasty):
    data = DATA[source](work, of_data(source, ALL_AT_ONCE[nasty]))
    for command in TRAINING_COMMANDS.values():
        run_safely(capfdbinary, *(word.replace("{data}", str(data)) for word in command))


def recipe_json(work: Path, edit) -> Path:
    values = load_recipe("mlp").model_dump(mode="json")
    edit(values)
    (work / "mine.json").write_text(json.dumps(values))
    return work / "mine.json"


def python_file(path: Path, code: str) -> Path:
    path.write_text(code)
    return path


RECIPES = {
    "an unknown key": lambda work, text: recipe_json(work, lambda recipe: recipe.update({text: 1})),
    "a value": lambda work, text: recipe_json(work, lambda recipe: recipe.update(batch_size=text)),
    "its name": lambda work, text: recipe_json(work, lambda recipe: recipe.update(name=text)),
    "its summary": lambda work, text: recipe_json(work, lambda recipe: recipe.update(summary=text)),
    "its data": lambda work, text: recipe_json(work, lambda recipe: recipe.update(data=text)),
    "its objective": lambda work, text: recipe_json(work, lambda recipe: recipe.update(objective=text)),
    "a network's kind": lambda work, text: recipe_json(work, lambda r: r["generator"].update(kind=text)),
    "a penalty's kind": lambda work, text: recipe_json(
        work, lambda recipe: recipe.update(penalties=[{"kind": text, "weight": 1}])
    ),
    "not JSON": lambda work, text: python_file(work / "mine.json", repr(text)),
    "what its code raises": lambda work, text: python_file(work / "mine.py", f"raise ValueError({text!r})"),
    "how its code exits": lambda work, text: python_file(work / "mine.py", f"raise SystemExit({text!r})"),
    "its own class of error": lambda work, text: python_file(
        work / "mine.py", f"import ganvas.errors\nraise ganvas.errors.DataError({text!r})"
    ),
    "its path": lambda work, text: work / f"nothing{text}.json",
}
RECIPE_COMMANDS = {
    "plan": ["train", "{recipe}", "--dry-run"],
    "train": ["train", "{recipe}", "--steps", "1", "--out", "new"],
    "show": ["recipes", "show", "{recipe}"],
    "layers": ["recipes", "layers", "{recipe}"],
    "bench": ["bench", "{recipe}", "--steps", "0"],
    "plugin": ["show", "r", "--plugin", "{recipe}"],
}


@pytest.mark.parametrize("source", RECIPES)
@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_in_a_recipe_file_acts_on_the_terminal(work, trained, capfdbinary, source, nasty):
    text = (OF_FILES if source in ("its path", "not JSON") else NASTY)[nasty].replace("/", ":")
    path = RECIPES[source](work, text)
    for command in RECIPE_COMMANDS.values():
        words = [word.format(recipe=path) for word in command]
        if words[0] == "train":
            words += tiny.words("mlp") if source == "its data" else ["--data", "mnist-5k", *tiny.words("mlp")]
        run_safely(capfdbinary, *words)


def typed_options() -> list[tuple[str, str]]:
    """(command, flag) of every flag of every command that takes a value; "" is an argument by position."""
    found = []
    for command in COMMANDS:
        for field in dataclasses.fields(command.options):
            how = field.metadata.get("argparse", {})
            if field.metadata and not str(how.get("action", "")).startswith(("store_", "boolean")):
                flag = field.metadata["flag"]
                found.append((command.words, f"--{field.name.replace('_', '-')}" if flag is None else flag))
    return found


@pytest.mark.parametrize("nasty", OF_FILES)
def test_no_word_of_a_command_line_acts_on_the_terminal(work, trained, capfdbinary, nasty):
    copy(trained, work / "r")
    text = OF_FILES[nasty]
    for command, flag in [*typed_options(), ("train", "--unknown"), ("train", "--seed=1"), ("nothing", "")]:
        positional = {"train": ["mlp", "--dry-run"], "bench": ["mlp"], "data": ["mnist-5k"], "recipes": []}
        words = command.split()
        if command == "studio" and not flag:
            continue  # it would serve an empty folder
        if command in ("studio", "resume", "fork"):  # these would go on with what is only a name
            words += ["nothing", flag, text] if flag else [f"nothing{text}"]
        elif flag:
            words += [*positional.get(command, ["r"]), flag, text]
        else:
            words += [f"{text}"]
        if command in ("evaluate", "bench"):
            words += ["--count", "1"] if command == "evaluate" else ["--steps", "0"]
        run_safely(capfdbinary, *words)


@pytest.mark.parametrize("nasty", OF_FILES)
@pytest.mark.parametrize("variable", ["GANVAS_DATA", "GANVAS_CACHE", "HOME"])
def test_no_environment_variable_acts_on_the_terminal(work, capfdbinary, monkeypatch, variable, nasty):
    monkeypatch.setenv(variable, f"nowhere{OF_FILES[nasty]}")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    run_safely(capfdbinary, "data", "~/set.npz")
    capfdbinary.readouterr()
    assert main(["data", "mnist"]) == (2 if variable == "GANVAS_DATA" else 1)
    assert_safe(capfdbinary.readouterr().err, 0, variable)


@pytest.mark.parametrize("nasty", NASTY)
def test_what_a_callback_raises_or_reports_does_not_act_on_the_terminal(work, capfdbinary, nasty):
    class Reports(Callback):
        def on_start(self, context):
            context.callbacks.on_message(NASTY[nasty])

        def on_end(self):
            raise ValueError(NASTY[nasty])

    with pytest.raises(errors.CallbackError) as caught:
        tiny.train(work, "mlp", steps=1, callbacks=[Reports()], quiet=False)
    assert_safe(capfdbinary.readouterr().err, 0, "train")
    assert_safe(str(caught.value).encode(), 0, "train")


def test_65536_classes_fit_into_lines_that_can_be_read(work, capfdbinary):
    count = 65_536
    np.savez("many.npz", images=np.zeros((count, 1, 8, 8), np.uint8), labels=np.arange(count))
    longest = {}
    for words in (
        ["data", "many.npz"],
        ["train", "mlp", "--data", "many.npz", "--conditional", "--dry-run"],
        ["train", "mlp", "--data", "many.npz", "--set", "classes=3", "--conditional", "--dry-run"],
    ):
        _, output = run_safely(capfdbinary, *words)
        longest[words[0]] = max(map(len, output.split("\n")))
    assert max(longest.values()) < 1000


def test_a_line_is_printable_whole_and_short():
    assert one_line("a\x1b[2J\nb\u202e\udcff") == r"a\x1b[2J\nb\u202e\udcff"
    assert one_line("a ± é 漢 b") == "a ± é 漢 b"
    assert len(one_line("x" * 100_000)) < MAX_LINE + 50
    assert "\n" not in one_line("\n" * 100_000)


@pytest.mark.parametrize("errors", ["strict", "backslashreplace", "surrogateescape"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_signs_that_an_encoding_lacks_are_spelled_and_never_fail(encoding, errors):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=errors)
    print_line("0.47 ± 0.02, FID∞, a – b …\u6f22", stream)
    stream.flush()
    expected = {
        "ascii": rb"0.47 +- 0.02, FID inf, a - b ...\u6f22",
        "latin-1": rb"0.47 +- 0.02, FID inf, a - b ...\u6f22",
        "utf-8": "0.47 ± 0.02, FID∞, a – b …\u6f22".encode(),
    }
    assert raw.getvalue() == expected[encoding] + b"\n"


ASCII = """
import sys
from ganvas.cli import main
codes = [main(words.split()) for words in sys.argv[1:]]
sys.exit(max(codes))
"""


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        (
            {"PYTHONIOENCODING": "ascii"},
            [
                "evaluate r --count 24",
                "show r",
                "compare r",
                "report r",
                "data mnist-5k",
                "recipes",
                "fork r --steps 3",
            ],
        ),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, ["evaluate r --count 24"]),
    ],
    ids=["ascii", "C"],
)
def test_every_command_works_where_the_output_is_ascii(work, trained, locale, words):
    copy(trained, work / "r")
    command = [sys.executable, "-c", ASCII, *words]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "LC_ALL", "LANG")}
    done = subprocess.run(command, env=environment | locale, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (done.stdout + done.stderr).decode("ascii")
    assert "+-: standard error" in text
    assert "mistake in ganvas" not in text


WARNS = """
import logging, warnings
warnings.warn({0!r})
logging.getLogger("somebody").warning("%s", {0!r})
"""


def test_the_bar_in_a_terminal_shows_no_control_characters_but_its_own(work):
    text = (NASTY["write the clipboard"] + NASTY["forged line"]).replace("/", ":")
    image_folder(work / "photos", text)
    command = [
        sys.executable,
        "-m",
        "ganvas",
        "train",
        "mlp",
        "--data",
        "photos/../photos",
        "--out",
        f"r{text}",
        "--steps",
        "2",
    ]
    terminal, ours = pty.openpty()
    words = [*command, *tiny.words("mlp"), "--plugin", str(python_file(work / "mine.py", WARNS.format(text)))]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=ours, stderr=ours, env=os.environ | {"TERM": "xterm"}
    )
    os.close(ours)
    output = b""
    try:
        while part := os.read(terminal, 65536):
            output += part
    except OSError:  # so a terminal says that the process has ended
        pass
    finally:
        os.close(terminal)
    assert process.wait() == 0, output
    assert b"\x1b[" in output  # the bar's own
    assert text.encode() not in output
    assert output.count(b"\\x1b]52") >= 4  # the class, the directory, the warning, the log message: escaped
    assert FORGED not in output.decode().splitlines()


SOURCES = sorted(Path(ganvas.__file__).parent.rglob("*.py"))
MAY_WRITE = {
    "utils/output.py",
    "callbacks/progress.py",
    "data/download.py",
}  # the last two draw bars of numbers


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: str(s.relative_to(SOURCES[0].parent)))
def test_nothing_in_the_package_writes_past_the_one_function(source):
    name = source.relative_to(Path(ganvas.__file__).parent).as_posix()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print", f"{name}:{node.lineno}: use ganvas.utils.output.print_line"
            if name not in MAY_WRITE:
                assert not re.fullmatch(r"sys\.(stdout|stderr|__std\w+__)(\.buffer)?\.write\w*", called), name
                assert not (called == "Console" and not node.keywords), f"{name}:{node.lineno}"

"""What is written after the last checkpoint: cut off by a kill or a full disk, it is finished by `resume`.

And an evaluation that its run's directory cannot keep is printed all the same.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import ganvas
import tiny
from ganvas import cli
from ganvas.errors import StorageError

resource = pytest.importorskip("resource", reason="Windows limits no file sizes")

RESULTS = ("animation.gif", "evaluation.json", "neighbors.png", "report.html")
RECIPE = {"scores": {"interval": 100, "images": 24, "final": 30}, "grid": {"rows": 1, "columns": 1}}
SUBSETS = [names for n in (1, 2, 3, 4) for names in itertools.combinations(RESULTS, n)]


@contextlib.contextmanager
def largest_file(size):
    """Every write beyond `size` bytes of a file fails, as on a disk that is full then; also for root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with all its results."""
    run = tiny.train(tmp_path_factory.mktemp("finished"), "mlp", overrides=RECIPE)
    assert missing(run.path) == []
    return run


@pytest.fixture
def run(finished, tmp_path):
    return ganvas.open_run(shutil.copytree(finished.path, tmp_path / "run"))


def missing(path):
    return [name for name in RESULTS if not (path / name).is_file()]


def numbers(path):
    """The scores of an evaluation without the time that they took and the path."""
    (values,) = json.loads((path / "evaluation.json").read_text())["evaluations"]
    return {key: value for key, value in values.items() if key not in ("seconds", "subject")}


@pytest.mark.parametrize("names", SUBSETS, ids=" ".join)
def test_resume_writes_each_result_that_is_missing_and_changes_no_bit(finished, run, names):
    for name in names:
        (run.path / name).unlink()
    again = ganvas.resume(run.path, quiet=True)
    assert missing(run.path) == []
    assert tiny.weights(again) == tiny.weights(finished)
    assert numbers(run.path) == numbers(finished.path)
    assert (run.path / "animation.gif").read_bytes() == (finished.path / "animation.gif").read_bytes()
    assert "FID" in (run.path / "report.html").read_text()


def test_resume_writes_the_report_of_a_run_without_scores(tmp_path):
    run = tiny.train(tmp_path, "mlp", overrides={**RECIPE, "scores": None})
    run.directory.report.unlink()
    ganvas.resume(run.path, quiet=True)
    assert missing(run.path) == ["evaluation.json", "neighbors.png"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"evaluations": []}', b"\xff"])
def test_resume_takes_a_damaged_evaluation_for_a_missing_one(finished, run, content):
    run.directory.evaluation.write_bytes(content)
    ganvas.resume(run.path, quiet=True)
    assert numbers(run.path) == numbers(finished.path)


def test_a_complete_run_is_left_alone(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    ganvas.resume(run.path, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_damaged_grid_costs_the_animation_and_nothing_else(run, capsys):
    for name in RESULTS:
        (run.path / name).unlink()
    run.directory.sample_files()[0].write_bytes(b"no image")
    ganvas.resume(run.path)
    assert missing(run.path) == ["animation.gif"]
    assert "note: no animation: " in capsys.readouterr().err


def test_a_disk_that_is_full_after_the_last_checkpoint_is_one_line_and_resume_finishes(tmp_path, finished):
    """Whichever result is the first that does not fit."""
    sizes = sorted((finished.path / name).stat().st_size for name in RESULTS)
    checkpoint = max(path.stat().st_size for path in finished.directory.checkpoints.rglob("*"))
    stopped_at = set()
    for size in (*(size - 1 for size in sizes if size > checkpoint), 200):
        path = tmp_path / str(size)
        if size > checkpoint:  # the whole training, up to its results
            with largest_file(size), pytest.raises(StorageError) as caught:
                tiny.train(tmp_path, "mlp", name=path.name, overrides=RECIPE)
        else:
            shutil.copytree(finished.path, path)
            for name in RESULTS:
                (path / name).unlink()
            with largest_file(size), pytest.raises(StorageError) as caught:
                ganvas.resume(path, quiet=True)
        assert "\n" not in str(caught.value)
        assert missing(path) != []
        stopped_at.add(missing(path)[0])
        again = ganvas.resume(path, quiet=True)
        assert missing(path) == []
        assert tiny.weights(again) == tiny.weights(finished)
    assert len(stopped_at) >= 2


KILLER = """
import os, signal
import ganvas

@ganvas.register.metric("killer", title="Killer")
def killer(fake, real):
    if os.environ.get("KILLED") and len(fake) == 30:  # the final score: 24 images are scored while training
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0
"""


def test_a_run_killed_while_it_is_scored_at_its_end_gets_its_results_by_resume(tmp_path, finished):
    plugin, path = tmp_path / "killer.py", tmp_path / "run"
    plugin.write_text(KILLER)
    words = ["train", "mlp", "--data", str(finished.record.data.requested), "--out", str(path)]
    words += ["--steps", "6", "--device", "cpu", "--plugin", str(plugin), "--quiet"]
    words += tiny.words("mlp", RECIPE)
    environment = {**os.environ, "KILLED": "1", "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-m", "ganvas", *words], env=environment, timeout=250)
    assert killed.returncode == -signal.SIGKILL
    assert ganvas.open_run(path).step == 6
    assert missing(path) == [*RESULTS[1:]]
    ganvas.resume(path, quiet=True)
    assert missing(path) == []
    assert tiny.weights(ganvas.open_run(path)) == tiny.weights(finished)


@pytest.fixture
def read_only(tmp_path, finished):
    """A copy of the run on a file system that may not be written, or in a folder that this user may not."""
    copy = shutil.copytree(finished.path, tmp_path / "read-only")
    if os.geteuid() != 0:
        copy.chmod(0o555)
        yield copy
        copy.chmod(0o755)
        return
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "--bind", copy, copy], capture_output=True).returncode:
        pytest.skip("root may write everywhere, and no file system can be mounted here")
    try:
        subprocess.run([mount, "-o", "remount,ro,bind", copy], check=True)
        yield copy
    finally:
        subprocess.run(["umount", copy], check=True)


def test_a_run_in_a_read_only_folder_is_evaluated_printed_and_the_exit_code_is_1(read_only, capsys):
    before = (read_only / "evaluation.json").read_bytes()
    assert cli.main(["evaluate", str(read_only), "--count", "24"]) == 1
    out, err = capsys.readouterr()
    assert "FID" in out
    assert "written" not in out
    assert err.startswith(f"ganvas: the scores were not kept in the run: not allowed to write {read_only}")
    assert err.count("\n") == 1
    assert (read_only / "evaluation.json").read_bytes() == before


def test_scores_kept_in_another_file_are_exit_code_0_with_a_note(read_only, tmp_path, capsys):
    out = tmp_path / "scores.json"
    assert cli.main(["evaluate", str(read_only), "--count", "24", "--json", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert json.loads(printed) == json.loads(out.read_text())
    assert err.startswith("note: the scores were not kept in the run: ")


def test_from_python_the_scores_are_returned_with_why_they_were_not_kept(read_only):
    result = ganvas.evaluate(read_only, count=24)
    assert result.evaluation.score.fid.value > 0
    assert result.unsaved.startswith("the scores were not kept in the run: ")
    assert result.files == ()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_on_a_full_disk_the_scores_are_printed_and_the_exit_code_is_1(run, capsys, form):
    with largest_file(0):
        code = cli.main(["evaluate", str(run.path), "--count", "24", *form])
    out, err = capsys.readouterr()
    assert code == 1
    assert json.loads(out)["fid"] > 0 if form else "FID" in out
    assert err.startswith("ganvas: the scores were not kept in the run: could not write ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_on_a_full_disk_a_comparison_is_printed_and_the_exit_code_is_1(run, tmp_path, capsys, form):
    page = tmp_path / "page.html"
    with largest_file(0):
        code = cli.main(["compare", str(run.path), "--out", str(page), *form])
    out, err = capsys.readouterr()
    assert code == 1
    assert json.loads(out)["groups"] if form else "FID" in out
    assert err.startswith(f"ganvas: could not write {page}: ")
    assert not page.exists()

"""Limits on memory and threads: where PyTorch's libraries would abort, one line and exit code 1 first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from ganvas import cli
from ganvas.cli.parser import COMMANDS
from ganvas.utils import limits

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")


def ganvas(*words, memory=None, before=None, **environment):
    """Run a command with `memory` MiB of address space at most; standard error and the exit code."""
    command = [sys.executable, "-P", "-m", "ganvas", *map(str, words)]  # as the script `ganvas` finds modules
    if memory is not None:
        command = ["sh", "-c", f'ulimit -v {memory * 1024} && exec "$0" "$@"', *command]
    # pytest's own setting of one thread would hide what several libraries do with several.
    env = {k: v for k, v in os.environ.items() if k not in limits.THREAD_VARIABLES} | environment
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=env,
        preexec_fn=before,
        stdin=subprocess.DEVNULL,
    )


def assert_one_line(result, code, words):
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("ganvas: ")
    assert words in result.stderr
    assert result.returncode == code
    assert result.stdout == ""


# Where torch cannot be mapped, where C++ fails within it (std::bad_alloc), where OpenBLAS does, and where a
# training step does.
@pytest.mark.parametrize("memory", [100, 420, 540, 900])
def test_too_little_memory_for_pytorch_is_one_line(memory):
    assert_one_line(ganvas("recipes", memory=memory), 1, f"limited to {memory} MiB, which is too little")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_says_so(command):
    result = ganvas(*command.words.split(), *command.examples[0].split(), memory=100)
    assert_one_line(result, 1, "limited to 100 MiB")


@pytest.mark.parametrize("name", ["numpy", "threading", "ganvas"])
def test_a_module_in_the_working_directory_is_not_imported(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.py").write_text("open('imported', 'w')")
    assert_one_line(ganvas("recipes", memory=100), 1, "limited to 100 MiB")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.py"]


def test_memory_that_is_enough_is_used():
    result = ganvas("recipes", "layers", "mlp", memory=4000)  # imports PyTorch
    assert result.returncode == 0, result.stderr
    assert "MACs" in result.stdout


@pytest.fixture
def thread_limit():
    """Give a function that limits the process that calls it to so many threads of its own."""
    group = Path("/sys/fs/cgroup/pids") / f"ganvas-test-{os.getpid()}"
    if os.getuid() == 0:  # to whom RLIMIT_NPROC does not apply
        try:
            group.mkdir()
        except OSError:
            pytest.skip("no control group can be made here")

        def limit(count):
            (group / "pids.max").write_text(str(count))
            return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))

        yield limit
        group.rmdir()
    else:
        import resource

        import psutil

        def limit(count):
            hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
            mine = [p for p in psutil.process_iter(["uids", "num_threads"]) if p.info["uids"]]
            used = sum(p.info["num_threads"] or 1 for p in mine if p.info["uids"].real == os.getuid())
            return lambda: resource.setrlimit(resource.RLIMIT_NPROC, (used + count, hard))

        yield limit


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("command", ["show", "evaluate"])
def test_too_few_threads_for_pytorch_are_one_line(command, count, thread_limit, tmp_path):
    result = ganvas(command, tmp_path, before=thread_limit(count))
    assert_one_line(result, 1, "the system lets it start")


@pytest.mark.skipif(os.getuid() != 0, reason="the user's other processes share the limit")
def test_one_computing_thread_needs_few(thread_limit):
    limit = thread_limit(1 + limits.OTHER_THREADS)
    result = ganvas("recipes", "layers", "mlp", before=limit, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_more_threads_than_the_system_allows_are_refused_when_asked_for(thread_limit, tmp_path):
    words = ["train", "mlp", "--data", tiny.data_file(tmp_path), "--out", tmp_path / "run", "--steps", "2"]
    result = ganvas(*words, "--threads", "40", before=thread_limit(20))
    assert result.returncode == 1
    assert "of the 44 threads that this process needs" in result.stderr
    assert not (tmp_path / "run").exists()


TOO_MANY = [limits.max_threads() + 1, 1_000_000, 2_147_483_648, 10**400, 0, -1]


@pytest.mark.parametrize("count", TOO_MANY)
@pytest.mark.parametrize("command", ["train", "bench"])
def test_a_number_of_threads_that_cannot_be_is_refused(command, count, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "mlp", "--threads", str(count)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "threads" in error
    assert len(error) < 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", TOO_MANY[:4])
@pytest.mark.parametrize("command", ["resume", "fork"])
def test_a_run_that_says_so_is_refused(command, count, tmp_path, capsys):
    run = tiny.train(tmp_path, "mlp", steps=4, overrides={"checkpoint_interval": 1})
    record = json.loads((run.path / "run.json").read_text())
    record["machine"]["threads"] = count
    (run.path / "run.json").write_text(json.dumps(record))
    words = ["resume", "--steps", "6"] if command == "resume" else ["fork", "--step", "2"]
    assert cli.main([words[0], str(run.path), *words[1:]]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ganvas: ")
    assert "threads" in error
    assert "expected" in error


@pytest.mark.parametrize("name", limits.THREAD_VARIABLES)
@pytest.mark.parametrize("value", ["1000000", "2147483648", "0", "-3", "many", "9" * 5000])
def test_an_environment_variable_that_says_so_is_refused(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(
        limits.DeviceError, match=f"{name} .*: expected 1 to {limits.max_threads()} threads"
    ) as e:
        limits.check_limits()
    assert len(str(e.value)) < 120


def test_the_environments_number_of_threads_reaches_the_check():
    result = ganvas("recipes", "show", "mlp", OMP_NUM_THREADS="1000000")
    assert_one_line(result, 2, "OMP_NUM_THREADS 1000000: expected 1 to")


@pytest.mark.parametrize("value", ["", "1", "2,1"])
def test_what_openmp_takes_is_taken(value, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.delitem(sys.modules, "torch")
    limits.check_limits()

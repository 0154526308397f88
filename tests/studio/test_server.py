"""The server: starting, streaming, restarting, and the runs that go on without it."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
from studio_process import PATIENCE, StudioProcess, wait_for

import ganvas
import tiny
from ganvas.runs import control
from ganvas.studio import log


@pytest.fixture
def own(tmp_path):
    """A studio of the test's own, over an empty folder."""
    process = StudioProcess(tmp_path / "runs")
    yield process
    process.stop()


def test_the_address_comes_first_and_the_server_never_imports_torch(studio):
    assert studio.url.startswith("http://127.0.0.1:")
    studio.get("/api/runs")
    studio.get(f"/api/runs/{studio.run_id('discs')}")
    studio.get("/api/recipes")
    libraries = {m.path for m in psutil.Process(studio.process.pid).memory_maps()}
    assert not [path for path in libraries if "torch" in path]


def test_ctrl_c_ends_it_at_once_with_open_streams_and_exit_code_0(own, training):
    training(own.root / "live")
    stream = own.events(own.run_id("live"))
    next(iter(stream))
    assert own.stop() == 0
    stream.close()
    assert control.read_status(own.root / "live").alive


def test_ctrl_c_ends_it_while_images_are_made_and_nothing_is_printed_but_a_line(own):
    tiny.train(own.root.parent, "mlp", steps=3, name="runs/discs")
    run, answers = own.run_id("discs"), []
    plane = {"x": 0, "y": 0, "columns": 32, "rows": 32, "spacing": 0.1}

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            answers.append(own.post(f"/api/runs/{run}/generate", {"plane": plane}))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: psutil.Process(own.process.pid).children())
    own.process.send_signal(signal.SIGINT)
    out, err = own.process.communicate(timeout=PATIENCE)
    for thread in threads:
        thread.join()
    assert own.process.returncode == 0
    assert "Traceback" not in out + err
    assert out.count("\n") == 1


def test_a_port_that_is_taken_and_a_file_for_a_folder_are_refused_in_one_line(studio, tmp_path):
    port = studio.host.partition(":")[2]
    (tmp_path / "file").write_text("")
    for words in (
        [str(tmp_path), "--port", port],
        [str(tmp_path), "--port", "70000"],
        [str(tmp_path / "file")],
    ):
        result = subprocess.run(
            [sys.executable, "-m", "ganvas", "studio", "--no-browser", *words],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1


def test_a_finished_run_has_a_card_details_and_its_log(studio, studio_root):
    (card,) = [c for c in studio.get("/api/runs").json["runs"] if c["name"] == "discs"]
    assert (card["state"], card["step"], card["steps"], card["controllable"]) == ("finished", 40, 40, False)
    assert card["image_shape"] == [1, 12, 12]
    details = studio.get(f"/api/runs/{card['id']}").json
    assert details["grids"] == [0, 10, 20, 30, 40]
    assert details["checkpoints"][-1] == 40
    columns = studio.get(f"/api/runs/{card['id']}/metrics").json
    records = ganvas.open_run(studio_root / "discs").history()
    assert columns["steps"] == [r["step"] for r in records]
    assert columns["columns"]["discriminator_loss"] == [r["discriminator_loss"] for r in records]
    assert columns["offset"] == (studio_root / "discs" / "metrics.jsonl").stat().st_size


def test_grids_are_the_files_and_never_change(studio, studio_root):
    run = studio.run_id("discs")
    for step in (0, 10, 40):
        answer = studio.get(f"/api/runs/{run}/grids/{step}.png")
        assert answer.content == (studio_root / "discs" / "samples" / f"{step:08d}.png").read_bytes()
        assert "immutable" in answer.headers["cache-control"]
    assert studio.get(f"/api/runs/{run}/grids/15.png").status == 404


def test_a_run_that_trains_streams_its_log_grids_and_status_without_gap_or_duplicate(own, training):
    training(own.root / "live", 400, "--set", "grid.interval=100")
    run = own.run_id("live")
    events = own.events(run).until(lambda name, data: name == "status" and data["state"] == "finished")
    rows = [row for _, name, data in events if name == "metrics" for row in data["rows"]]
    assert [row["step"] for row in rows] == list(range(1, 401))
    assert {data["step"] for _, name, data in events if name == "grid"} >= {200, 300, 400}
    middle = next(i for i, (_, name, _) in enumerate(events) if name == "metrics")
    again = own.events(run, events[middle][0])
    later = again.until(lambda name, data: name == "metrics" and data["rows"][-1]["step"] == 400)
    steps = [row["step"] for _, name, data in later if name == "metrics" for row in data["rows"]]
    assert steps == list(range(events[middle][2]["rows"][-1]["step"] + 1, 401))


def test_pause_continue_and_stop_reach_a_run_started_from_the_command_line(own, training):
    process = training(own.root / "live")
    run = own.run_id("live")

    def state():
        return own.get(f"/api/runs/{run}").json["card"]["state"]

    assert own.post(f"/api/runs/{run}/control", {"want": "pause"}).status == 202
    wait_for(lambda: state() == "paused")
    own.post(f"/api/runs/{run}/control", {"want": "run"})
    wait_for(lambda: state() == "running")
    own.post(f"/api/runs/{run}/control", {"want": "stop"})
    assert process.wait(PATIENCE) == 130
    assert state() == "stopped"
    assert own.post(f"/api/runs/{run}/control", {"want": "pause"}).status == 409


def test_a_killed_studio_leaves_training_alone_and_a_new_one_finds_it_again(tmp_path, training):
    root = tmp_path / "runs"
    first = StudioProcess(root)
    process = training(root / "live")
    stream = first.events(first.run_id("live"))
    next(iter(stream))
    first.process.send_signal(signal.SIGKILL)
    first.stop()
    stream.close()
    assert process.poll() is None
    second = StudioProcess(root)
    try:
        run = second.run_id("live")
        assert second.get(f"/api/runs/{run}").json["card"]["state"] == "running"
        second.post(f"/api/runs/{run}/control", {"want": "stop"})
        assert process.wait(PATIENCE) == 130
    finally:
        second.stop()


def test_a_run_is_started_and_resumed_from_the_page_and_outlives_the_studio(own, tmp_path):
    settings = {**tiny.TINY["mlp"], "scores": None}
    body = {
        "data": str(tiny.data_file(tmp_path)),
        "recipe": "mlp",
        "steps": 100_000,
        "name": "new",
        "overrides": settings,
    }
    answer = own.post("/api/runs", body)
    assert answer.status == 202, answer.content
    run = own.run_id("new")
    assert answer.json["id"] == run
    pid = control.read_status(own.root / "new").pid
    assert os.getsid(pid) != os.getsid(own.process.pid)
    own.post(f"/api/runs/{run}/control", {"want": "stop"})
    wait_for(lambda: not control.read_status(own.root / "new").alive)
    step = control.read_status(own.root / "new").step
    assert own.post(f"/api/runs/{run}/resume", {"steps": step + 3}).status == 202
    wait_for(lambda: control.read_status(own.root / "new").state == "finished")
    assert own.post("/api/runs", body).status == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data": "nothing-here"}, "data"),
        ({"budget": "5x", "recipe": None, "steps": None}, "budget"),
        ({"recipe": "mpl"}, None),
        ({"clusters": 1}, "clusters"),
        ({"name": "../up"}, "name"),
        ({"name": ".x"}, "name"),
    ],
)
def test_what_cannot_be_trained_is_refused_next_to_its_field(own, tmp_path, change, field):
    body = {"data": str(tiny.data_file(tmp_path)), "recipe": "mlp", "steps": 5, "name": "x", **change}
    answer = own.post("/api/runs", body)
    assert answer.status == 400
    assert answer.json.get("field") == field
    assert "Traceback" not in answer.json["message"]
    assert not list(own.root.glob("x*"))


def test_an_upload_is_previewed_and_trained_on(own):
    from test_security import zipped

    from ganvas.utils.images import encode_png, to_pil

    files = {f"{i:03d}.png": encode_png(to_pil(image)) for i, image in enumerate(tiny.images(count=60))}
    data = own.post("/api/uploads?name=my%20discs.zip", zipped(files)).json["data"]
    preview = own.post("/api/data/preview", {"data": data, "budget": "1m"})
    assert preview.status == 200, preview.content
    assert (preview.json["images"], preview.json["image_shape"]) == (60, [1, 12, 12])
    assert preview.json["name"] == "my-discs"
    settings = {**tiny.TINY["mlp"], "scores": None}
    body = {"data": data, "recipe": "mlp", "steps": 3, "name": "discs", "overrides": settings}
    assert own.post("/api/runs", body).status == 202
    wait_for(lambda: control.read_status(own.root / "discs").state == "finished")


def test_an_upload_that_cannot_be_trained_on_is_named_as_it_was_beside_its_field(own):
    from test_security import zipped

    data = own.post("/api/uploads?name=notes.zip", zipped({"a.txt": b"x"})).json["data"]
    for route, more in (("/api/data/preview", {}), ("/api/runs", {"name": "x"})):
        answer = own.post(route, {"data": data, "recipe": "mlp", "steps": 1, **more})
        assert answer.status == 400
        assert answer.json["field"] == "data"
        assert answer.json["message"].startswith("notes.zip")


def test_generated_images_are_those_of_ganvas_sample(studio, studio_root):
    run = studio.run_id("discs")
    answer = studio.post(f"/api/runs/{run}/generate", {"seeds": [3, 4]})
    assert answer.headers["x-shape"] == "2,12,12,1"
    images = np.frombuffer(answer.content, np.uint8).reshape(2, 12, 12, 1)
    opened = ganvas.open_run(studio_root / "discs")
    for image, seed in zip(images, (3, 4), strict=True):
        sample = np.asarray(opened.sample(1, seed=seed))[0].transpose(1, 2, 0)
        assert np.abs(image.astype(int) - sample).max() <= 1
    plane = {"x": 2.5, "y": 0.25, "columns": 4, "rows": 3, "spacing": 0.5}
    assert studio.post(f"/api/runs/{run}/generate", {"plane": plane}).headers["x-shape"] == "12,12,12,1"


def test_an_engine_that_dies_is_replaced(own):
    tiny.train(own.root.parent, "mlp", steps=3, name="runs/discs")
    run = own.run_id("discs")
    assert own.post(f"/api/runs/{run}/generate", {"seeds": [0]}).status == 200
    (engine,) = psutil.Process(own.process.pid).children()
    engine.kill()
    engine.wait(PATIENCE)
    wait_for(lambda: own.post(f"/api/runs/{run}/generate", {"seeds": [0]}).status == 200)


def test_the_engine_ends_with_the_server_however_that_ends(own):
    tiny.train(own.root.parent, "mlp", steps=3, name="runs/discs")
    own.post(f"/api/runs/{own.run_id('discs')}/generate", {"seeds": [0]})
    (engine,) = psutil.Process(own.process.pid).children()
    own.process.kill()
    engine.wait(PATIENCE)


def test_damaged_runs_and_runs_that_vanish_are_shown_as_such(own, training, tmp_path):
    (own.root / "broken").mkdir(parents=True)
    (own.root / "broken" / "run.json").write_text('{"format": "\x1b[31m"}')
    process = training(own.root / "live")
    cards = {c["name"]: c for c in own.get("/api/runs").json["runs"]}
    assert cards["broken"]["state"] == "damaged"
    assert "\x1b" not in json.dumps(cards)
    stream = own.events(own.run_id("live"))
    next(iter(stream))
    process.kill()
    process.wait()
    shutil.rmtree(own.root / "live")
    stream.until(lambda name, _: name == "gone")


def test_links_out_of_the_folder_are_no_runs(own, studio_root):
    own.get("/api/runs")
    (own.root / "link").symlink_to(studio_root / "discs", target_is_directory=True)
    assert own.get("/api/runs").json["runs"] == []


def test_a_long_log_is_decimated_and_keeps_its_extremes(tmp_path):
    file = tmp_path / "metrics.jsonl"
    rng = np.random.default_rng(0)
    losses = rng.normal(size=100_000)
    losses[[123, 77_777]] = 50, -50
    with file.open("w") as stream:
        for step, loss in enumerate(losses):
            stream.write(json.dumps({"step": step, "discriminator_loss": loss, "generator_loss": 1.0}) + "\n")
    result = log.columns(file, 2_000)
    assert len(result["steps"]) <= 2_500
    assert result["steps"] == sorted(set(result["steps"]))
    assert max(result["columns"]["discriminator_loss"]) == 50
    assert min(result["columns"]["discriminator_loss"]) == -50
    assert (result["steps"][0], result["steps"][-1]) == (0, 99_999)


def test_a_stalled_client_does_not_make_the_server_grow(own, tmp_path):
    tiny.train(own.root.parent, "mlp", steps=3, name="runs/discs")
    line = json.dumps({"step": 4, "epoch": 0, **{f"metric_{i}": 0.123456789 for i in range(12)}}) + "\n"
    run = own.run_id("discs")
    own.get("/api/about")
    server = psutil.Process(own.process.pid)
    connections = []
    before = server.memory_info().rss
    for _ in range(3):
        connection = own.connect()
        connection.request("GET", f"/api/runs/{run}/events?offset=0", headers={"X-Ganvas-Token": own.token})
        connections.append(connection)  # and never reads
    with (own.root / "discs" / "metrics.jsonl").open("a") as stream:
        stream.write(line * 100_000)
    stream = own.events(run, 0)
    count = 0
    for _, name, data in stream:
        count += len(data["rows"]) if name == "metrics" else 0
        if count >= 100_000:
            break
    assert server.memory_info().rss - before < 40 * 2**20
    stream.close()
    for connection in connections:
        connection.sock.close()
        connection.close()


def test_a_step_in_slow_motion_a_drawing_and_a_quiz_are_answered(studio, studio_root):
    run = studio.run_id("discs")
    before = {p: p.stat().st_mtime_ns for p in (studio_root / "discs").rglob("*")}
    step = studio.post(f"/api/runs/{run}/slow", {"turns": "DG"}).json
    assert len(step["images"]) == 4
    assert step["shape"] == [8, 12, 12, 1]
    image = np.asarray(ganvas.open_run(studio_root / "discs").sample(1, seed=1))[0].transpose(1, 2, 0)
    body = {"image": base64.b64encode(np.ascontiguousarray(image).tobytes()).decode()}
    answer = studio.post(f"/api/runs/{run}/project", body).json
    made = np.frombuffer(base64.b64decode(answer["image"]), np.uint8).reshape(12, 12, 1)
    assert np.sqrt(((made.astype(float) - image) ** 2).mean()) == pytest.approx(answer["error"])
    edited = {**body, "start": answer["z"], "mask": base64.b64encode(bytes([0, 1]) * 72).decode()}
    assert studio.post(f"/api/runs/{run}/project", edited).status == 200
    quiz = studio.post(f"/api/runs/{run}/quiz", {"seed": 3, "count": 10}).json
    known = {image.tobytes() for image in tiny.images().transpose(0, 2, 3, 1)}
    shown = np.frombuffer(base64.b64decode(quiz["images"]), np.uint8).reshape(quiz["shape"])
    assert [image.tobytes() in known for image in shown] == quiz["real"]
    seen = studio.post(f"/api/runs/{run}/saliency", {"seeds": [1, 2]}).json
    assert (len(seen["probability"]), seen["shape"]) == (2, [2, 12, 12, 1])
    assert {p: p.stat().st_mtime_ns for p in (studio_root / "discs").rglob("*")} == before


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("slow", {"turns": "X"}),
        ("slow", {"seed": -1}),
        ("project", {}),
        ("project", {"image": "x"}),
        ("project", {"image": "AAAA"}),
        ("quiz", {"count": 0}),
        ("quiz", {"count": 10**9}),
        ("saliency", {}),
        ("quiz", {"seed": "1"}),
        ("slow", {"turns": 500 * "D"}),
        ("slow", {"step": 12345}),
    ],
)
def test_wrong_requests_for_these_are_refused_in_a_line(studio, route, body):
    answer = studio.post(f"/api/runs/{studio.run_id('discs')}/{route}", body)
    assert answer.status in (400, 500)
    assert answer.json["message"]
    assert "ended" not in answer.json["message"]


def test_a_module_in_the_working_directory_is_not_taken_for_a_library(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("import pathlib; pathlib.Path('caught').write_text('')")
    monkeypatch.chdir(tmp_path)
    studio = StudioProcess(tmp_path / "runs")
    try:
        preview = studio.post("/api/data/preview", {"data": "mnist-5k", "recipe": "mlp"})
        assert preview.status == 200, preview.content
        assert (
            studio.post("/api/runs", {"data": "mnist-5k", "recipe": "mlp", "steps": 1, "name": "r"}).status
            == 202
        )
        wait_for(lambda: not control.read_status(tmp_path / "runs" / "r").alive)
    finally:
        studio.stop()
    assert not (tmp_path / "caught").exists()

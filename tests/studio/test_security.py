"""Who is answered: this page with its token, on this machine, and nobody else."""

import io
import json
import random
import socket
import struct
import zipfile

import psutil
import pytest
from studio_process import StudioProcess

ROUTES = [
    ("GET", "/api/about"),
    ("GET", "/api/recipes"),
    ("GET", "/api/data"),
    ("POST", "/api/data/preview"),
    ("POST", "/api/uploads"),
    ("GET", "/api/runs"),
    ("POST", "/api/runs"),
    ("GET", "/api/runs/RUN"),
    ("GET", "/api/runs/RUN/metrics"),
    ("GET", "/api/runs/RUN/events"),
    ("GET", "/api/runs/RUN/grids/10.png"),
    ("GET", "/api/runs/RUN/preview.png"),
    ("POST", "/api/runs/RUN/control"),
    ("POST", "/api/runs/RUN/resume"),
    ("POST", "/api/runs/RUN/generate"),
    ("POST", "/api/runs/RUN/neighbors"),
    ("POST", "/api/runs/RUN/directions"),
    ("GET", "/api/nothing"),
    ("GET", "/api"),
    ("GET", "/api/"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", [None, "", "0" * 64, "twice"])
def test_nothing_under_api_is_answered_without_the_token(studio, method, path, token):
    path = path.replace("RUN", studio.run_id("discs"))
    headers = {} if token is None else {"X-Ganvas-Token": token if token != "twice" else studio.token + ", x"}
    answer = studio.request(method, path, b"" if method == "POST" else None, headers, token=False)
    assert answer.status == 401
    assert studio.token not in answer.content.decode()


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:PORT",
        "127.0.0.1.evil.test:PORT",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/runs"])
def test_a_request_for_another_host_is_misdirected(studio, host, path):
    port = studio.host.partition(":")[2]
    assert studio.get(path, headers={"Host": host.replace("PORT", port)}).status == 421


def test_both_names_of_this_machine_are_hosts(studio):
    port = studio.host.partition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert studio.get("/api/about", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_of_other_pages_are_refused_and_no_answer_allows_them(studio, headers):
    port = studio.host.partition(":")[2]
    sent = {name: value.replace("PORT", port) for name, value in headers.items()}
    for method in ("GET", "OPTIONS", "POST"):
        answer = studio.request(method, "/api/runs", headers=sent)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/nothing", "/nothing"])
def test_every_answer_confines_the_page(studio, path):
    headers = studio.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "set-cookie" not in headers
    assert not [name for name in headers if name.startswith("access-control")]


TRAVERSALS = [
    "..", "../", "..%2f", "%2e%2e", "%2e%2e%2f", "..%5c", "..%252f", "....//", "%00", "discs", "discs/..",
    "/etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "C:%5cWindows", "~", "%ff", "a" * 5000, "./discs",
    "..;/", "%c0%ae%c0%ae/", "%e2%80%a5",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
@pytest.mark.parametrize(
    "template",
    [
        "/api/runs/{}",
        "/api/runs/{}/metrics",
        "/api/runs/{}/grids/10.png",
        "/static/{}",
        "/api/runs/RUN/grids/{}.png",
    ],
)
def test_names_are_looked_up_and_never_joined(studio, name, template):
    path = template.replace("RUN", studio.run_id("discs")).format(name)
    answer = studio.get(path)
    assert answer.status in (400, 404)
    assert b"root:" not in answer.content


def raw(studio, data):
    """Send bytes as they are; return the first line of the answer."""
    host, _, port = studio.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(data)
        return connection.makefile("rb").readline()


def test_a_body_that_is_too_large_is_refused_before_and_while_it_is_read(studio):
    head = f"POST /api/runs HTTP/1.1\r\nHost: {studio.host}\r\nX-Ganvas-Token: {studio.token}\r\n"
    announced = head + "Content-Length: 1000000000000\r\n\r\n"
    assert b" 413 " in raw(studio, announced.encode())
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    assert b" 413 " in raw(studio, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + 2 * chunk)
    for length in ("-1", "x", "1, 2"):
        assert b" 4" in raw(studio, (head + f"Content-Length: {length}\r\n\r\n").encode())


def test_a_header_twice_is_not_the_header_once(studio):
    lines = f"GET /api/about HTTP/1.1\r\nHost: {studio.host}\r\nX-Ganvas-Token: {studio.token}\r\n"
    assert b" 401 " in raw(studio, (lines + "X-Ganvas-Token: x\r\n\r\n").encode())
    assert b" 4" in raw(studio, (lines + "Host: evil.test\r\n\r\n").encode())


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_uploads_that_are_no_zip_or_a_bomb_are_refused_and_leave_nothing(studio):
    bomb = zipped({"zeros.png": bytes(40 * 2**20)})
    many = zipped({f"{i}.png": b"" for i in range(100_001)})
    for content, status in (
        (b"<svg/>", 415),
        (b"", 415),
        (bomb, 413),
        (many, 413),
        (b"PK\x05\x06" + bytes(18), 201),
    ):
        answer = studio.post("/api/uploads?name=a.zip", content)
        assert answer.status == status
    for name in ("a.svg", "a.html", "../../x.png", "a"):
        assert studio.post(f"/api/uploads?name={name}", zipped({"a.png": b"x"})).status == 415
    left = [p.name for p in (studio.root / ".studio" / "uploads").rglob("*") if p.is_file()]
    assert left == ["a.zip"]


def test_an_uploads_name_cannot_leave_its_folder_and_is_not_served_again(studio):
    before = {p for p in studio.root.parent.rglob("*") if p.is_file()}
    answer = studio.post("/api/uploads?name=..%2f..%2f.ssh%2fkeys.zip", zipped({"a.png": b"x"}))
    assert answer.status == 201
    (new,) = {p for p in studio.root.parent.rglob("*") if p.is_file()} - before
    assert new.parent.parent == studio.root / ".studio" / "uploads"
    identifier = answer.json["data"].removeprefix("upload:")
    for path in (
        f"/api/uploads/{identifier}",
        f"/static/{new.name}",
        f"/.studio/uploads/{identifier}/{new.name}",
    ):
        assert studio.get(path).status in (404, 405)


BODIES = [
    b"",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"want": {}}',
    b'{"want": "rm"}',
    b'{"data": 5}',
    b'{"data": "--out"}',
    b'{"data": "a\\u0000b"}',
    b'{"recipe": []}',
    b'{"steps": 1e400}',
    b'{"steps": true}',
    b'{"name": "../x", "data": "nothing-here"}',
    b'{"name": "a/b", "data": "nothing-here"}',
    b'{"name": 5, "data": "nothing-here"}',
    b'{"overrides": []}',
    b'{"seeds": "x"}',
    b'{"seeds": [-1]}',
    b'{"seeds": []}',
    b'{"seeds": [1], "step": "x"}',
    b'{"seeds": [1], "label": 10000}',
    b'{"seeds": [1], "truncation": "x"}',
    b'{"seeds": [1], "directions": {"x": 1}}',
    b'{"plane": {"x": 1e300, "y": 0, "columns": 1, "rows": 1, "spacing": 1}}',
    b'{"plane": {"x": 0, "y": 0, "columns": 100000, "rows": 100000, "spacing": 1}}',
    b'{"plane": 5}',
    b'{"blends": [{}]}',
    b'{"blends": [{"x": 1}]}',
    b'{"blends": [{"1": null}]}',
    b'{"seeds": [99999999999999999999999999]}',
    b'{"run": "/etc", "kind": "preview", "seeds": [0]}',
]


@pytest.mark.parametrize("body", BODIES)
def test_bodies_of_any_kind_get_a_clear_answer_and_change_nothing(studio, body):
    run = studio.run_id("discs")
    before = sorted(p.name for p in studio.root.iterdir())
    for route in ("/api/runs", f"/api/runs/{run}/control", f"/api/runs/{run}/generate", "/api/data/preview"):
        answer = studio.post(route, body)
        content = answer.content if answer.status == 200 else json.dumps(answer.json).encode()
        assert 400 <= answer.status < 500 or (
            answer.status == 200 and route.endswith(("generate", "preview"))
        )
        assert b"Traceback" not in content
        assert answer.status == 200 or set(answer.json) >= {"code", "message", "hint"}
    assert sorted(p.name for p in studio.root.iterdir()) == before


def test_random_bytes_on_the_socket_do_not_harm_the_server(studio):
    random.seed(0)
    host, _, port = studio.host.partition(":")
    for number in range(20):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(random.randbytes(number * 100))
    assert studio.get("/api/about").status == 200
    assert studio.process.poll() is None


def test_the_server_listens_on_the_loopback_address_only(studio):
    addresses = {
        c.laddr.ip for c in psutil.Process(studio.process.pid).net_connections() if c.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_the_token_is_long_new_each_time_and_never_in_what_is_printed_later(studio, tmp_path):
    other = StudioProcess(tmp_path / "runs")
    try:
        assert len(other.token) == 64
        assert other.token != studio.token
        other.get("/api/runs")
    finally:
        other.process.terminate()
        out, err = other.process.communicate(timeout=60)
    assert other.token not in out + err

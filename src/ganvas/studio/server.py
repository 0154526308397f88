"""`ganvas studio`: start the server, print its address, open the browser."""

from __future__ import annotations

import _thread
import contextlib
import json
import logging
import os
import re
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psutil

from ganvas.errors import GanvasError, MachineError, UserError
from ganvas.utils.io import read_regular, storage_errors
from ganvas.utils.output import print_line

DEFAULT_PORT = 8265  # or the next that is free
_RECORD = Path(".studio", "server.json")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}/#token=[0-9a-f]{64}")


def serve(runs: str | Path = "runs", *, port: int | None = None, browser: bool = True) -> None:
    """Serve the runs below a folder on this machine until Ctrl-C.

    Args:
        runs: the folder; made where it is missing.
        port: to listen on; where None, 8265 or the first free one after it.
        browser: open the address in the browser.

    Raises:
        UserError: the folder is a file, or the port is taken.
        StorageError: the folder cannot be made.
    """
    root = Path(runs).expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise UserError(f"runs {runs}: expected a folder with runs in it, got a file")
    with storage_errors(str(root)):
        root.mkdir(parents=True, exist_ok=True)
    listener = _listen(port)
    number = listener.getsockname()[1]
    token = secrets.token_hex(32)
    url = f"http://127.0.0.1:{number}/#token={token}"
    print_line(url)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    import uvicorn  # after the address is printed: a person should not wait for it

    from ganvas.studio.app import Studio
    from ganvas.studio.security import Guard

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            studio.shut()  # or open streams and jobs would keep the server for its grace period
            super().handle_exit(sig, frame)

    logging.getLogger("uvicorn.error").handlers = [_OneLine()]
    studio = Studio(root)
    hosts = frozenset(f"{host}:{number}" for host in ("127.0.0.1", "localhost", "[::1]"))
    config = uvicorn.Config(
        Guard(studio.app(), token, hosts),
        log_config=None, access_log=False, server_header=False, date_header=False, lifespan="on",
        timeout_graceful_shutdown=2, h11_max_incomplete_event_size=2**16, ws="none",
    )  # fmt: skip
    with _recorded(root, url), contextlib.suppress(KeyboardInterrupt):  # the usual way to close it
        Server(config).run(sockets=[listener])
    print_line("studio closed; runs that train continue")


def running_studio(root: Path) -> str | None:
    """The address of a studio that serves `root` at this moment; None where there is none."""
    try:
        record = json.loads(read_regular(root / _RECORD, limit=4096, follow_links=False))
        pid, started, url = record["pid"], record["started"], record["url"]
        if _ADDRESS.fullmatch(url) and abs(psutil.Process(pid).create_time() - started) < 1:
            return str(url)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError, psutil.Error):
        pass  # of a studio that was killed, or damaged
    return None


@contextlib.contextmanager
def _recorded(root: Path, url: str) -> Iterator[None]:
    """Within, `running_studio` finds this server. The file has the token: only its owner may read it."""
    file = root / _RECORD
    values = {"pid": os.getpid(), "started": psutil.Process().create_time(), "url": url}
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with contextlib.suppress(
        OSError
    ):  # of a folder that cannot be written: others start a studio of their own
        file.parent.mkdir(mode=0o700, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(values, stream)
        part.replace(file)
    try:
        yield
    finally:
        if running_studio(root) == url:
            file.unlink(missing_ok=True)


def _serve_until_end_of_input(root: str) -> None:
    """Serve without a browser until standard input ends: for the process that started this one."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            sys.stdin.read()
        _thread.interrupt_main()

    threading.Thread(target=wait, daemon=True).start()
    try:
        serve(root, browser=False)
    except GanvasError as error:
        print_line(str(error))
        sys.exit(1)


class _OneLine(logging.Handler):
    """Shows the server's warnings and errors in a line each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        error = record.exc_info[1] if record.exc_info else None
        text = f"{record.getMessage().splitlines()[0]}: {error!r}" if error else record.getMessage()
        print_line(f"studio: {text}", sys.stderr)


def _listen(port: int | None) -> socket.socket:
    """A socket of this machine's own address: nothing outside of it is reached."""
    if port is not None and not 0 <= port < 2**16:
        raise UserError(f"port {port}: expected 0 to 65535")
    for number in range(DEFAULT_PORT, DEFAULT_PORT + 20) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", number))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if port is not None:
                raise UserError(
                    f"port {port} cannot be used ({error.strerror}): name another, or none"
                ) from None
        else:
            return listener
    raise MachineError(
        f"no free port from {DEFAULT_PORT} to {DEFAULT_PORT + 19}: name one with the option port"
    )


if __name__ == "__main__":
    _serve_until_end_of_input(sys.argv[1])

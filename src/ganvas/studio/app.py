"""The studio's HTTP interface: its page, and `/api`, whose routes docs/studio.md lists."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import ganvas
from ganvas import recipes
from ganvas.errors import GanvasError, printable
from ganvas.runs.control import read_status, write_command
from ganvas.runs.directory import RunDirectory
from ganvas.studio import forms, log
from ganvas.studio.library import JSON, Library, run_id
from ganvas.studio.processes import RUN_NAME, BusyError, Engine, EngineError, StartError, start_run
from ganvas.studio.requests import (
    FIELDS,
    APIError,
    check_zip,
    png_response,
    read_body,
    train_options,
    train_words,
    whole_number,
)
from ganvas.studio.security import TooLargeError

STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_WANTS = ("run", "pause", "stop")


class Studio:
    """The routes, and what they share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = Library(root)
        self.engine = Engine()
        self.uploads = root / ".studio" / "uploads"
        self.logs = root / ".studio" / "logs"
        self._closing = False

    def app(self) -> Starlette:
        """The application; `ganvas.studio.security.Guard` belongs around it."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.engine.close()

        get, post = ["GET"], ["POST"]
        app = Starlette(
            lifespan=lifespan,
            routes=[
                Route("/", self.page, methods=get),
                Route("/static/{name}", self.static, methods=get),
                Route("/api/about", self.about, methods=get),
                Route("/api/recipes", self.recipes, methods=get),
                Route("/api/data", self.data, methods=get),
                Route("/api/data/preview", self.preview_data, methods=post),
                Route("/api/uploads", self.upload, methods=post),
                Route("/api/runs", self.runs, methods=get),
                Route("/api/runs", self.new_run, methods=post),
                Route("/api/runs/{run}", self.run, methods=get),
                Route("/api/runs/{run}/metrics", self.metrics, methods=get),
                Route("/api/runs/{run}/events", self.events, methods=get),
                Route("/api/runs/{run}/grids/{step}.png", self.grid, methods=get),
                Route("/api/runs/{run}/preview.png", self.preview, methods=get),
                Route("/api/runs/{run}/control", self.control, methods=post),
                Route("/api/runs/{run}/resume", self.resume, methods=post),
                Route("/api/runs/{run}/generate", self.generate, methods=post),
                Route("/api/runs/{run}/neighbors", self.neighbors, methods=post),
                Route("/api/runs/{run}/directions", self.directions, methods=post),
                Route("/api/runs/{run}/slow", self.slow_motion, methods=post),
                Route("/api/runs/{run}/project", self.project, methods=post),
                Route("/api/runs/{run}/saliency", self.saliency, methods=post),
                Route("/api/runs/{run}/quiz", self.quiz, methods=post),
            ],
            exception_handlers={
                APIError: _api_error,
                TooLargeError: _too_large,
                404: _not_found,
                405: _not_found,
            },
        )
        app.router.redirect_slashes = False  # one address a thing
        return app

    def shut(self) -> None:
        """End streams and jobs, so that the server can close at once; for a signal's handler, too."""
        self._closing = True
        self.engine.shut()

    async def page(self, _: Request) -> Response:
        """The page."""
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def static(self, request: Request) -> Response:
        """A file of the page, looked up among those that are there."""
        names = {p.name: p for p in STATIC.iterdir()}
        path = names.get(request.path_params["name"])
        if path is None or path.suffix not in _TYPES:
            raise APIError(404, "not_found", "no such file")
        return FileResponse(path, media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})

    async def about(self, _: Request) -> Response:
        """This studio: its version, folder and machine."""
        memory = psutil.virtual_memory().total / 2**30
        return JSONResponse(
            {
                "version": ganvas.__version__,
                "runs_dir": printable(str(self.root)),
                "machine": f"{psutil.cpu_count() or 1} cores, {memory:.0f} GiB",
            }
        )

    async def recipes(self, request: Request) -> Response:
        """The recipes; with `?recipe=NAME` the keys of that one."""
        name = request.query_params.get("recipe")
        try:
            if name is None:
                return JSONResponse(await asyncio.to_thread(forms.recipe_list))
            if name not in recipes.recipe_names():
                raise APIError(404, "not_found", f"no recipe {name}")
            recipe = await asyncio.to_thread(recipes.load_recipe, name)
        except GanvasError as error:
            raise APIError(400, "bad_request", str(error)) from None
        return JSONResponse({"keys": forms.recipe_keys(recipe)})

    async def data(self, _: Request) -> Response:
        """Data sets to choose from."""
        return JSONResponse(await asyncio.to_thread(forms.data_sets, self.root))

    async def preview_data(self, request: Request) -> Response:
        """Some images of a data set, and what would be trained on it."""
        options = train_options(await read_body(request))
        options["data"] = self._data(options["data"])
        return JSONResponse((await self._job({"kind": "preview", "options": options}))[0])

    async def upload(self, request: Request) -> Response:
        """Store a zip of images beside the runs; it is read in place, and never served."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.query_params.get("name", "images.zip"))[-60:].lstrip(
            ".-"
        )
        if not name.lower().endswith(".zip"):
            raise APIError(415, "bad_request", "expected a .zip of images", field="data")
        folder = self.uploads / secrets.token_hex(8)
        await asyncio.to_thread(folder.mkdir, parents=True)
        done = False
        try:
            with (folder / name).open("xb") as stream:
                async for chunk in request.stream():
                    await asyncio.to_thread(stream.write, chunk)
            await asyncio.to_thread(check_zip, folder / name)
            done = True
        except OSError as error:
            raise APIError(
                507, "failed", f"the upload cannot be stored: {error.strerror}", field="data"
            ) from None
        finally:
            if not done:
                shutil.rmtree(folder, ignore_errors=True)
        return JSONResponse({"data": f"upload:{folder.name}"}, 201)

    async def runs(self, _: Request) -> Response:
        """All runs."""
        return JSONResponse({"runs": await asyncio.to_thread(self.library.cards)})

    async def new_run(self, request: Request) -> Response:
        """Start a run in a process of its own."""
        body = await read_body(request)
        options = train_options(body)
        name = body.get("name") or options["recipe"] or "run"
        if not isinstance(name, str) or not RUN_NAME.fullmatch(name):
            raise APIError(400, "bad_request", "a name has letters, digits, '.', '_' and '-'", field="name")
        path = self._free(name) if not body.get("name") else self.root / name
        if os.path.lexists(path):
            raise APIError(409, "bad_request", f"{name} exists: choose another name", field="name")
        words = ["train", *train_words(options, self._data(options["data"])), "--out", str(path)]
        await self._start(words, path)
        return JSONResponse({"id": run_id(path, self.root)}, 202)

    async def run(self, request: Request) -> Response:
        """One run in full."""
        path = await self._path(request)
        try:
            return JSONResponse(await asyncio.to_thread(self.library.details, path))
        except GanvasError as error:
            raise APIError(409, "failed", str(error)) from None

    async def metrics(self, request: Request) -> Response:
        """The log as columns."""
        path = await self._path(request)
        maximum = whole_number(request.query_params.get("max", log.MAX_POINTS), 10, 100_000)
        try:
            return JSONResponse(await asyncio.to_thread(log.columns, RunDirectory(path).metrics, maximum))
        except OSError as error:
            raise APIError(409, "failed", f"cannot read the log: {error.strerror}") from None

    async def events(self, request: Request) -> Response:
        """What happens in the run, as server-sent events."""
        path = await self._path(request)
        offset = whole_number(request.query_params.get("offset", 0), 0, 2**62)

        async def left() -> bool:
            return self._closing or await request.is_disconnected()

        return StreamingResponse(
            log.events(self.library, path, offset, left),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def grid(self, request: Request) -> Response:
        """A saved grid; it never changes."""
        path = await self._path(request)
        step = request.path_params["step"]
        if not step.isascii() or not step.isdecimal() or len(step) > 18:
            raise APIError(404, "not_found", "no such grid")
        file = RunDirectory(path).sample_file(int(step))
        return await png_response(file, "private, max-age=86400, immutable")

    async def preview(self, request: Request) -> Response:
        """The newest preview."""
        return await png_response(RunDirectory(await self._path(request)).preview, "no-store")

    async def control(self, request: Request) -> Response:
        """Pause, continue or stop a run that trains."""
        path = await self._path(request)
        want = (await read_body(request)).get("want")
        if want not in _WANTS:
            raise APIError(400, "bad_request", f"want: expected one of {', '.join(_WANTS)}")
        status = await asyncio.to_thread(read_status, path)
        if status is None or not status.alive:
            raise APIError(409, "bad_request", "no process trains this run: resume it instead")
        try:
            command = await asyncio.to_thread(lambda: write_command(path, want=want))
        except GanvasError as error:
            raise APIError(507, "failed", str(error)) from None
        return JSONResponse({"sequence": command.sequence}, 202)

    async def resume(self, request: Request) -> Response:
        """Resume a run in a process of its own."""
        path = await self._path(request)
        body = await read_body(request)
        words = ["resume", str(path)]
        if body.get("steps") is not None:
            words += ["--steps", str(whole_number(body["steps"], 1, 2**53, "steps"))]
        await self._start(words, path)
        return JSONResponse({}, 202)

    async def generate(self, request: Request) -> Response:
        """Images of latent points as raw pixels."""
        answer, content = await self._run_job(request, "generate")
        return Response(
            content,
            media_type="application/octet-stream",
            headers={
                "cache-control": "no-store",
                "x-shape": ",".join(map(str, answer["shape"])),
                "x-step": str(answer["step"]),
                "x-command": quote(answer["command"]),
                "x-python": quote(answer["python"]),
            },
        )

    async def neighbors(self, request: Request) -> Response:
        """The training images nearest to a generated one."""
        return JSONResponse((await self._run_job(request, "neighbors", seconds=600))[0])

    async def directions(self, request: Request) -> Response:
        """Directions of the run's latent space."""
        return JSONResponse((await self._run_job(request, "directions", seconds=300))[0])

    async def slow_motion(self, request: Request) -> Response:
        """A training step in slow motion."""
        return JSONResponse((await self._run_job(request, "slow", seconds=300))[0])

    async def project(self, request: Request) -> Response:
        """The generator's image that is nearest to a drawing."""
        return JSONResponse((await self._run_job(request, "project", seconds=300))[0])

    async def saliency(self, request: Request) -> Response:
        """What D looks at in generated images."""
        return JSONResponse((await self._run_job(request, "saliency"))[0])

    async def quiz(self, request: Request) -> Response:
        """Real and generated images, and what D says of them."""
        return JSONResponse((await self._run_job(request, "quiz", seconds=300))[0])

    async def _run_job(self, request: Request, kind: str, *, seconds: float = 60) -> tuple[JSON, bytes]:
        path = await self._path(request)
        body = await read_body(request)
        return await self._job({**body, "kind": kind, "run": str(path)}, seconds=seconds)

    async def _job(self, job: JSON, *, seconds: float = 60) -> tuple[JSON, bytes]:
        job["threads"] = await asyncio.to_thread(self._engine_threads)
        try:
            return await self.engine.call(job, seconds=seconds)
        except BusyError:
            raise APIError(429, "busy", "too many requests are waiting") from None
        except EngineError as error:
            code, message, field = error.args
            message = self._without_uploads(message)
            raise APIError(400 if code == "bad_request" else 500, code, message, field=field) from None

    def _engine_threads(self) -> int:
        """One while a run trains, which must not be slowed down; else as many as there are cores."""
        return 1 if self.library.is_training() else psutil.cpu_count(logical=False) or 1

    async def _start(self, words: list[str], path: Path) -> None:
        try:
            await start_run(words, path, self.logs)
        except StartError as error:
            message = str(error)
            first = message.split(" ", 1)[0].rstrip(":")
            names_data = "--data" in words and words[words.index("--data") + 1] in message
            field = first if first in FIELDS else "data" if names_data else None
            message = self._without_uploads(message)
            raise APIError(400, "bad_request", message, field=field) from None
        except OSError as error:
            raise APIError(507, "failed", f"the run cannot be started: {error.strerror}") from None

    def _without_uploads(self, message: str) -> str:
        """A message that names an upload by its file's name, and not by where it is kept."""
        return re.sub(rf"{re.escape(str(self.uploads))}[/\\][0-9a-f]{{16}}[/\\]", "", message)

    async def _path(self, request: Request) -> Path:
        path = await asyncio.to_thread(self.library.find, request.path_params["run"])
        if path is None:
            raise APIError(404, "not_found", "no such run")
        return path

    def _free(self, name: str) -> Path:
        path, number = self.root / name, 1
        while os.path.lexists(path):
            number += 1
            path = self.root / f"{name}-{number}"
        return path

    def _data(self, data: str | None) -> str | None:
        """The data set's name or path; of an upload, its file."""
        if data is None or not data.startswith("upload:"):
            return data
        known = {p.name: p for p in self.uploads.iterdir()} if self.uploads.is_dir() else {}
        folder = known.get(data.removeprefix("upload:"))
        files = list(folder.iterdir()) if folder is not None else []
        if not files:
            raise APIError(400, "bad_request", "no such upload: send the file again", field="data")
        return str(files[0])


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)
    return JSONResponse(error.content, error.status)


async def _too_large(_: Request, error: Exception) -> Response:
    message = f"the request has more than {error.args[0]:,} bytes"
    return JSONResponse({"code": "too_large", "message": message, "hint": ""}, 413, {"connection": "close"})


async def _not_found(_: Request, __: Exception) -> Response:
    return JSONResponse({"code": "not_found", "message": "no such page", "hint": ""}, 404)

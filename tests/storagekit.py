"""The queue API on a real socket, over hand-made models, for tests of storage and webhooks."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.types import ASGIApp, Receive, Scope, Send

from media_mcp.backends.base import Readiness, Run
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import JSON, MediaKind, Output, Quote, Result, Route
from media_mcp.media import Inputs, MediaStore
from media_mcp.queue import Queue
from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.http import listen, web_server
from media_mcp.server.intake import Intake
from media_mcp.server.queue_api.door import QueueApi
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.links import Links
from media_mcp.settings import Settings

MODEL = Model(
    id="poem",
    tool="poem",
    title="Poem",
    description="Writes.",
    task="text-to-text",
    licence="MIT",
    inputs=(),
    outputs=(OutputSpec("text", MediaKind.TEXT, "text/plain"),),
    routes=(Route("local"),),
)


class Writer:
    """Writes the prompt into a file; `fails` raises what it holds, `waits` runs until cancelled."""

    name = "local"
    concurrency = 4

    def __init__(self, fails: Exception | None = None, *, waits: bool = False) -> None:
        self._fails = fails
        self._waits = waits

    async def readiness(self) -> Readiness:
        return Readiness(True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote("local", 0.0, 0.0)

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def run(self, run: Run) -> Result:
        if self._fails:
            raise self._fails
        if self._waits:
            await anyio.sleep_forever()
        path = run.folder / "out.txt"
        path.write_text(str(run.arguments.get("prompt", "")))
        return Result((Output(path, "text", "text/plain"),), {"seed": run.seed})

    async def aclose(self) -> None:
        pass


@asynccontextmanager
async def rooms(
    folder: Path,
    *,
    writer: Writer | None = None,
    clock: Callable[[], float] | None = None,
    **given: Any,
) -> AsyncIterator[App]:
    """Open the rooms on a data folder."""
    settings = Settings(data_dir=folder, **given)
    media = MediaStore(folder / "assets")
    inputs = Inputs(media, roots=(), max_bytes=settings.max_input_bytes, allow_private=False)
    catalog, more = Catalog.load([]), {"clock": clock} if clock else {}
    backends = {"local": writer or Writer()}
    async with Queue(settings, backends, media, lambda _: MODEL, **more) as queue:
        yield App(settings, catalog, backends, media, queue, Intake(catalog, inputs, queue))


LINKS = Links(ServerKey(bytes(32)), Gate(None), 60)  # plain ones


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens on `url`, and a client for it."""

    url: str
    app: App
    http: httpx2.AsyncClient


@asynccontextmanager
async def serving(folder: Path, **given: Any) -> AsyncIterator[Served]:
    """Serve the queue API on a free port."""
    async with rooms(folder, **given) as app:
        api = QueueApi(app, Gate(app.settings.api_key), nothing)
        async with (
            listening(api) as url,
            httpx2.AsyncClient(base_url=url, timeout=20) as http,
        ):
            yield Served(url, app, http)


@asynccontextmanager
async def listening(asgi: ASGIApp) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port of this machine; yields its address."""
    web = web_server(asgi)
    with listen("127.0.0.1", 0) as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: web.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            web.should_exit = True


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer a web server that starts and stops an app."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The other doors: there are none."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"another door"})


def checked(headers: dict[str, str], body: bytes, key: dict[str, str]) -> None:
    """Check a signature as fal's documentation tells to."""
    message = "\n".join(
        [
            headers["x-fal-webhook-request-id"],
            headers["x-fal-webhook-user-id"],
            headers["x-fal-webhook-timestamp"],
            hashlib.sha256(body).hexdigest(),
        ]
    )
    assert abs(int(headers["x-fal-webhook-timestamp"]) - time.time()) < 300
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
    public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message.encode())

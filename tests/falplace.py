"""A small place that speaks the fal queue protocol over real sockets, as tests want it to."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.server import ServerState

KEY = "id:very-secret"


@dataclass
class Asked:
    """A request that the place took."""

    id: str
    endpoint: str
    body: dict[str, Any]
    key: str
    state: str = "COMPLETED"
    position: int = 0
    logs: list[str] = field(default_factory=list)
    cancelled: bool = False
    stopped: bool = False
    looks: int = 0


@dataclass(frozen=True)
class Call:
    """One HTTP call as it came."""

    what: str
    method: str
    path: str
    headers: dict[str, str]
    size: int = 0


class Place:
    """Takes requests, each over at once unless `state` says otherwise, and keeps what it saw.

    `instead[what]` are answers given in the place of doing a thing and `after[what]` those given
    once it is done; each is used up by one call. `what` is submit, status, result, cancel, token,
    upload, initiate, put, part, complete or file. `outcome` makes the result of a request. No call
    is answered before the `gate` is open, if there is one.
    """

    def __init__(self) -> None:
        self.base = ""
        self.state = "COMPLETED"
        self.idempotent = False
        self.asked: dict[str, Asked] = {}
        self.calls: list[Call] = []
        self.files: dict[str, bytes] = {"picture.png": picture("red")}
        self.parts: dict[int, bytes] = {}
        self.instead: dict[str, list[Response]] = defaultdict(list)
        self.after: dict[str, list[Response]] = defaultdict(list)
        self.outcome: Callable[[Asked], Response] = self.images
        self.metrics: dict[str, Any] = {"inference_time": 1.5}
        self.gate: anyio.Event | None = None
        self._news = anyio.Event()
        self._by_key: dict[str, Asked] = {}

    # What tests look at

    @property
    def only(self) -> Asked:
        (asked,) = self.asked.values()
        return asked

    def count(self, what: str) -> int:
        return sum(call.what == what for call in self.calls)

    def last(self, what: str) -> Call:
        return [call for call in self.calls if call.what == what][-1]

    async def until(self, met: Callable[[Place], bool]) -> None:
        """Wait until a call has made something true."""
        while not met(self):
            await self._news.wait()

    def images(self, asked: Asked) -> Response:
        file = {"url": f"{self.base}/files/picture.png", "content_type": "image/png"}
        body = {"images": [file], "seed": asked.body.get("seed", 7), "prompt": "revised"}
        return JSONResponse(body)

    # The protocol

    async def handle(self, request: Request, what: str, act: Callable[..., Any]) -> Response:
        body = await request.body()
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = dict(request.headers)
        self.calls.append(Call(what, request.method, path, headers, len(body)))
        self._news.set()
        self._news = anyio.Event()
        if self.gate is not None:
            await self.gate.wait()
        if self.instead[what]:
            return self.instead[what].pop(0)
        answer = await act(request, body)
        return self.after[what].pop(0) if self.after[what] else answer

    async def submit(self, request: Request, _: bytes) -> Response:
        key = request.headers.get("idempotency-key", "")
        asked = self._by_key.get(key) if self.idempotent and key else None
        if asked is None:
            endpoint = request.path_params["endpoint"]
            body = await request.json()
            asked = Asked(uuid.uuid4().hex, endpoint, body, key, self.state)
            self.asked[asked.id] = self._by_key[key] = asked
        urls = dict.fromkeys(("status_url", "response_url"), "https://elsewhere.example/x")
        body = {"status": "IN_QUEUE", "request_id": asked.id, "queue_position": 0, **urls}
        return JSONResponse(body, headers={"x-fal-request-id": asked.id})

    async def status(self, request: Request, _: bytes) -> Response:
        asked = self.asked.get(request.path_params["rid"])
        if asked is None:
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        asked.looks += 1
        body: dict[str, Any] = {"status": asked.state, "request_id": asked.id}
        body |= {"queue_position": asked.position if asked.state == "IN_QUEUE" else None}
        body |= {"logs": [{"message": line} for line in asked.logs], "metrics": self.metrics}
        return JSONResponse(body, 200 if asked.state == "COMPLETED" else 202)

    async def result(self, request: Request, _: bytes) -> Response:
        asked = self.asked[request.path_params["rid"]]
        if asked.state != "COMPLETED":
            return JSONResponse({"detail": "Request is still in progress"}, 400)
        if asked.stopped:
            told = {"detail": "Request was cancelled", "error_type": "client_cancelled"}
            return JSONResponse(told, 499)
        answer = self.outcome(asked)
        answer.headers.setdefault("x-fal-request-id", asked.id)
        return answer

    async def cancel(self, request: Request, _: bytes) -> Response:
        asked = self.asked[request.path_params["rid"]]
        asked.cancelled = True
        if asked.state == "COMPLETED":
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        asked.stopped, asked.state = True, "COMPLETED"
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)

    async def token(self, request: Request, _: bytes) -> Response:
        expires_at = "2100-01-01T00:00:00+00:00"
        body = {"token": "tok", "token_type": "Bearer", "base_url": f"{self.base}/cdn"}
        return JSONResponse(body | {"expires_at": expires_at})

    async def upload(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"access_url": self._keep(body)})

    async def multipart(self, request: Request, _: bytes) -> Response:
        return JSONResponse({"access_url": f"{self.base}/cdn/files/large", "uploadId": "up1"})

    async def part(self, request: Request, body: bytes) -> Response:
        number = request.path_params["number"]
        self.parts[number] = body
        if "signed" in request.query_params:
            return JSONResponse({"partNumber": number, "etag": f"json-{number}"})
        return Response(headers={"etag": f'"tag-{number}"'})

    async def complete(self, request: Request, _: bytes) -> Response:
        wanted = (await request.json())["parts"]
        self.files["large"] = b"".join(self.parts[part["partNumber"]] for part in wanted)
        return JSONResponse({})

    async def initiate(self, request: Request, _: bytes) -> Response:
        to = f"{self.base}/put?signed=1"
        return JSONResponse({"upload_url": to, "file_url": f"{self.base}/files/put"})

    async def put(self, request: Request, body: bytes) -> Response:
        self.files["put"] = body
        return Response()

    async def file(self, request: Request, _: bytes) -> Response:
        return Response(self.files[request.path_params["name"]], media_type="image/png")

    def _keep(self, body: bytes) -> str:
        name = f"up-{len(self.files)}"
        self.files[name] = body
        return f"{self.base}/files/{name}"

    def app(self) -> Starlette:
        def route(path: str, method: str, what: str, name: str = "") -> Route:
            act = getattr(self, name or what)

            async def endpoint(request: Request) -> Response:
                return await self.handle(request, what, act)

            return Route(path, endpoint, methods=[method])

        here = "/queue/{app:path}/requests/{rid}"
        return Starlette(
            routes=[
                route(f"{here}/status", "GET", "status"),
                route(f"{here}/cancel", "PUT", "cancel"),
                route(here, "GET", "result"),
                route("/queue/{endpoint:path}", "POST", "submit"),
                route("/rest/storage/auth/token", "POST", "token"),
                route("/rest/storage/upload/initiate", "POST", "initiate"),
                route("/rest/storage/upload/initiate-multipart", "POST", "initiate"),
                route("/cdn/files/upload", "POST", "upload"),
                route("/cdn/files/upload/multipart", "POST", "upload", "multipart"),
                route("/cdn/files/large/multipart/up1/{number:int}", "PUT", "part"),
                route("/cdn/files/large/multipart/up1/complete", "POST", "complete"),
                route("/put", "PUT", "put"),
                route("/put/{number:int}", "PUT", "part"),
                route("/put/complete", "POST", "complete"),
                route("/files/{name}", "GET", "file"),
            ]
        )


@asynccontextmanager
async def open_place() -> AsyncIterator[Place]:
    """Serve a place on a free port of this machine."""
    place = Place()
    async with served(place.app()) as place.base:
        yield place


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port; yields its base URL.

    Uvicorn's protocol without its server, which takes a fifth of a second to stop.
    """
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    state = ServerState()

    def connected() -> Any:
        return config.http_protocol_class(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in [*state.connections]:
            connection.transport.abort()
        for task in [*state.tasks]:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.wait_closed()


def picture(color: str, side: int = 16) -> bytes:
    """Return a PNG with a frame, so that no check calls it blank."""
    image = Image.new("RGB", (side, side), color)
    image.paste("white", (2, 2, side // 2, side // 2))
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return kept.getvalue()


def toml(folder: Path, name: str, **lines: Any) -> Path:
    """Write a backend.toml into a folder of configuration and return it."""
    path = folder / "backends" / name / "backend.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{key} = {_literal(value)}" for key, value in lines.items()]
    path.write_text("\n".join(rows) + "\n")
    return path


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else str(value)

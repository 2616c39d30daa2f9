"""A place that bills, keeps its own book of that, and makes trouble when it is asked to.

It is the world around the servers under test: the place that jobs go to (`paid`, which does not
know a call again, and `twin`, which does), the receiver of webhooks, and another program that locks
the database or fills the disk for a while.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.server import ServerState

from falplace import Asked, Place

PRICE = 0.04
LOOKS = 2  # after which a request is over
BLOCK = 2**16


class Bank(Place):
    """Bills what it makes. The first word of a prompt says how a request goes:

    `good`, `flaky` (the first of a job fails), `bad` (all fail), `away` (those to `paid` fail),
    `slow` (takes its time).
    What fails is not billed; nor is what is cancelled while it runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.billed: dict[str, float] = {}
        self.hooks: Counter[str] = Counter()
        self._of_job: Counter[str] = Counter()

    async def submit(self, request: Request, body: bytes) -> Response:
        self.idempotent = request.path_params["endpoint"].startswith("twin/")
        answer = await super().submit(request, body)
        asked = self.asked[answer.headers["x-fal-request-id"]]
        if asked.id not in self.billed:
            job = job_of(asked)
            word = str(asked.body.get("prompt", "")).partition(" ")[0]
            fails = word == "bad" or (word == "flaky" and not self._of_job[job])
            fails = fails or (word == "away" and not self.idempotent)
            self._of_job[job] += 1
            self.billed[asked.id] = 0.0 if fails else PRICE
            asked.state = "IN_PROGRESS"
            asked.position = LOOKS * (10 if word == "slow" else 1)
        return answer

    async def status(self, request: Request, body: bytes) -> Response:
        asked = self.asked.get(request.path_params["rid"])
        if asked is not None:
            asked.logs.append(f"step {min(asked.looks + 1, asked.position)}/{asked.position}")
            if asked.looks >= asked.position:
                asked.state = "COMPLETED"
        return await super().status(request, body)

    async def cancel(self, request: Request, body: bytes) -> Response:
        asked = self.asked[request.path_params["rid"]]
        if asked.state != "COMPLETED":
            self.billed[asked.id] = 0.0
        return await super().cancel(request, body)

    async def result(self, request: Request, body: bytes) -> Response:
        asked = self.asked[request.path_params["rid"]]
        answer = await super().result(request, body)
        if asked.state == "COMPLETED":
            units = self.billed[asked.id] / PRICE
            if not units:
                answer = JSONResponse({"detail": "the GPU fell over"}, 500)
                again = "away" not in str(asked.body.get("prompt"))
                answer.headers["x-fal-retryable"] = str(again).lower()
            answer.headers["x-fal-request-id"] = asked.id
            answer.headers["x-fal-billable-units"] = f"{units:g}"
        return answer

    async def hook(self, request: Request, body: bytes) -> Response:
        self.hooks[(await request.json())["request_id"]] += 1
        return Response()

    def book(self) -> dict[str, Any]:
        lines = [[job_of(a), a.id, self.billed[a.id]] for a in self.asked.values()]
        return {"lines": [line for line in lines if line[2]], "hooks": self.hooks}


def job_of(asked: Asked) -> str:
    """Return the job that a request is of: our key begins with its id."""
    return asked.key.partition(".")[0]


class World:
    """Serves the bank on a port that can be gone for a while, and itself on one that cannot."""

    def __init__(self) -> None:
        self.bank = Bank()
        self._state = ServerState()
        self._tasks: set[asyncio.Task[None]] = set()
        # Bound and not listening: nobody else gets the port while the place is gone.
        self._keeper = bound(0)
        self.port = self._keeper.getsockname()[1]
        self._server: asyncio.Server | None = None

    async def serve(self, told: Path) -> None:
        """Serve until killed; the two ports are written to `told`."""
        self.bank.base = f"http://127.0.0.1:{self.port}"
        self._config = configured(self.bank.app())
        await self._open()
        world = Starlette(
            routes=[
                Route("/hook", self._hook, methods=["POST"]),
                Route("/book", self._book),
                Route("/trouble", self._trouble, methods=["POST"]),
            ]
        )
        async with listening(configured(world), ServerState(), bound(0)) as port:
            written = told.with_suffix(".new")
            written.write_text(f"{self.port} {port}")
            written.rename(told)
            await anyio.sleep_forever()

    async def _open(self) -> None:
        config, state = self._config, self._state

        def connected() -> Any:
            return config.http_protocol_class(config=config, server_state=state, app_state={})

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connected, sock=bound(self.port))

    async def _hook(self, request: Request) -> Response:
        return await self.bank.hook(request, b"")

    async def _book(self, request: Request) -> Response:
        return JSONResponse(self.bank.book())

    async def _trouble(self, request: Request) -> Response:
        """Begin with what is asked for, answer, and end it after its seconds."""
        asked = await request.json()
        begun = asyncio.Event()
        work = getattr(self, asked["what"])(asked.get("path"), asked["seconds"], begun)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(TimeoutError):  # a lock may have to wait for who asks for it
            async with asyncio.timeout(0.05):
                await begun.wait()
        return Response()

    async def gone(self, path: str | None, seconds: float, begun: asyncio.Event) -> None:
        """Refuse connections, and break those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for connection in [*self._state.connections]:
                connection.transport.abort()
        begun.set()
        await anyio.sleep(seconds)
        if server is not None:
            await self._open()

    async def locked(self, path: str, seconds: float, begun: asyncio.Event) -> None:
        """Hold the database's write lock."""
        loop = asyncio.get_running_loop()
        await to_thread.run_sync(hold, path, seconds, lambda: loop.call_soon_threadsafe(begun.set))

    async def full(self, path: str, seconds: float, begun: asyncio.Event) -> None:
        """Fill the disk to its last byte."""
        filler = Path(path) / f"filler-{id(begun)}"
        fill(filler)
        begun.set()
        await anyio.sleep(seconds)
        filler.unlink()


def hold(path: str, seconds: float, begun: Any) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN IMMEDIATE")
        begun()
        anyio.run(anyio.sleep, seconds)
        db.execute("ROLLBACK")


def fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (BLOCK, 512, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


def configured(app: Any) -> uvicorn.Config:
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    return config


@asynccontextmanager
async def listening(
    config: uvicorn.Config, state: ServerState, listener: socket.socket
) -> AsyncIterator[int]:
    def connected() -> Any:
        return config.http_protocol_class(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()


def serve(told: Path) -> None:
    anyio.run(World().serve, told)


def read_book(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body))

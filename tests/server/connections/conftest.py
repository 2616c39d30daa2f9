"""A small web server with bounds that a test need not wait for, and clients that dawdle."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Receive, Scope, Send

from media_mcp.server.connections.bounds import Bounds
from media_mcp.server.connections.server import WebServer
from media_mcp.server.http import listen, tls_context, web_server
from storagekit import lifespan

QUICK = Bounds(
    head_seconds=0.4,
    stall_seconds=0.4,
    idle_seconds=0.4,
    linger_seconds=0.4,
    silent_seconds=0.4,
    handshake_seconds=0.4,
    rate=10_000,
)


@dataclass
class Place:
    """A server that listens on `port`, and what its app met."""

    port: int = 0
    server: WebServer | None = None
    bodies: list[bytes] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] == "websocket":
            return await self._socket(receive, send)
        self.scopes.append(scope)
        self.came.set()
        await getattr(self, f"_{scope['path'].strip('/')}")(receive, send)

    async def empty(self) -> None:
        """Wait until the server has no connection; it tells nobody."""
        assert self.server is not None
        while self.server.server_state.connections:  # noqa: ASYNC110
            await anyio.sleep(0.05)

    async def _echo(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return self.gone.set()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await _answer(send, 200, b"ok")

    async def _refuse(self, receive: Receive, send: Send) -> None:
        await _answer(send, 401, b"no")

    async def _wait(self, receive: Receive, send: Send) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()

    async def _big(self, receive: Receive, send: Send) -> None:
        await _answer(send, 200, bytes(32 * 2**20))

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watch = asyncio.ensure_future(self._wait(receive, send))
        while not watch.done():
            body = {"type": "http.response.body", "body": bytes(2**20), "more_body": True}
            await send(body)
            await anyio.lowlevel.checkpoint()

    async def _socket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.bodies.append(message.get("bytes") or message.get("text", "").encode())
            await self.go.wait()
        self.gone.set()


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


Places = Callable[..., AbstractAsyncContextManager[Place]]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: the one that the tests run on, and the one that the server does."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def place(certificate: Any) -> Places:
    """Serve with bounds: `async with place(total=2) as place:`; with `tls`, over TLS."""

    @asynccontextmanager
    async def serve(bounds: Bounds = QUICK, *, tls: bool = False) -> AsyncIterator[Place]:
        context = tls_context(certificate.cert, certificate.key) if tls else None
        found = Place()
        web = found.server = web_server(found, context, bounds)
        with listen("127.0.0.1", 0) as listener:
            found.port = listener.getsockname()[1]
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: web.serve(sockets=[listener]))
                with anyio.fail_after(30):
                    yield found
                web.should_exit = True

    return serve


@dataclass
class Raw:
    """A connection whose every byte the test sends and reads itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, path: str, body: bytes = b"", headers: str = "") -> None:
        method = "POST" if body else "GET"
        length = f"content-length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}{length}\r\n"
        await self.send(head.encode() + body)

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of the next answer, which has a length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def ended(self) -> bytes:
        """Read until the server closes; return what came."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


Dial = Callable[..., AbstractAsyncContextManager[Raw]]


@pytest.fixture
def dial(certificate: Any) -> Dial:
    """Connect to a place: `async with dial(place) as raw:`."""

    @asynccontextmanager
    async def connect(place: Place, *, tls: bool = False) -> AsyncIterator[Raw]:
        context = ssl.create_default_context(cafile=str(certificate.cert)) if tls else None
        raw = Raw(*await asyncio.open_connection("127.0.0.1", place.port, ssl=context))
        try:
            yield raw
        finally:
            raw.writer.transport.abort()

    return connect

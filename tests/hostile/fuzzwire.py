"""What is fuzzed beside decoders: archives, options, tokens, workers' frames and whole requests."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from media_mcp.backends.base import Run
from media_mcp.backends.local.wire import to_error, to_result
from media_mcp.errors import BadArchive, BadOutput, MediaError, StorageFailed
from media_mcp.job import Caller, Route
from media_mcp.media import MediaStore
from media_mcp.queue import moving
from media_mcp.queue.archive import ArchiveReader
from media_mcp.queue.moving import Importer
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.calls import BadRequest, Call
from media_mcp.server.queue_api.door import QueueApi
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.links import Links
from media_mcp.server.queue_api.options import options_of, wants_logs
from media_mcp.server.queue_api.target import Target
from media_mcp.worker.protocol import Done, Failed, ProtocolError, from_worker
from storagekit import MODEL, listening, nothing, rooms
from stores import SUCCEEDED, Shelf, sqlite_store

NAMES = (
    "x-fal-queue-priority",
    "x-fal-request-timeout",
    "x-fal-request-start-timeout",
    "x-fal-store-io",
    "x-fal-object-lifecycle-preference",
    "x-fal-runner-hint",
    "x-fal-no-retry",
    "idempotency-key",
)
VALUES = (b"low", b"10", b"0.5", b"1", b'{"expiration_duration_seconds":60}', b"true", b"key")
QUERIES = (
    b"fal_webhook=https%3A%2F%2Fh.example%2Fx%3Fa%3D1&fal_max_queue_length=10",
    b"logs=1&fal_max_queue_length=00000001",
)
FRAMES = (
    b'{"type":"done","job_id":"j","outputs":[{"path":"a.png","role":"output","mime_type":"m"}],'
    b'"facts":{"load_seconds":0.5,"text":"\\u20ac"}}',
    b'{"type":"failed","job_id":"j","code":"invalid_arguments","message":"m","hint":"h"}',
    b'{"type":"progress","job_id":"j","step":1,"total":2}',
    b'{"type":"hello","protocol":3,"pid":1,"python":"3","packages":{"a":"1"},"device":"cpu",'
    b'"device_memory":1}',
)
REQUESTS = (
    b"POST /queue/poem?fal_webhook=https%3A%2F%2Fh.example HTTP/1.1\r\nHost: localhost\r\n"
    b"X-Fal-Queue-Priority: low\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    b'{"prompt":"x"}',
    b"GET /queue/poem/requests/1/status?logs=1 HTTP/1.1\r\nHost: localhost\r\n"
    b"Authorization: Key a:b\r\nX-Request-Id: r\r\ntraceparent: 00-0-0-00\r\n\r\n",
    b"GET /files/" + b"a" * 64 + b".png?token=x HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9"
    b"\r\n\r\n",
    b"POST /storage/upload/initiate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    b'\r\n2a\r\n{"file_name":"a.png","content_type":"a/b"}\r\n0\r\n\r\n',
    b"PUT /storage/upload/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /realtime/poem HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4\r\n\r\n",
)
Near = Callable[[Sequence[bytes]], st.SearchStrategy[bytes]]
Tried = Callable[[Any], None]


class Watched:
    """Passes requests on, and keeps what went wrong with them."""

    def __init__(self, app: Any) -> None:
        self.faults: list[object] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message.get("status", 0) == 500:
                self.faults.append(message)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            self.faults.append(error)
            raise


class Wire:
    """Doors that are no decoders, in a folder of their own, on the loop that is given."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._folder = folder / "job-1"
        self._folder.mkdir()
        (self._folder / "a.png").write_bytes(b"x")
        self._run = Run("j", 1, MODEL, Route("local"), {}, 1, lambda: self._folder, _ignored)
        self._key = ServerKey(bytes(32))
        self._links = Links(
            self._key, Gate(SecretStr("a key of the operator's own")), 60, lambda: 0.0
        )
        self._store = SqliteStore(folder / "jobs.sqlite", Instance("new", 1, "here", ""))
        self._media = MediaStore(folder / "imported")
        loop.run_until_complete(self._store.open())
        self._sound = loop.run_until_complete(_archive(folder / "from"))
        self._over = asyncio.Event()
        ready: asyncio.Future[tuple[str, int]] = loop.create_future()
        self._serving = loop.create_task(self._serve(folder / "served", ready))
        self._place = loop.run_until_complete(ready)

    async def _serve(self, folder: Path, ready: asyncio.Future[tuple[str, int]]) -> None:
        async with rooms(folder) as app:
            self._api = Watched(QueueApi(app, Gate(None), nothing))
            async with listening(self._api) as url:
                ready.set_result(("127.0.0.1", urlsplit(url).port or 0))
                await self._over.wait()

    def close(self) -> None:
        self._over.set()
        self._loop.run_until_complete(self._serving)
        self._loop.run_until_complete(self._store.aclose())

    def archives(self, data: bytes) -> None:
        importing = Importer(self._store, self._media, lambda done, total: None)
        with suppress(BadArchive, StorageFailed):
            self._loop.run_until_complete(importing.run(io.BytesIO(gzip.compress(data, 1))))
        assert not self._loop.run_until_complete(self._store.unbalanced())

    def options(self, given: tuple[bytes, dict[str, bytes]]) -> None:
        query, headers = given[0].decode("latin-1"), {k.encode(): v for k, v in given[1].items()}
        place = Target("queue", "a/b", query, "http://x/queue", "http://x")
        absent: Any = None
        scope = {"type": "http", "method": "POST"}
        with suppress(BadRequest):
            found = options_of(Call(scope, absent, absent, headers, place, Caller()))
            assert found.webhook.isascii()
            assert found.webhook.isprintable()
        with suppress(BadRequest):
            wants_logs(Call(scope, absent, absent, headers, place, Caller()).query())

    def tokens(self, data: bytes) -> None:
        """None of them opens anything: whoever draws the right one has found a hole."""
        text = data.decode("latin-1")
        assert self._key.claims("token", text, 0.0) is None
        assert self._links.opens(f"{'a' * 64}.png", f"token={text}", ["ann"]) is None
        assert self._links.opens(text, text, ["ann"]) is None

    def frames(self, data: bytes) -> None:
        with suppress(ProtocolError, BadOutput):
            message = from_worker(data)
            if isinstance(message, Done):
                for output in to_result(message, self._run).outputs:
                    assert output.path == self._folder / "a.png"
            if isinstance(message, Failed):
                error = to_error(message)
                assert isinstance(error, MediaError)
                assert (error.message + error.hint).isprintable()

    def requests(self, data: bytes) -> None:
        self._loop.run_until_complete(self._asked(data))
        faults, self._api.faults = self._api.faults, []
        assert not faults, faults

    async def _asked(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection(*self._place)
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            writer.write_eof()
            async with asyncio.timeout(20):
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def targets_and_what_is_drawn(self, near: Near) -> dict[Tried, st.SearchStrategy[Any]]:
        token = self._key.token("other", [f"{'a' * 64}.png", "ann"], 60.0).encode()
        values = near(VALUES) | st.binary(max_size=30)
        headers = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)
        return {
            self.archives: near([self._sound]),
            self.options: st.tuples(near(QUERIES) | st.binary(max_size=60), headers),
            self.tokens: near([token]) | st.binary(max_size=80),
            self.frames: near(FRAMES),
            self.requests: near(REQUESTS) | st.binary(max_size=200),
        }


async def _archive(folder: Path) -> bytes:
    """Return what a sound archive holds, unpacked: a job of ann's and what it made."""
    media, shelf = MediaStore(folder / "assets"), Shelf(sqlite_store, folder)
    store = await shelf.open()
    made = await media.of("ann").put_bytes(b"words", role="text", name="x", provenance={"a": 1})
    ending = Ending(SUCCEEDED.state, assets=(made,), cost=0.5)
    await store.end(await shelf.claimed(store), ending)
    stream = io.BytesIO()
    moving.export(store, media, stream, moving.Which(), lambda done, total: None)
    await store.aclose()
    assert list(ArchiveReader(io.BytesIO(stream.getvalue())))
    return gzip.decompress(stream.getvalue())


async def _ignored(report: Any) -> None:
    pass

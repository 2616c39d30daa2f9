"""How much a body may hold, at every door and however it is sent, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from media_mcp.server.auth import Gate
from media_mcp.server.http import MAX_BODY, http_app
from storagekit import listening
from support import Opened

pytestmark = pytest.mark.anyio
DOORS = (
    "/queue/test/steps",
    "/run/test/steps",
    "/mcp",
    "/v1/warm",
    "/rest/storage/upload/initiate",
)
EVERY_DOOR = pytest.mark.parametrize("door", DOORS)
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@asynccontextmanager
async def served(opened: Opened) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened() as (app, server):
        asgi = http_app(server, app, Gate.of(app.settings))
        async with (
            listening(asgi) as url,
            httpx2.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as http,
        ):
            yield http


def too_long(door: str) -> int:
    """Return the status of a body of too many bytes; our own API has one for all bad input."""
    return 422 if door.startswith("/v1/") else 413


async def raw(http: httpx2.AsyncClient, head: str, body: bytes = b"") -> bytes:
    """Send a request of bytes, and no more; return the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
    try:
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


@EVERY_DOOR
async def test_a_body_without_a_length_is_read_up_to_the_limit(opened: Opened, door: str) -> None:
    async with served(opened) as http:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(MAX_BODY // 2**20 + 2):
                yield b" " * 2**20

        assert (await http.post(door, content=pieces())).status_code == too_long(door)


@EVERY_DOOR
async def test_a_body_that_says_it_is_too_long_is_refused_before_it_came(
    opened: Opened, door: str
) -> None:
    async with served(opened) as http:
        head = f"POST {door} HTTP/1.1\nhost: localhost\ncontent-length: {2**40}\n"
        told = "".join(f"{name}: {value}\n" for name, value in HEADERS.items())
        answer = await raw(http, head + told, b" " * 5000)
        assert answer.startswith(b"HTTP/1.1 %d " % too_long(door))


@EVERY_DOOR
@pytest.mark.parametrize(
    "lie",
    [
        "content-length: -1",
        "content-length: 1e3",
        "content-length: 2\ncontent-length: 3",
        "content-length: 2\ntransfer-encoding: chunked",
    ],
)
async def test_a_length_that_is_none_is_no_request(opened: Opened, door: str, lie: str) -> None:
    async with served(opened) as http:
        head = f"POST {door} HTTP/1.1\nhost: localhost\n{lie}\n"
        assert (await raw(http, head, b"{}")).startswith(b"HTTP/1.1 400 ")


@EVERY_DOOR
async def test_what_unpacks_is_not_unpacked_and_forms_are_not_read(
    opened: Opened, door: str
) -> None:
    part = b'--x\r\ncontent-disposition: form-data; name="%d"\r\n\r\nx\r\n'
    parts = b"".join(part % n for n in range(10_000))
    endless = b'--x\r\ncontent-disposition: form-data; name="' + b"x" * 2**20
    form = {"content-type": "multipart/form-data; boundary=x"}
    async with served(opened) as http:
        for body, headers in (
            (gzip.compress(b" " * 2**26), {"content-encoding": "gzip"}),
            (parts + b"--x--\r\n", form),
            (endless, form),
        ):
            answer = await http.post(door, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, answer.text
        assert (await http.get("/healthz")).is_success

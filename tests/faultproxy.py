"""A proxy that stands between two HTTP speakers and breaks things, as a seed or a plan says."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

Fault = Literal[
    "none", "delay", "reset before", "reset after", "busy", "gateway", "lost gateway", "cut", "slow"
]
NGINX = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
ODDS: dict[Fault, float] = {
    "none": 70,
    "delay": 10,
    "reset before": 4,
    "reset after": 4,
    "busy": 3,
    "gateway": 3,
    "lost gateway": 2,
    "cut": 3,
    "slow": 1,
}
Chooser = Callable[[bytes], Fault]


def seeded(seed: int, odds: dict[Fault, float] = ODDS) -> Chooser:
    """Return a chooser that draws faults by their odds, the same for the same seed."""
    draw = random.Random(seed)
    return lambda _: draw.choices(list(odds), list(odds.values()))[0]


def planned(*faults: Fault, on: bytes = b"") -> Chooser:
    """Return a chooser that gives calls whose first line holds `on` these faults, and then none."""
    left = list(faults)
    return lambda line: left.pop(0) if left and on in line else "none"


class FaultProxy:
    """One call at a time on each connection: read it whole, pass it on, read the answer, break it.

    `met` counts the faults. A slow answer drips a byte each `drip` seconds.
    """

    def __init__(self, upstream: str, choose: Chooser, drip: float = 0.2) -> None:
        self._host, _, port = upstream.removeprefix("http://").partition(":")
        self._port = int(port)
        self._choose = choose
        self._drip = drip
        self.met: Counter[str] = Counter()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._call(reader, writer):
                    pass
        finally:
            await _closed(writer)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one call; return whether the connection lives on."""
        asked = await _message(reader)
        if not asked:
            return False
        fault = self._choose(asked.partition(b"\r\n")[0])
        self.met[fault] += 1
        if fault == "reset before":
            return _reset(writer)
        if fault in ("busy", "gateway"):
            return await _send(writer, _refusal(fault))
        answer = await self._upstream(asked)
        if fault == "reset after":
            return _reset(writer)
        if fault == "lost gateway":
            return await _send(writer, _refusal("gateway"))
        if fault == "cut":
            head, _, body = answer.partition(b"\r\n\r\n")
            await _send(writer, head + b"\r\n\r\n" + body[: len(body) // 2])
            return False
        if fault == "delay":
            await asyncio.sleep(0.05)
        if fault == "slow":
            return await self._dribble(writer, answer)
        return await _send(writer, answer)

    async def _upstream(self, asked: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            head, _, body = asked.partition(b"\r\n\r\n")
            writer.write(head + b"\r\nConnection: close\r\n\r\n" + body)
            answer = await reader.read()
        finally:
            await _closed(writer)
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = [
            line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def _dribble(self, writer: asyncio.StreamWriter, answer: bytes) -> bool:
        for at in range(len(answer)):
            writer.write(answer[at : at + 1])
            await writer.drain()
            await asyncio.sleep(self._drip)
        return True


@asynccontextmanager
async def faulty(upstream: str, choose: Chooser, **more: Any) -> AsyncIterator[FaultProxy]:
    """Stand before `upstream` (`http://127.0.0.1:80`) on a free port."""
    proxy = FaultProxy(upstream, choose, **more)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with suppress(asyncio.CancelledError):
            await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**26)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one request, head and body; nothing if the other side has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def _refusal(fault: str) -> bytes:
    if fault == "busy":
        first, extra, body = b"429 Too Many Requests", b"Retry-After: 0.2\r\n", b'{"detail":"busy"}'
    else:
        first, extra, body = b"502 Bad Gateway", b"Content-Type: text/html\r\n", NGINX
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (first, extra, len(body), body)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close at once, also where the other side would still have something to read."""
    writer.transport.abort()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Close so that the other side sees a reset and no orderly end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False

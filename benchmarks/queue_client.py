"""A client of the queue API over bare sockets that stay open, and what it measures.

Requests are bytes made beforehand; of an answer only what is needed next is read.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ID = re.compile(rb'"request_id":"([0-9a-z]+)"')


class Pace(NamedTuple):
    """Jobs a second, and milliseconds from submit to result: the median and the slowest 5 %."""

    rate: float
    p50: float
    p95: float

    @classmethod
    def of(cls, spent: list[float], seconds: float) -> Pace:
        late = quantiles(spent, n=20)[-1]
        return cls(len(spent) / seconds, median(spent) * 1000, late * 1000)


class Line:
    """One connection, one request at a time, each with the key if there is one."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str = ""
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._shown = f"\r\nAuthorization: Key {key}\r\n".encode() if key else b"\r\n"

    @classmethod
    async def to(cls, port: int, key: str = "") -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of the answer, which must be a good one."""
        self._writer.write(request.replace(b"\r\n", self._shown, 1))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await (self._reader.readexactly(int(length[1])) if length else self._chunks())
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"{head.decode()}{body.decode()}")
        return body

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body

    def close(self) -> None:
        self._writer.close()


Way: TypeAlias = Callable[[Line, str], Awaitable[bytes]]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode()


def request_id(answer: bytes) -> str:
    """Return the id that the answer to a submit names."""
    found = _ID.search(answer)
    if found is None:
        raise RuntimeError(answer.decode())
    return found[1].decode()


async def by_queue(line: Line, endpoint: str) -> bytes:
    """Submit a no-op, follow its status until it is over, and fetch the result."""
    place = f"/queue/{endpoint}"
    request = f"{place}/requests/{request_id(await line.ask(post(place, {'prompt': 'x'})))}"
    if b'"COMPLETED"' not in await line.ask(get(f"{request}/status/stream")):
        raise RuntimeError("The stream ended before the job.")
    return await line.ask(get(request))


async def by_run(line: Line, endpoint: str) -> bytes:
    """Call a no-op in one request, which waits for the result."""
    return await line.ask(post(f"/run/{endpoint}", {"prompt": "x"}))


async def pace(port: int, call: Way, endpoint: str, at_once: int, jobs: int) -> Pace:
    """Keep so many jobs in flight until `jobs` are done."""
    lines = [await Line.to(port) for _ in range(at_once)]
    spent: list[float] = []
    left = iter(range(jobs))

    async def keep_busy(line: Line) -> None:
        for _ in left:
            began = perf_counter()
            result = await call(line, endpoint)
            spent.append(perf_counter() - began)
            if b'"said":"x"' not in result:
                raise RuntimeError(f"A no-op answered {result.decode()}")

    began = perf_counter()
    await asyncio.gather(*map(keep_busy, lines))
    seconds = perf_counter() - began
    for line in lines:
        line.close()
    return Pace.of(spent, seconds)


def statuses(port: int, requests: list[str], seconds: float) -> float:
    """Ask for the status of running jobs, each on a connection of its own; return calls a second.

    All are asked before the first answer is read, so that the server never waits for this client.
    """
    asked = [(socket.create_connection(("127.0.0.1", port)), get(path)) for path in requests]
    calls, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        for line, request in asked:
            line.sendall(request)
        for line, _ in asked:
            _read(line)
            calls += 1
    spent = perf_counter() - began
    for line, _ in asked:
        line.close()
    return calls / spent


def _read(line: socket.socket) -> None:
    answer = b""
    while True:
        answer += line.recv(2**16)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length and len(body) >= int(length[1]):
            break
    if not (head.startswith(b"HTTP/1.1 202") and b'"IN_PROGRESS"' in body):
        raise RuntimeError(answer.decode())

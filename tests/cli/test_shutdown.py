"""The end of a server that has clients waiting, streams open and jobs running."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgpack
import pytest
from mcp import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.anyio
REHEARSED = ("--rehearse", "--rehearse-seconds", "3000", "--tools", "rehearsal_image")
MODEL = "rehearsal/image"
PROMPT = {"prompt": "x"}


def states(place: Path) -> dict[str, int]:
    """Return how many jobs are in each state, as the file has them."""
    with sqlite3.connect(f"file:{place / 'data' / 'jobs.sqlite'}?mode=ro", uri=True) as db:
        found = dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state"))
    db.close()
    return found


class House:
    """A server in a process of its own, and the clients that it has."""

    def __init__(self, child: Callable[..., Any], *flags: str) -> None:
        self.server = child("serve", "--http", "127.0.0.1:0", *flags)
        self.url = self.server.line_of_stderr("listens on").split()[-1].removesuffix("/mcp")
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=60)

    async def submit(self) -> str:
        answer = await self.http.post(f"/queue/{MODEL}", json=PROMPT)
        return str(answer.json()["request_id"])

    async def many(self, count: int) -> None:
        async def some(each: int) -> None:
            for _ in range(each):
                await self.submit()

        await asyncio.gather(*(some(count // 20) for _ in range(20)))

    async def status_stream(self, job: str) -> str:
        async with self.http.stream("GET", f"/queue/{MODEL}/requests/{job}/status/stream") as told:
            return (await told.aread()).decode()

    async def run(self, path: str = "") -> httpx2.Response:
        return await self.http.post(f"/run/{MODEL}{path}", json=PROMPT)

    async def realtime(self) -> list[Any]:
        """Send an input; return what was told, and the close code."""
        heard: list[Any] = []
        async with connect(f"{self.url.replace('http', 'ws')}/run/{MODEL}/realtime") as socket:
            await socket.send(msgpack.packb(PROMPT))
            try:
                while True:
                    heard.append(json.loads(await socket.recv()))
            except ConnectionClosed as closed:
                heard.append(closed.rcvd.code if closed.rcvd else None)
        return heard

    async def call(self, era: str) -> dict[str, Any]:
        async with Client(f"{self.url}/mcp", mode=era) as client:
            await client.list_tools()  # it would ask for them after the answer, of nobody
            answer = await client.call_tool("rehearsal_image", {"prompt": era})
            return dict(answer.structured_content or {})

    async def until(self, place: Path, jobs: int) -> None:
        """Wait until so many jobs are in the file."""
        while sum(states(place).values()) < jobs:  # noqa: ASYNC110 (another process)
            await anyio.sleep(0.05)


@asynccontextmanager
async def house(child: Callable[..., Any], *flags: str):
    found = await anyio.to_thread.run_sync(lambda: House(child, *flags))
    async with found.http:
        yield found


async def test_whoever_waits_is_told_that_the_job_goes_on_and_it_does(child: Any, place: Path):
    async with house(child, *REHEARSED) as here:
        await here.many(2000)
        job = await here.submit()
        waiting = asyncio.gather(
            here.call("legacy"),
            here.call("2026-07-28"),
            here.run(),
            here.run("/stream"),
            here.status_stream(job),
            here.realtime(),
        )
        await here.until(place, 2006)
        ended = await anyio.to_thread.run_sync(here.server.end, signal.SIGTERM)
        assert (ended.code, ended.out, ended.err) == (0, "", "")  # and not late, which is 1
        legacy, modern, run, stream, status, realtime = await waiting
    for told in (legacy, modern):
        assert told["state"] in ("queued", "running") and "get_job" in told["next"]
        assert "going down" in json.dumps(told)
    assert run.status_code == 504 and run.headers["x-fal-request-timeout-type"] == "user"
    assert run.headers["x-fal-request-id"] in run.json()["detail"]
    assert "goes on once the server is back" in stream.text
    assert f"before request {job} is done" in status
    assert "goes on once the server is back" in realtime[0]["reason"] and realtime[1] == 1012
    assert states(place) == {"queued": 2006}
    async with house(child, "--rehearse") as again:
        found = await again.http.get(f"/queue/{MODEL}/requests/{job}/status")
        assert found.json()["status"] in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_second_signal_ends_it_at_once(child: Any, place: Path, number: signal.Signals):
    async with house(child, *REHEARSED) as here:
        waiting = asyncio.ensure_future(here.run())
        await here.until(place, 1)
        port = int(here.url.rpartition(":")[2])
        _, unfinished = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /run/{MODEL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"
        unfinished.write(head.encode())  # it is given a moment to end, which it does not
        await here.http.get("/health")  # by now the head has come, too
        here.server.process.send_signal(number)
        assert (await waiting).status_code == 504
        ended = await anyio.to_thread.run_sync(here.server.end, number)
        unfinished.close()
    assert ended.code == 128 + number
    assert "Asked again to end: unfinished jobs go on at the next start." in ended.err
    assert states(place) in ({"queued": 1}, {"running": 1})


@pytest.mark.parametrize("how", ["its input ends", "a signal"])
async def test_over_stdio_a_job_that_runs_goes_back_into_the_queue(
    child: Any, place: Path, how: str
):
    server = child("serve", *REHEARSED)

    def say(method: str, **params: Any) -> None:
        told = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        server.process.stdin.write(json.dumps(told) + "\n")
        server.process.stdin.flush()

    client = {"name": "test", "version": "1"}
    say("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
    server.process.stdout.readline()
    say("tools/call", name="rehearsal_image", arguments=PROMPT)
    while states(place) != {"running": 1}:  # noqa: ASYNC110 (another process)
        await anyio.sleep(0.05)
    if how == "a signal":
        ended = server.end(signal.SIGTERM)
        assert "going down" in ended.out and "get_job" in ended.out
    else:
        server.process.stdin.close()
        ended = server.end()
    assert (ended.code, ended.err) == (0, "")
    assert states(place) == {"queued": 1}

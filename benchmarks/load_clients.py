"""The clients of the load: some bring jobs, and two hundred wait for them in every way there is."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from queue_client import Line, get, post, request_id

MODEL = "bench/half"
POLL_SECONDS = 0.5
SESSION_CALLS = 5  # of an MCP client, before it leaves and comes again
SHARES = {"stream": 0.4, "poll": 0.2, "run": 0.1, "mcp": 0.3}
ERAS = ("legacy", "2026-07-28")
BROKEN = (OSError, asyncio.IncompleteReadError, RuntimeError)


class Crowd:
    """Clients of the server at `port`, where `queued` jobs wait.

    `accepted` are the jobs that it took, oldest first. `waited` counts how often a client heard the
    end of a job, by the way it waited; `failed` holds what went wrong, which nothing may before
    `leaving` is set.
    """

    def __init__(self, port: int, queued: int, seed: int = 1) -> None:
        self.port = port
        self.accepted: list[str] = []
        self.waited: Counter[str] = Counter()
        self.failed: list[str] = []
        self.leaving = False
        self._recent: deque[str] = deque(maxlen=queued)
        self._draw = random.Random(seed)
        self._numbers = count()
        self._arrived = asyncio.Event()

    async def bring(self, jobs: int) -> None:
        """Submit so many jobs, eight at a time."""
        left = iter(range(jobs))

        async def submit() -> None:
            line = await Line.to(self.port)
            for _ in left:
                self._note(request_id(await line.ask(post(f"/queue/{MODEL}", self._call()))))
            line.close()

        await asyncio.gather(*(submit() for _ in range(min(8, jobs))))

    def wait(self, clients: int) -> list[asyncio.Task[None]]:
        """Have so many clients wait, for one job after the other, until they are cancelled."""
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "stream": self._stream,
            "poll": self._poll,
            "run": self._run,
            "mcp": self._session,
        }
        counts = {way: round(share * clients) for way, share in SHARES.items()}
        return [
            asyncio.create_task(self._again(way, ways[way]))
            for way, many in counts.items()
            for _ in range(many)
        ]

    def _note(self, job_id: str) -> None:
        self.accepted.append(job_id)
        self._recent.append(job_id)
        self._arrived.set()

    def _call(self) -> dict[str, str]:
        return {"prompt": f"load {next(self._numbers)}"}

    async def _one(self) -> str:
        """Return one of as many jobs as wait: one that will run soon, or late, or runs."""
        await self._arrived.wait()
        return self._draw.choice(self._recent)

    async def _again(self, way: str, once: Callable[[], Awaitable[None]]) -> None:
        while not self.leaving:  # a client of MCP may swallow that it is cancelled
            try:
                await once()
                self.waited[way] += 1
            except (Exception, BaseExceptionGroup) as error:
                if any(isinstance(one, asyncio.CancelledError) for one in _leaves(error)):
                    raise asyncio.CancelledError from None
                if not self.leaving:
                    self.failed.append(f"{way}: {[*_leaves(error)]}"[:300])
                await asyncio.sleep(1)

    async def _stream(self) -> None:
        line = await Line.to(self.port)
        try:
            told = await line.ask(get(f"{_path(await self._one())}/status/stream"))
        finally:
            line.close()
        if b'"COMPLETED"' not in told:
            raise RuntimeError("a stream ended before its job")

    async def _poll(self) -> None:
        path, line = f"{_path(await self._one())}/status?logs=1", await Line.to(self.port)
        try:
            while b'"COMPLETED"' not in await line.ask(get(path)):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        finally:
            line.close()

    async def _run(self) -> None:
        line = await Line.to(self.port)
        try:
            await line.ask(post(f"/run/{MODEL}", self._call()))
        finally:
            line.close()

    async def _session(self) -> None:
        """Come, wait for a few jobs and leave, as agents do."""
        async with httpx2.AsyncClient(timeout=120, trust_env=False) as http:
            transport = streamable_http_client(
                f"http://127.0.0.1:{self.port}/mcp", http_client=http
            )
            async with Client(transport, mode=self._draw.choice(ERAS)) as client:
                for _ in range(SESSION_CALLS):
                    arguments = {"job_id": await self._one(), "wait": 20}
                    told = await client.call_tool("get_job", arguments)
                    if told.is_error:
                        raise RuntimeError(str(told.structured_content))


async def dismissed(tasks: list[asyncio.Task[None]]) -> None:
    """Have clients hang up."""
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


def _path(job_id: str) -> str:
    return f"/queue/{MODEL}/requests/{job_id}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error

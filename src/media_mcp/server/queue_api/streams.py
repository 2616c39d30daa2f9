"""Server-sent events: the status of a request as it changes, and a run with its progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf

import anyio
from starlette.types import Send

from media_mcp.job import JSON, Job, JobState
from media_mcp.queue import Queue
from media_mcp.server.queue_api import wire
from media_mcp.server.queue_api.calls import Call, RawHeaders, Reply, dump
from media_mcp.server.queue_api.options import wants_logs
from media_mcp.server.queue_api.requests import Requests

PING_SECONDS = 10.0  # the JavaScript client gives up after 15 s of silence
LINE_SECONDS = 0.5  # between two looks at the position, while the queue moves
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]


class EventStream:
    """Writes events to one client; the answer begins with the first of them."""

    def __init__(self, send: Send, headers: RawHeaders) -> None:
        self._send = send
        self._headers = headers
        self._turn = anyio.Lock()
        self.begun = False

    async def event(self, data: bytes) -> None:
        """Send an event that holds JSON."""
        await self._write(b"data: " + data + b"\n\n")

    async def ping(self) -> None:
        """Send a comment, which clients pass over."""
        await self._write(b": ping\n\n")

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, data: bytes) -> None:
        async with self._turn:
            if not self.begun:
                self.begun = True
                headers = [*_HEADERS, *self._headers]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": data, "more_body": True})


class Streams:
    """Follows jobs for clients that stay on the line."""

    def __init__(self, queue: Queue, requests: Requests) -> None:
        self._queue = queue
        self._requests = requests

    async def status(self, call: Call, job: Job) -> None:
        """Send the status at each change until the job is over, each log line once."""
        stream = EventStream(call.send, wire.identity(job))
        teller = _StatusTeller(call, stream, self._queue, self._requests)
        await teller.tell(job)
        if not job.state.terminal:
            async with _on_the_line(call, stream) as group:
                if job.state is JobState.QUEUED:
                    group.start_soon(teller.watch_the_line)
                ended = await self._queue.wait(job.id, job.caller, inf, teller.tell)
                if not teller.job.state.terminal:
                    await teller.tell(ended)
        await stream.end()

    async def run(self, call: Call, endpoint: str) -> Reply | None:
        """Run a model, sending its progress and, last, its result.

        What fails before there is any progress is answered as a run without a stream is.
        """
        submitted, hints = await self._requests.taken(call, endpoint)
        job = submitted.job
        stream = EventStream(call.send, [*wire.identity(job), *hints])
        if not job.state.terminal:
            async with _on_the_line(call, stream):
                job = await self._queue.wait(job.id, job.caller, inf, _progress(stream))
        if not job.state.terminal:
            await self._requests.stop(submitted)
            return None
        reply = await self._requests.answer(job, call.target.origin)
        if not stream.begun and reply.status != 200:
            return reply
        await stream.event(reply.body)
        await stream.end()
        return None


class _StatusTeller:
    """Sends what changes of one request."""

    def __init__(self, call: Call, stream: EventStream, queue: Queue, requests: Requests) -> None:
        self.job: Job
        self._base = call.target.base
        self._stream = stream
        self._queue = queue
        self._requests = requests
        self._book = wire.LogBook() if wants_logs(call.query()) else None
        self._position: int | None = None
        self._turn = anyio.Lock()
        self._moved = anyio.Event()

    async def tell(self, job: Job) -> None:
        """Send where the job stands."""
        async with self._turn:
            self.job = job
            self._position = await self._count()
            await self._send()

    async def watch_the_line(self) -> None:
        """Send the position of a queued job as others leave the queue."""
        unsubscribe = self._queue.subscribe(lambda _: self._moved.set())
        try:
            while self.job.state is JobState.QUEUED:
                await self._moved.wait()
                self._moved = anyio.Event()
                await anyio.sleep(LINE_SECONDS)
                await self._look()
        finally:
            unsubscribe()

    async def _look(self) -> None:
        async with self._turn:
            position = await self._count()
            if position is not None and position != self._position:
                self._position = position
                await self._send()

    async def _count(self) -> int | None:
        queued = self.job.state is JobState.QUEUED
        return await self._requests.positions.of(self.job) if queued else None

    async def _send(self) -> None:
        logs: list[JSON] | None = None
        if self._book is not None:
            after = self._book.seen
            logs = self._book.take(await self._queue.events(self.job.id, self.job.caller, after))
        await self._stream.event(dump(wire.status_of(self.job, self._base, self._position, logs)))


def _progress(stream: EventStream) -> Callable[[Job], Awaitable[None]]:
    """Return what tells each step of a job."""
    last: tuple[int | None, str] = (None, "")

    async def tell(job: Job) -> None:
        nonlocal last
        now = (job.step, job.message)
        if job.state is JobState.RUNNING and now not in (last, (None, "")):
            last = now
            await stream.event(dump(_progress_of(job)))

    return tell


def _progress_of(job: Job) -> dict[str, JSON]:
    share = job.step / job.total if job.step is not None and job.total else None
    return {
        "status": wire.state_of(job),
        "request_id": job.id,
        "step": job.step,
        "total": job.total,
        "progress": share,
        "message": job.message,
    }


@asynccontextmanager
async def _on_the_line(call: Call, stream: EventStream) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Keep the line open with pings; the work within is given up when the client hangs up."""

    async def watch() -> None:
        await call.hung_up()
        group.cancel_scope.cancel()

    async def ping() -> None:
        while True:
            await anyio.sleep(PING_SECONDS)
            await stream.ping()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        group.start_soon(ping)
        yield group
        group.cancel_scope.cancel()

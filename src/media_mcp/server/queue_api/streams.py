"""Server-sent events: the status of a request as it changes, and a run with its progress."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

import anyio
from starlette.types import Send

from media_mcp.job import JSON, Job, JobState
from media_mcp.queue import Queue
from media_mcp.server.queue_api import wire
from media_mcp.server.queue_api.calls import Call, RawHeaders, Reply, dump
from media_mcp.server.queue_api.options import wants_logs
from media_mcp.server.queue_api.requests import Requests, going_down

PING_SECONDS = 10.0  # the JavaScript client gives up after 15 s of silence
LINE_SECONDS = 0.5  # between two looks at the position of a queued job
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]


class EventStream:
    """Writes events to one client; the answer begins with the first of them."""

    def __init__(self, send: Send, headers: RawHeaders) -> None:
        self._send = send
        self._headers = headers
        self._written_at = 0.0
        self.begun = False

    @property
    def silence(self) -> float:
        """How many seconds ago something was written."""
        return monotonic() - self._written_at

    async def event(self, data: bytes, *, last: bool = False) -> None:
        """Send an event that holds JSON; the last one ends the stream."""
        await self._write(b"data: " + data + b"\n\n", last)

    async def end(self, words: str) -> None:
        """End the stream with a comment, which is for people."""
        await self._write(f": {words}\n\n".encode(), True)

    async def ping(self) -> None:
        """Send a comment, which clients pass over."""
        await self._write(b": ping\n\n", False)

    async def _write(self, data: bytes, last: bool) -> None:
        self._written_at = monotonic()
        if not self.begun:
            self.begun = True
            headers = [*_HEADERS, *self._headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


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
        job = await self._follow(call, job, stream, teller)
        if self._queue.news.dismissed and not job.state.terminal:
            await stream.end(str(going_down(job)))

    async def run(self, call: Call, endpoint: str) -> Reply | None:
        """Run a model, sending its progress and, last, its result.

        What fails before there is any progress is answered as a run without a stream is.
        """
        submitted, hints = await self._requests.taken(call, endpoint)
        stream = EventStream(call.send, [*wire.identity(submitted.job), *hints])
        job = await self._follow(call, submitted.job, stream, _ProgressTeller(stream))
        if not job.state.terminal and self._queue.news.dismissed:
            fault = wire.fault_of_error(going_down(job))
            if not stream.begun:
                return fault.reply(wire.identity(job))
            await stream.event(dump(fault.body()), last=True)
            return None
        if not job.state.terminal:
            await self._requests.stop(submitted)
            return None
        reply = await self._requests.answer(job, call.target.origin)
        if not stream.begun and reply.status != 200:
            return reply
        await stream.event(reply.body, last=True)
        return None

    async def _follow(self, call: Call, job: Job, stream: EventStream, teller: _Teller) -> Job:
        """Tell what changes until the job is over or the client is gone; return it as it is then.

        What keeps silent is kept alive with pings.
        """
        if job.state.terminal:
            return job
        with call.connected():
            async with self._queue.follow(job.id, job.caller) as (now, follower):
                while True:
                    if now is not job:
                        job = now
                        await teller.tell(job)
                    if job.state.terminal:
                        break
                    pause = LINE_SECONDS if job.state is JobState.QUEUED else PING_SECONDS
                    with anyio.move_on_after(min(pause, PING_SECONDS)) as waiting:
                        heard = await follower.next()
                        if heard is None:
                            break
                        now = heard
                    if waiting.cancelled_caught:
                        await teller.look()
                        if stream.silence >= PING_SECONDS:
                            await stream.ping()
        return job


class _Teller(Protocol):
    """Tells a client of its job."""

    async def tell(self, job: Job) -> None:
        """Tell of a change."""

    async def look(self) -> None:
        """Tell what has changed around a job that has not."""


class _StatusTeller:
    """Sends what changes of one request."""

    def __init__(self, call: Call, stream: EventStream, queue: Queue, requests: Requests) -> None:
        self._base = call.target.base
        self._stream = stream
        self._queue = queue
        self._positions = requests.positions
        self._book = wire.LogBook() if wants_logs(call.query()) else None
        self._job: Job
        self._position: int | None = None
        self._moves = 0

    async def tell(self, job: Job) -> None:
        """Send where the job stands."""
        self._job = job
        self._position = await self._count()
        await self._send()

    async def look(self) -> None:
        """Send the position of a queued job, if others have left the queue."""
        if self._positions.moves(self._job) == self._moves:
            return
        position = await self._count()
        if position is not None and position != self._position:
            self._position = position
            await self._send()

    async def _count(self) -> int | None:
        if self._job.state is not JobState.QUEUED:
            return None
        self._moves = self._positions.moves(self._job)
        return await self._positions.of(self._job)

    async def _send(self) -> None:
        job, logs = self._job, None
        if self._book is not None:
            logs = self._book.take(await self._queue.events(job.id, job.caller, self._book.seen))
        body = wire.status_of(job, self._base, self._position, logs)
        await self._stream.event(dump(body), last=job.state.terminal)


class _ProgressTeller:
    """Sends each step of a job."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._last: tuple[int | None, str] = (None, "")

    async def tell(self, job: Job) -> None:
        now = (job.step, job.message)
        if job.state is JobState.RUNNING and now not in (self._last, (None, "")):
            self._last = now
            await self._stream.event(dump(_progress_of(job)))

    async def look(self) -> None:
        """Nothing around a run is told."""


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

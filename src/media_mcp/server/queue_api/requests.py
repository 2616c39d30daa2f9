"""Requests: submit, status, result, cancel, and run, which is all of them in one."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import anyio

from media_mcp.errors import GoingDown, NotFound
from media_mcp.job import JSON, Caller, Event, Job, JobState
from media_mcp.queue import Queue, Submitted
from media_mcp.server.queue_api import wire
from media_mcp.server.queue_api.calls import Call, Gone, RawHeaders, Reply, replied
from media_mcp.server.queue_api.options import options_of, wants_logs
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.submitter import Submitter

IN_PROGRESS = "Request is still in progress"
HUNG_UP = "the client hung up"
BY_CALLER = "cancelled by the caller"
POSITION_SECONDS = 0.5  # how old a position may be: each poll counting anew would be dear
FAR_SECONDS = 5.0  # how old one may be that is far from the front
BOOKS = 256  # jobs whose log lines are at hand


class Requests:
    """Answers for requests by their id, which is that of the job, whatever stands before it."""

    def __init__(self, queue: Queue, submitter: Submitter, results: Results) -> None:
        self._queue = queue
        self._submitter = submitter
        self._results = results
        self.positions = Positions(queue)
        self._logs = Logs(queue)

    async def submit(self, call: Call, endpoint: str) -> Reply:
        """Take a request in and answer at once with its addresses."""
        if call.method != "POST":
            return wire.wrong_method("POST")
        submitted, hints = await self.taken(call, endpoint)
        job = submitted.job
        position = await self.positions.at_first(submitted)
        body = wire.status_of(job, call.target.base, position, None)
        told = {"status": "IN_QUEUE", "queue_position": position, "gateway_request_id": job.id}
        return replied(200, body | told, [*wire.identity(job), *hints])

    async def taken(self, call: Call, endpoint: str) -> tuple[Submitted, RawHeaders]:
        """Make a job of a call; also returns the headers that echo what it asked for."""
        options = options_of(call)
        model = await self._submitter.model(endpoint)
        body = await call.json()
        caller = call.caller or Caller()
        submitted = await self._submitter.submit(model, body, options, caller, call.target)
        hint = options.hint.encode("latin-1")
        return submitted, [(b"x-fal-runner-hints", hint)] if hint else []

    async def status(self, call: Call, job: Job) -> Reply:
        """Answer where a request stands."""
        logs: list[JSON] | None = None
        if call.target.query and wants_logs(call.query()):
            logs = await self._logs.of(job)
        position = await self.positions.of(job) if job.state is JobState.QUEUED else None
        body = wire.status_of(job, call.target.base, position, logs)
        return replied(wire.status_code(job), body, wire.identity(job))

    async def result(self, call: Call, job: Job) -> Reply:
        """Answer with what a request made, or with why it made nothing."""
        if not job.state.terminal:
            told = {"detail": IN_PROGRESS, "message": IN_PROGRESS}
            return replied(400, told, wire.identity(job))
        return await self.answer(job, call.target.origin)

    async def answer(self, job: Job, origin: str) -> Reply:
        """Return the reply that a job which is over deserves."""
        headers = wire.result_headers(job)
        if fault := wire.fault_of_job(job):
            return fault.reply(headers)
        try:
            return replied(200, await self._results.body(job, origin), headers)
        except NotFound as error:
            return replied(410, {"detail": error.message, "message": str(error)}, headers)

    async def cancel(self, call: Call, job: Job) -> Reply:
        """Have a request stopped; the answer does not wait for that."""
        if not job.state.terminal:
            caller = call.caller or Caller()
            job = await self._queue.cancel(job.id, caller, BY_CALLER, seconds=0)
            if not job.state.terminal or job.state is JobState.CANCELLED:
                return replied(202, {"status": "CANCELLATION_REQUESTED"}, wire.identity(job))
        return replied(400, {"status": "ALREADY_COMPLETED"}, wire.identity(job))

    async def run(self, call: Call, endpoint: str) -> Reply:
        """Take a request in and answer with its result. Who hangs up has it stopped."""
        if call.method != "POST":
            return wire.wrong_method("POST")
        submitted, hints = await self.taken(call, endpoint)
        job = await self._ended(call, submitted)
        if not job.state.terminal:
            return wire.fault_of_error(going_down(job)).reply(wire.identity(job))
        reply = await self.answer(job, call.target.origin)
        return Reply(reply.status, reply.body, [*reply.headers, *hints])

    async def job(self, request_id: str, caller: Caller) -> Job:
        """Return a caller's job, from memory if it is there. Raises `NotFound`."""
        job = self._queue.peek(request_id, caller)
        return job if job is not None else await self._queue.get(request_id, caller)

    async def stop(self, submitted: Submitted) -> None:
        """Stop what the client waited for alone, once it has hung up, and not we."""
        if not submitted.joined and not self._queue.news.dismissed:
            with anyio.CancelScope(shield=True):
                job = submitted.job
                await self._queue.cancel(job.id, job.caller, HUNG_UP, seconds=0)

    async def _ended(self, call: Call, submitted: Submitted) -> Job:
        """Wait for a job to be over, or the server to leave. Raises `Gone`."""
        job = submitted.job
        if job.state.terminal:
            return job
        with call.connected():
            job = await self._queue.wait(job.id, job.caller, inf)
        if not job.state.terminal:
            if self._queue.news.dismissed:
                return job
            await self.stop(submitted)
            raise Gone
        return job


def going_down(job: Job) -> GoingDown:
    """Return what to tell who waits for a job as the server leaves."""
    return GoingDown(
        f"The server is going down before request {job.id} is done; nothing is lost.",
        "It goes on once the server is back: ask for its status and result then, by that id.",
    )


class Positions:
    """How many go before a queued job, counted at most twice a second, and less often far behind.

    With thousands queued and hundreds waiting, counting would be most of what the server does.
    """

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._counted: OrderedDict[str, tuple[float, int | None]] = OrderedDict()
        self._moves: dict[str, int] = defaultdict(int)
        queue.subscribe(self._hear)

    def _hear(self, job: Job) -> None:
        if job.state is not JobState.QUEUED:
            self._moves[job.route.backend] += 1

    def moves(self, job: Job) -> int:
        """Return a number that grows whenever a job leaves the queue that this one is in."""
        return self._moves[job.route.backend]

    async def at_first(self, submitted: Submitted) -> int:
        """Return the position of a job that has just been submitted."""
        if submitted.joined:
            return await self.of(submitted.job) or 0
        self._note(submitted.job, submitted.ahead)
        return submitted.ahead

    async def of(self, job: Job) -> int | None:
        """Return the position, from 0; None once the job is no longer queued."""
        now = self._clock()
        counted = self._counted.get(job.id)
        if counted is not None and now - counted[0] < _lasts(counted[1]):
            return counted[1]
        position = await self._queue.position(job.id)
        self._note(job, position)
        return position

    def _note(self, job: Job, position: int | None) -> None:
        """Keep a count, and drop those that are too old to be used."""
        now = self._clock()
        self._counted[job.id] = now, position
        self._counted.move_to_end(job.id)
        while now - next(iter(self._counted.values()))[0] > FAR_SECONDS:
            self._counted.popitem(last=False)


def _lasts(position: int | None) -> float:
    """Return for how many seconds a position is worth telling: 100 before it are half a second."""
    return min(FAR_SECONDS, max(POSITION_SECONDS, (position or 0) * POSITION_SECONDS / 100))


@dataclass(slots=True)
class _Page:
    job: Job
    book: wire.LogBook


class Logs:
    """The log lines of jobs: those of one that runs are read once, however often they are asked."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    async def of(self, job: Job) -> list[JSON]:
        """Return every line so far. A job that has not changed has no new ones."""
        if job.state.terminal:  # what is kept of it may be less than what was said
            self._pages.pop(job.id, None)
            return wire.LogBook().take(await self._events(job, 0))
        page = self._pages.setdefault(job.id, _Page(job, wire.LogBook()))
        if page.job is not job or not page.book.seen:
            page.book.take(await self._events(job, page.book.seen))
            page.job = job
        self._pages.move_to_end(job.id)
        if len(self._pages) > BOOKS:
            self._pages.popitem(last=False)
        return page.book.lines

    async def _events(self, job: Job, after: int) -> list[Event]:
        try:
            return await self._queue.events(job.id, job.caller, after)
        except NotFound:  # removed meanwhile
            return []

"""The queue: one object that the doors talk to."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from media_mcp import faultpoints
from media_mcp.backends.base import Backend
from media_mcp.catalog.model import Model
from media_mcp.errors import NotConfigured, NotFound, Refused, StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import JSON, Arguments, Asset, Caller, Event, Failure, Job, JobState, Quote
from media_mcp.queue.books import Books
from media_mcp.queue.bounds import JOB_ID, bindable, bounded
from media_mcp.queue.budget import Need
from media_mcp.queue.dispatcher import Dispatcher
from media_mcp.queue.forecast import Forecast
from media_mcp.queue.keeping import Keeping
from media_mcp.queue.lane import Order
from media_mcp.queue.later import Later
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.news import Follower, Listener, News
from media_mcp.queue.outbox import Outbox
from media_mcp.queue.rooms import Rooms
from media_mcp.queue.router import Router
from media_mcp.queue.routing import Rules, usable
from media_mcp.queue.sentences import forbidden, no_such_job
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Added, Join, Store
from media_mcp.queue.submission import Submission, Submitted, checked_seed
from media_mcp.queue.terms import Full, terms_of
from media_mcp.queue.uploads import URI, Uploads
from media_mcp.queue.watch import Watch

if TYPE_CHECKING:
    from media_mcp.media import MediaStore
    from media_mcp.settings import Settings

log = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
OnEvent = Callable[[Job], Awaitable[None]]


class Queue:
    """Takes calls, keeps them as jobs, runs those that its backends can, and tells what happens.

    An async context manager; the backends stay the caller's to close. Several queues, in one or
    more processes, may share `settings.data_dir`: a job runs on one of them at a time. Leaving
    hands unfinished jobs back, for another queue or the next start. Methods raise `StorageFailed`
    when the store cannot be read or written.
    """

    def __init__(
        self,
        settings: Settings,
        backends: Mapping[str, Backend],
        media: MediaStore,
        model_of: Callable[[str], Model],
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        terms = terms_of(settings, model_of, backends)
        path = settings.data_dir / "jobs.sqlite"
        self._store = store or SqliteStore(path, this_instance(), clock=clock, terms=terms)
        self._forecast = Forecast(self._store, backends, model_of, terms, self.durations)
        self.news = News()
        work_dir = settings.data_dir / "work"
        self._router = Router(settings, backends, model_of, self.durations, clock)
        rooms = Rooms(
            self._store,
            media,
            model_of,
            self.news,
            work_dir,
            settings.attempts,
            settings.gpu_rate,
            self._router,
            lambda backend: self._dispatcher.ring(backend),
            settings.retry_bad_output,
        )
        runs_here = usable(backends, settings)
        order = Order(clock, settings.overdue_seconds, settings.batch_wait_ms / 1000, terms.capped)
        self._dispatcher = Dispatcher(runs_here, rooms, order, lambda: self._watch.stir())
        self.books = Books(self._store, self._router)
        self._later = Later(self._store, self.news, media, clock)
        self.keeping = Keeping(self._store, media, settings, clock)
        self.uploads = Uploads(self._store, self._later.stir)
        self.outbox = Outbox(self._store, clock, lambda job: self.rules(job.caller).offline)
        self._watch = Watch(
            self._store,
            self.news,
            self._dispatcher,
            self._wake,
            attempts=settings.attempts,
            work_dir=work_dir,
            clock=clock,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._store.open()
            stack.push_async_callback(shielded, self._store.aclose)
            await self._watch.recover()
            await self._watch.tidy()
            for hear in (self._later.hear, self.outbox.hear, self._dispatcher.hear):
                stack.callback(self.news.subscribe(hear))
            stack.push_async_callback(shielded, self._leave)
            group = await stack.enter_async_context(anyio.create_task_group())
            self._dispatcher.start(group)
            self._watch.start(group)
            group.start_soon(self._later.run)
            group.start_soon(self.keeping.collector.run)
            stack.callback(group.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _leave(self) -> None:
        faultpoints.reached(Point.BEFORE_LEAVE)
        try:
            await self._store.leave()
            faultpoints.reached(Point.LEFT)
        except StorageFailed as error:
            log.warning("Unfinished jobs wait for the next start: %s", error)

    def _wake(self) -> None:
        """Look at the clock again: the machine slept, and timers with it."""
        self._later.stir()
        self.outbox.stir()

    # Calls

    async def submit(self, submission: Submission) -> Submitted:
        """Keep a call as a job that waits for its turn, or join the job that it repeats.

        Raises `NotConfigured` if no route is ready, `Refused` if the rules forbid them all,
        `OverBudget` if it may cost more than is left, `QueueFull` if too many jobs wait,
        `InvalidArguments` for a bad seed or backend, `BadInput` for a key used for another request.
        """
        if not submission.caller.may_run:
            raise forbidden("makes no jobs")
        seed = checked_seed(submission.seed)
        join = submission.join()
        try:
            choice = await self._router.choose(submission)
            needed = self._router.need(submission.caller, choice.quote)
        except (NotConfigured, Refused):
            if join is not None and (earlier := await self._store.find(submission.caller, join)):
                return Submitted(earlier, joined=True)
            raise
        job = submission.job(choice.route, seed, choice.why, choice.quote.high, self._clock())
        batch = self._router.batch(submission.model, job)
        job = replace(job, gpu_quoted=needed.gpu_seconds, batch=batch)
        added = await self._add(job, tuple(submission.inputs.values()), join, needed)
        return Submitted(added.job, added.joined, added.ahead)

    async def refuse(
        self, submission: Submission, failure: Failure, facts: Mapping[str, JSON]
    ) -> Submitted:
        """Keep a call that cannot be run as a job that failed at once, for doors that expect that.

        Raises `BadInput` for an idempotency key that was used for another request, and `TooMany`.
        """
        if not submission.caller.may_run:
            raise forbidden("makes no jobs")
        job = submission.refused(failure, facts, self._clock())
        inputs, pace = tuple(submission.inputs.values()), self._router.pace(submission.caller)
        added = await self._store.add(job, inputs, submission.join(), need=pace)
        if not added.joined:
            self.news.publish(added.job, state=True)
        return Submitted(added.job, added.joined)

    async def _add(
        self, job: Job, inputs: tuple[Asset, ...], join: Join | None, needed: Need
    ) -> Added:
        """Write the job; where its backend is idle, claim it in the same transaction."""
        backend, claim = job.route.backend, None
        reserved = self._dispatcher.reserve(backend)
        try:
            faultpoints.reached(Point.BEFORE_ROW)
            added = await self._store.add(job, inputs, join, take=reserved, need=needed)
            claim = added.claim
            faultpoints.reached(Point.ROW_WRITTEN)
            if not added.joined:
                self.news.publish(added.job, state=True)
        except Full as full:
            raise await self._forecast.refusal(full) from None
        finally:
            if reserved:
                self._dispatcher.hand(backend, claim)
            else:
                self._dispatcher.ring(backend)
        return added

    async def quotes(
        self,
        model: Model,
        arguments: Arguments | None = None,
        inputs: Mapping[str, Asset] = MappingProxyType({}),
        *,
        backend: str | None = None,
        timed: bool = True,
        caller: Caller | None = None,
    ) -> tuple[Quote, ...]:
        """Quote the routes of a model, or those to `backend`, the one to be tried first at the top.

        `ready` says which can, and may, run now. Without `arguments`, for a typical call; without
        `caller`, by the rules of this server's project. Unless `timed`, the history is not asked.
        """
        return await self._router.quotes(
            model, arguments, inputs, backend, timed=timed, caller=caller
        )

    def rules(self, caller: Caller) -> Rules:
        """Return what the jobs of a caller keep to."""
        return self._router.rules(caller)

    async def held_up(self, job: Job) -> str:
        """Return why a queued job does not run on this server for now; empty if it will."""
        return await self._router.held_up(job)

    async def durations(self, model: str, backend: str) -> list[float]:
        """Return the seconds that the latest successes of a model on a backend took."""
        return await self._store.durations(bindable(model), bindable(backend))

    async def ready_backends(self) -> frozenset[str] | None:
        """Return the names of the backends that can and may run jobs; None: all is rehearsed."""
        return await self._router.ready_backends()

    # Readings

    async def get(self, job_id: str, caller: Caller) -> Job:
        """Return a job of the caller's. Raises `NotFound`, in the same words for another's job."""
        job = await self._store.get(job_id, caller.owner) if JOB_ID.fullmatch(job_id) else None
        if job is None:
            raise no_such_job(job_id)
        return job

    def peek(self, job_id: str, caller: Caller) -> Job | None:
        """Return a job of the caller's as it was last told here; None if that is long ago.

        It costs nothing, and what another server writes is seen a moment later.
        """
        job = self.news.latest(job_id)
        if job is None or job.caller.owner != caller.owner:
            return None
        if not job.state.terminal:
            self._watch.stir()
        return job

    async def jobs(
        self,
        caller: Caller,
        *,
        state: JobState | None = None,
        model: str | None = None,
        limit: int = 20,
        before: str | None = None,
    ) -> list[Job]:
        """Return the caller's jobs, newest first, older than the job `before`. At most 1000."""
        if before is not None:
            await self.get(before, caller)
        return await self._store.jobs(
            caller.owner,
            state=state,
            model=model and bindable(model),
            limit=bounded(limit),
            before=before,
        )

    async def events(self, job_id: str, caller: Caller, after: int = 0) -> list[Event]:
        """Return what happened to a job since its event `after`, in order. Raises `NotFound`."""
        await self.get(job_id, caller)
        return await self._store.events(job_id, max(0, min(after, 2**31)))

    async def position(self, job_id: str) -> int | None:
        """Return how many queued jobs go before this one; None once it is no longer queued."""
        return await self._store.position(bindable(job_id))

    async def owns(self, caller: Caller, uri: str) -> bool:
        """Tell whether an asset is an upload of the caller's, or of one of their jobs, in time."""
        return bool(URI.fullmatch(uri)) and await self._store.owns(caller.owner, uri)

    async def assets(
        self, caller: Caller, *, limit: int = 50, before: str | None = None
    ) -> list[Asset]:
        """Return what the caller's jobs made, newest first, each asset once.

        `before` is an asset's URI. Raises `NotFound` if it is none of the caller's.
        """
        if before is not None and not await self.owns(caller, before):
            raise NotFound(
                f"There is no asset {before[:100]!r}.", "Take `before` from an earlier page."
            )
        return await self._store.assets(caller.owner, limit=bounded(limit), before=before)

    # Waiting

    @asynccontextmanager
    async def follow(self, job_id: str, caller: Caller) -> AsyncIterator[tuple[Job, Follower]]:
        """Yield a job of the caller's as it is, and who hears what changes. Raises `NotFound`."""
        with self.news.follow(job_id) as follower:
            self._watch.stir()
            job = self.news.latest(job_id)
            if job is None or job.caller.owner != caller.owner:
                job = await self.get(job_id, caller)
            missed = follower.take()
            yield (missed if missed and missed.state.terminal else job), follower

    async def wait(
        self, job_id: str, caller: Caller, seconds: float, on_event: OnEvent | None = None
    ) -> Job:
        """Return the job once it has ended, or as it is after `seconds`, or when all are dismissed.
        Raises `NotFound`.

        `on_event` is awaited with the job for each change; while it is at work, changes are kept
        back but for the latest.
        """
        async with self.follow(job_id, caller) as (job, follower):
            with anyio.move_on_after(seconds):
                while not job.state.terminal:
                    if (heard := await follower.next()) is None:
                        break
                    job = heard
                    if on_event is not None:
                        await on_event(job)
            return follower.take() or job

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called on each change of a job's state; returns how to stop that."""
        return self.news.subscribe(listener)

    # Changes asked for

    async def cancel(
        self,
        job_id: str,
        caller: Caller,
        reason: str = "cancelled by the caller",
        seconds: float = CANCEL_SECONDS,
    ) -> Job:
        """Cancel a job and return it; one that has ended is returned as it is. Raises `NotFound`.

        A running job is waited for, so many seconds at most: its backend stops within a step.
        """
        if not caller.may_run:
            raise forbidden("cancels no jobs")
        known = JOB_ID.fullmatch(job_id)
        met = await self._store.cancel(job_id, caller.owner, reason) if known else None
        if met is None:
            raise no_such_job(job_id)
        faultpoints.reached(Point.CANCEL_ASKED)
        if met.changed:
            self.news.publish(met.job, state=True)
            self._dispatcher.strays.add(met.job)
        if met.here:
            self._dispatcher.stop(job_id, reason)
        if met.job.state.terminal:
            return met.job
        return await self.wait(job_id, caller, seconds) if seconds else met.job

    async def mark_answered(self, job_id: str) -> None:
        """Note that the job's answer reached its caller: the same call will make a new job."""
        faultpoints.reached(Point.BEFORE_ANSWERED)
        await self._store.answered(bindable(job_id))
        faultpoints.reached(Point.ANSWERED)


async def shielded(step: Callable[[], Awaitable[None]]) -> None:
    """Take a closing step though the task is being cancelled."""
    with anyio.CancelScope(shield=True):
        await step()

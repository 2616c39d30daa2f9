"""Takes queued jobs and runs them: one lane per backend, woken by events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from media_mcp.backends.base import Backend
from media_mcp.errors import StorageFailed
from media_mcp.job import Job
from media_mcp.queue.attempt import Attempt, Rooms
from media_mcp.queue.store import Claim

log = logging.getLogger(__name__)

OVERDUE_SECONDS = 60.0


class Lane:
    """One backend's jobs: takes the next one whenever it has a free slot.

    Warm models go first, but a job older than `OVERDUE_SECONDS` is next whatever is warm. That
    forces at most one load per `OVERDUE_SECONDS`: with every job overdue, plain order of arrival
    would load a model for nearly each of them.
    """

    def __init__(
        self,
        backend: Backend,
        rooms: Rooms,
        clock: Callable[[], float],
        on_start: Callable[[Attempt], None],
    ) -> None:
        self.backend = backend
        self.running: dict[str, Attempt] = {}
        self._rooms = rooms
        self._clock = clock
        self._on_start = on_start
        self._slots = anyio.Semaphore(backend.concurrency)
        self._bell = anyio.Event()
        self._last_load = 0.0
        self._idle = False
        self._empty = False  # the last look found nothing, and nobody rang since
        self._reserved = False
        self._handed: Claim | None = None

    def ring(self) -> None:
        """Wake the lane: there may be something to take."""
        self._empty = False
        self._wake()

    def reserve(self) -> bool:
        """Hold the free slot of an idle lane for a job that is being submitted, until `hand`."""
        reserved, self._idle = self._idle, False
        self._reserved = self._reserved or reserved
        return reserved

    def hand(self, claim: Claim | None) -> None:
        """Run the claim that the submit made, if it made one, in the slot that was reserved."""
        self._reserved = False
        self._handed = claim
        self._wake()

    def _wake(self) -> None:
        self._bell.set()
        self._bell = anyio.Event()

    async def run(self, group: TaskGroup) -> None:
        while True:
            await self._slots.acquire()
            first, *more = await self._next()
            self._begin(first, group)
            for claim in more:
                self._slots.acquire_nowait()
                self._begin(claim, group)

    def _begin(self, claim: Claim, group: TaskGroup) -> None:
        if claim.job.model not in self._warm():
            self._last_load = self._clock()
        attempt = Attempt(claim, self.backend, self._rooms)
        self.running[claim.job.id] = attempt
        self._on_start(attempt)
        self._rooms.news.publish(claim.job, state=True)
        group.start_soon(self._attend, attempt)

    async def _next(self) -> list[Claim]:
        """Return jobs to run, at least one: at most as many as there are free slots."""
        while True:
            bell = self._bell  # taken first: a ring during the claim is not missed
            claims, self._handed = [self._handed] if self._handed else [], None
            if not claims and not self._reserved and not self._empty:
                claims = await self._claim()
            if claims:
                return claims
            self._idle = not self._reserved
            try:
                await bell.wait()
            finally:
                self._idle = False

    async def _claim(self) -> list[Claim]:
        self._empty = True  # before the look: a ring while it is under way counts
        now = self._clock()
        may_load = now - self._last_load >= OVERDUE_SECONDS
        overdue = now - OVERDUE_SECONDS if may_load else 0.0
        most = 1 + self._slots.value
        try:
            claims = await self._rooms.store.claim(self.backend.name, self._warm(), overdue, most)
        except StorageFailed as error:
            log.warning("No job could be taken for %s: %s", self.backend.name, error)
            claims, self._empty = [], False
        if claims:
            self._empty = False
        return claims

    def _warm(self) -> frozenset[str]:
        try:
            return self.backend.warm()
        except Exception:  # a backend's bug costs the order of its jobs, not the server
            log.exception("The backend %s could not say what is warm", self.backend.name)
            return frozenset()

    async def _attend(self, attempt: Attempt) -> None:
        job_id = attempt.claim.job.id
        try:
            await attempt.run()
        except Exception:  # a bug of ours in one job must not stop the others
            log.exception("Job %s could not be settled", job_id)
        finally:
            if self.running.get(job_id) is attempt:
                del self.running[job_id]
            self._slots.release()
            if attempt.requeued:
                self.ring()


class Dispatcher:
    """The lanes of this process. `on_start` is called whenever a job starts here."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        rooms: Rooms,
        clock: Callable[[], float],
        on_start: Callable[[], None],
    ) -> None:
        self._on_start = on_start
        self._stops: dict[str, str] = {}
        self._lanes = {
            name: Lane(backend, rooms, clock, self._started) for name, backend in backends.items()
        }

    @property
    def busy(self) -> bool:
        """Whether a job runs here."""
        return any(lane.running for lane in self._lanes.values())

    def start(self, group: TaskGroup) -> None:
        for lane in self._lanes.values():
            group.start_soon(lane.run, group)

    def ring(self, backend: str | None = None) -> None:
        """Wake the lane of `backend`, or every lane."""
        for name, lane in self._lanes.items():
            if backend in (None, name):
                lane.ring()

    def reserve(self, backend: str) -> bool:
        """Hold a free slot of `backend` for a job that is being submitted, if there is one."""
        lane = self._lanes.get(backend)
        return lane is not None and lane.reserve()

    def hand(self, backend: str, claim: Claim | None) -> None:
        """Use the slot that was reserved, or give it back."""
        self._lanes[backend].hand(claim)

    def stop(self, job_id: str, reason: str) -> None:
        """Stop the attempt at a job that this process claimed, though it may only be starting."""
        for lane in self._lanes.values():
            if attempt := lane.running.get(job_id):
                attempt.stop(reason)
                return
        self._stops[job_id] = reason

    def check(self, job: Job) -> None:
        """Drop the attempt at a job that another server took over."""
        for lane in self._lanes.values():
            attempt = lane.running.get(job.id)
            if attempt and (job.state.terminal or job.attempt != attempt.claim.job.attempt):
                attempt.lose()

    def _started(self, attempt: Attempt) -> None:
        self._on_start()
        reason = self._stops.pop(attempt.claim.job.id, None)
        if reason is not None:
            attempt.stop(reason)

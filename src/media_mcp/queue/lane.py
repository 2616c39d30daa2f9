"""One backend's jobs: takes the next one whenever there is room for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
from anyio import sleep
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from media_mcp import spans, trail
from media_mcp.backends.base import Backend, Crew, Together
from media_mcp.errors import StorageFailed
from media_mcp.queue.ageing import Ageing
from media_mcp.queue.attempt import Attempt
from media_mcp.queue.batching import most_together
from media_mcp.queue.rooms import Rooms
from media_mcp.queue.store import Claim, Wish
from media_mcp.trail import Trail

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """In which order jobs are taken: `overdue` and `batch_wait` are seconds (see the settings).

    `capped`: there are caps, so a job may have to wait for one that runs elsewhere.
    """

    clock: Callable[[], float]
    overdue: float = 60.0
    batch_wait: float = 0.0
    capped: bool = False


class Lane:
    """One backend's jobs: takes the next one whenever it has a free slot.

    Of a caller's jobs those whose model is warm go first, those that are overdue before them. A job
    that can run as one with others takes those that wait along into its slot. `held_back`: there
    are jobs and a slot, but a cap is met, maybe by jobs of another server.
    """

    def __init__(
        self,
        backend: Backend,
        rooms: Rooms,
        order: Order,
        on_start: Callable[[Attempt], None],
        on_hold: Callable[[], None],
    ) -> None:
        self.backend = backend
        self.running: dict[str, Attempt] = {}
        self._crew = backend if isinstance(backend, Crew) else None
        self._rooms = rooms
        self._ageing = Ageing(order.overdue, order.clock)
        self._batch_wait = order.batch_wait
        self._capped = order.capped
        self.held_back = False
        self._on_start = on_start
        self._on_hold = on_hold
        self._slots = anyio.Semaphore(backend.concurrency)
        self._bell = anyio.Event()
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
            if self._crew:
                await checkpoint()  # the job has its worker before we ask what is warm elsewhere

    def _begin(self, claim: Claim, group: TaskGroup) -> None:
        most = self._most_together(claim)
        if most > 1:
            group.start_soon(self._run_batch, claim, most)
        else:
            group.start_soon(self._run_alone, self._attempt(claim))

    def _most_together(self, claim: Claim) -> int:
        job = claim.job
        if job.batch is None:
            return 1
        try:
            model = self._rooms.model_of(job.model)
            return most_together(self.backend, model, job.route, job.arguments)
        except Exception:  # the attempt will meet it too, and say so
            return 1

    def _attempt(self, claim: Claim, together: Together | None = None) -> Attempt:
        attempt = Attempt(claim, self.backend, self._rooms, together)
        self.running[claim.job.id] = attempt
        self._on_start(attempt)
        self._rooms.news.publish(claim.job, state=True)
        return attempt

    async def _run_batch(self, claim: Claim, most: int) -> None:
        """Run a job with what waits that can run as one with it, in the same slot."""
        await sleep(self._batch_wait)
        claims = [claim, *await self._claim(Wish(mate=claim.job), most - 1)]
        if len(claims) == 1:
            return await self._run_alone(self._attempt(claim))
        together = Together(one.job.id for one in claims)
        attempts = [self._attempt(one, together) for one in claims]
        try:
            async with anyio.create_task_group() as group:
                for attempt in attempts:
                    group.start_soon(self._attend, attempt)
        finally:
            self._free(attempts)

    async def _run_alone(self, attempt: Attempt) -> None:
        try:
            await self._attend(attempt)
        finally:
            self._free([attempt])

    def _free(self, attempts: Sequence[Attempt]) -> None:
        self._slots.release()
        if any(attempt.requeued for attempt in attempts):
            self.ring()

    async def _next(self) -> list[Claim]:
        """Return jobs to run, at least one: at most as many as there are free slots."""
        while True:
            bell = self._bell  # taken first: a ring during the claim is not missed
            claims, self._handed = [self._handed] if self._handed else [], None
            if not claims and not self._reserved and not self._empty:
                claims = await self._take()
            if claims:
                return claims
            self._idle = not self._reserved
            try:
                await bell.wait()
            finally:
                self._idle = False

    async def _take(self) -> list[Claim]:
        self._empty = True  # before the look: a ring while it is under way counts
        wish = Wish(*self._held(), self._ageing.overdue())
        claims = await self._claim(wish, 1 if self._crew else 1 + self._slots.value)
        if claims:
            self._empty = False
        self.held_back = self._capped and not claims and await self._has_queued()
        if self.held_back:
            self._on_hold()
        return claims

    async def _has_queued(self) -> bool:
        try:
            waiting = await self._rooms.store.waiting()
        except StorageFailed:
            return True
        return any(backend == self.backend.name for backend, _ in waiting)

    async def _claim(self, wish: Wish, most: int) -> list[Claim]:
        try:
            return await self._rooms.store.claim(self.backend.name, wish, most)
        except StorageFailed as error:
            log.warning("No job could be taken for %s: %s", self.backend.name, error)
            self._empty = False
            return []

    def _held(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the models that are warm, and those that are busy."""
        try:
            return self.backend.warm(), self._crew.busy() if self._crew else frozenset()
        except Exception:  # a backend's bug costs the order of its jobs, not the server
            log.exception("The backend %s could not say what is warm", self.backend.name)
            return frozenset(), frozenset()

    async def _attend(self, attempt: Attempt) -> None:
        job = attempt.claim.job
        job_id = job.id
        told = {"job": job_id, "model": job.model, "route": job.route.backend}
        try:
            with (
                trail.on(Trail(job.request, job.trace)),
                spans.span(f"run {job.model}", job.trace, **told) as note,
            ):
                await attempt.run()
                ended = self._rooms.news.latest(job_id)
                note("state", str(ended.state) if ended else "unknown")
        except Exception:  # a bug of ours in one job must not stop the others
            log.exception("Job %s could not be settled", job_id)
        finally:
            self._ageing.loaded(attempt.load_seconds)
            if self.running.get(job_id) is attempt:
                del self.running[job_id]

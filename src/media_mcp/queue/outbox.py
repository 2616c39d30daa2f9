"""The ends of jobs that are still to be told elsewhere, each to be told by one server."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from media_mcp import faultpoints
from media_mcp.faultpoints import Point
from media_mcp.job import Job
from media_mcp.queue.store import Delivery, Store, Told

log = logging.getLogger(__name__)

HOLD_SECONDS = 90.0  # for a delivery; then whoever took it is taken for dead


class Outbox:
    """Hands out what is due: after the end of a job, and again when a try is to be repeated."""

    def __init__(
        self, store: Store, clock: Callable[[], float], offline: Callable[[Job], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._offline = offline
        self._bell = anyio.Event()

    def stir(self) -> None:
        """Look again when the next one is due."""
        self._bell.set()

    def hear(self, job: Job) -> None:
        """Take note of a job that has ended."""
        if job.webhook is not None and job.state.terminal:
            self.stir()

    async def next(self, most: int) -> list[Delivery]:
        """Wait until something is due and take 1 to `most` of it. Raises `StorageFailed`."""
        while True:
            self._bell = anyio.Event()
            at = await self._store.next_webhook()
            rest = None if at is None else max(0.0, at - self._clock())
            with anyio.move_on_after(rest) as waiting:
                await self._bell.wait()
            if waiting.cancelled_caught:
                taken = await self._store.take_webhooks(most, HOLD_SECONDS)
                if taken:
                    faultpoints.reached(Point.WEBHOOK_TAKEN)
                if allowed := [one for one in taken if await self._allowed(one)]:
                    return allowed

    async def _allowed(self, delivery: Delivery) -> bool:
        """Tell whether a delivery may be made; one that may not is over."""
        if not self._offline(delivery.job):
            return True
        log.warning("The webhook of job %s is not told of it: offline", delivery.job.id)
        await self._store.told(delivery, Told(False, "offline"))
        return False

    async def told(self, delivery: Delivery, how: Told) -> None:
        """Write what came of a delivery. Raises `StorageFailed`."""
        faultpoints.reached(Point.WEBHOOK_TOLD)
        await self._store.told(delivery, how)
        self.stir()

"""Writes what a running job reports: the first at once, then every 100 ms, the last always."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from media_mcp import faultpoints
from media_mcp.backends.base import Report
from media_mcp.errors import StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.queue.news import News
from media_mcp.queue.store import Claim, Stale, Store

log = logging.getLogger(__name__)

INTERVAL = 0.1
MAX_PENDING = 256


class Scribe:
    """Between two writes only the latest step is kept, and every log line up to a bound.

    `remote_id` is what the job goes by at its backend, as told last.
    """

    def __init__(
        self,
        claim: Claim,
        store: Store,
        news: News,
        on_stale: Callable[[], None],
        on_bug: Callable[[Exception], None],
    ) -> None:
        self._claim = claim
        self._store = store
        self._news = news
        self._on_stale = on_stale
        self._on_bug = on_bug
        self._pending: list[Report] = []
        self._bell = anyio.Event()
        self._writing = anyio.Lock()
        self._writer: asyncio.Task[None] | None = None
        self.remote_id = claim.job.remote_id

    async def report(self, report: Report) -> None:
        """Take a report. A `remote` one is on disk when this returns; raises `StorageFailed`."""
        self._note(report)
        faultpoints.reached(Point.STEP)
        if report.kind == "remote":
            self.remote_id = report.message or None
            await self._flush()
        else:
            self._bell.set()
            if self._writer is None:
                self._writer = asyncio.create_task(self._write())

    def _note(self, report: Report) -> None:
        pending = self._pending
        if report.kind == "progress" and pending and pending[-1].kind == "progress":
            pending[-1] = report
        else:
            pending.append(report)
        if len(pending) > MAX_PENDING:
            oldest_log = next(i for i, each in enumerate(pending) if each.kind != "remote")
            del pending[oldest_log]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Write while this is open; `rest` has what was not written.

        Many a job ends without a report, so the writer begins with the first one.
        """
        try:
            yield
        finally:
            if self._writer is not None:
                await self._stop(self._writer)

    async def _stop(self, writer: asyncio.Task[None]) -> None:
        writer.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([writer])

    async def _write(self) -> None:
        while True:
            await self._bell.wait()
            self._bell = anyio.Event()
            try:
                await self._flush()
            except StorageFailed as error:
                log.warning("Progress of job %s was not kept: %s", self._claim.job.id, error)
            except Exception as error:  # no row can hold it, say
                return self._on_bug(error)
            await anyio.sleep(INTERVAL)

    async def _flush(self) -> None:
        async with self._writing:
            batch, self._pending = self._pending, []
            if not batch:
                return
            try:
                job = await self._store.report(self._claim, batch)
            except Stale:
                self._on_stale()
                return
            except BaseException:
                self._pending[:0] = batch
                raise
        faultpoints.reached(Point.STEP_WRITTEN)
        self._news.publish(job, state=False)

    def rest(self) -> tuple[Report, ...]:
        return tuple(self._pending)

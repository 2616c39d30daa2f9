"""What no event of this process announces: writes of other servers, and their deaths."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from media_mcp import faultpoints
from media_mcp.errors import StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import JobState
from media_mcp.queue.dispatcher import Dispatcher
from media_mcp.queue.folder import remove_folder, work_folder
from media_mcp.queue.liveness import BEAT_SECONDS, STALE_SECONDS, dead
from media_mcp.queue.news import News
from media_mcp.queue.store import Change, Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class Watch:
    """Looks at the store: often while somebody waits, or a job runs here or is held back by others,
    else at each heartbeat.
    """

    def __init__(
        self,
        store: Store,
        news: News,
        dispatcher: Dispatcher,
        on_wake: Callable[[], None],
        *,
        attempts: int,
        work_dir: Path,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._news = news
        self._dispatcher = dispatcher
        self._on_wake = on_wake
        self._attempts = attempts
        self._work_dir = work_dir
        self._clock = clock
        self._stir = anyio.Event()
        self._beaten_at = clock()
        self._sure_at = self._beaten_at + STALE_SECONDS  # that a silent server hangs

    def start(self, group: TaskGroup) -> None:
        group.start_soon(self._look_often)
        group.start_soon(self._beat_forever)

    def stir(self) -> None:
        """Look often from now on: a job was started here, or somebody waits for one."""
        self._stir.set()

    async def _look_often(self) -> None:
        while True:
            lanes = self._dispatcher
            if not (self._news.awaited or lanes.busy or lanes.held_back):
                self._stir = anyio.Event()
                await self._stir.wait()
            await anyio.sleep(LOOK_SECONDS)
            await self._survive(self._look)

    async def _beat_forever(self) -> None:
        while True:
            await anyio.sleep(BEAT_SECONDS)
            await self._survive(self.beat)

    async def _survive(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except StorageFailed as error:
            log.warning("The store could not be looked at: %s", error)
        except Exception:  # a bug in one look must not end all of them
            log.exception("A look at the store failed")

    async def beat(self) -> None:
        """Say that this server lives, take over from dead ones, and offer what is queued."""
        now = self._clock()
        late = abs(now - self._beaten_at) > STALE_SECONDS / 2
        self._beaten_at = now
        if late:
            self._sure_at = now + STALE_SECONDS
        if self._dispatcher.busy:
            await self._store.beat()
        if late:  # the machine slept, or its clock was set: timers stood still meanwhile
            self._on_wake()
        else:
            await self.recover()
        await self._look()
        self._dispatcher.ring()

    async def recover(self) -> None:
        """Queue again, or end as lost, the jobs of servers that died."""
        now, hung = self._clock(), self._clock() >= self._sure_at
        gone = await self._store.recover(lambda other: dead(other, now, hung=hung), self._attempts)
        for job in gone:
            faultpoints.reached(Point.RECOVERED)
            log.warning("Job %s was left by a dead server; it is %s now", job.id, job.state)
            self._news.publish(job, state=True)
            self._dispatcher.strays.add(job)
            await to_thread.run_sync(remove_folder, work_folder(self._work_dir, job))

    async def tidy(self) -> None:
        """Remove the work folders that a killed server left: those of attempts not running now."""
        for folder in await to_thread.run_sync(subfolders, self._work_dir):
            job_id, _, attempt = folder.name.rpartition("-")
            job = await self._store.get(job_id)
            if job and (job.state is not JobState.RUNNING or str(job.attempt) != attempt):
                await to_thread.run_sync(remove_folder, folder)

    async def _look(self) -> None:
        for change in await self._store.changes():
            self._take_in(change)

    def _take_in(self, change: Change) -> None:
        self._news.publish(change.job, state=change.state)
        self._dispatcher.check(change.job)
        if change.cancel is not None:
            self._dispatcher.stop(change.job.id, change.cancel)
        self._dispatcher.ring(change.job.route.backend)


def subfolders(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []

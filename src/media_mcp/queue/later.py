"""What the clock brings: jobs that were not started in time, and media whose time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from media_mcp.errors import StorageFailed
from media_mcp.job import Job, JobState
from media_mcp.queue import retention
from media_mcp.queue.holdings import LIFETIME
from media_mcp.queue.news import News
from media_mcp.queue.store import Store

if TYPE_CHECKING:
    from media_mcp.media import MediaStore

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0  # after the disk failed


class Later:
    """Sleeps until something is due in the store, then does it.

    What other servers and earlier ones left to do is done as well: `next_due` knows of it.
    """

    def __init__(
        self, store: Store, news: News, media: MediaStore, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._news = news
        self._media = media
        self._clock = clock
        self._bell = anyio.Event()

    def stir(self) -> None:
        """Look again when the next thing is due."""
        self._bell.set()

    def hear(self, job: Job) -> None:
        """Take note of a job that has brought something to do."""
        if job.state.terminal:
            changed = job.lifetime is not None or bool(job.parents)
        else:
            changed = job.state is JobState.QUEUED and job.start_by is not None
        if changed:
            self.stir()

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            self._bell = anyio.Event()
            try:
                await self._pass()
            except StorageFailed as error:
                log.warning("What is due has to wait: %s", error)
                await anyio.sleep(AGAIN_SECONDS)
            except Exception:  # a bug in one pass must not end all of them
                log.exception("What was due could not be done")
                await anyio.sleep(AGAIN_SECONDS)

    async def _pass(self) -> None:
        """Wait for the next thing, or for the bell, and do what is due then."""
        at = await self._store.next_due()
        with anyio.move_on_after(None if at is None else max(0.0, at - self._clock())) as waiting:
            await self._bell.wait()
        if waiting.cancelled_caught:
            for job in await self._store.time_out():
                self._news.publish(job, state=True)
            for owner, uri in await self._store.expiring():
                await self._expire(owner, uri)

    async def _expire(self, owner: str, uri: str) -> None:
        """Remove an owner's copy of an asset whose time is over, where they need it no more."""
        again = None
        if not await self._store.owns(owner, uri) and not await self._remove(owner, uri):
            again = self._clock() + retention.GRACE_SECONDS
        await self._store.checked(owner, uri, again)

    async def _remove(self, owner: str, uri: str) -> bool:
        """Write that it is removed, then do it. False where it was brought or made once more."""
        held = await self._store.holdings.one(owner, uri)
        marked = await self._store.holdings.gone([held], LIFETIME) if held else []
        if await retention.remove_copy(self._media, self._store.holdings, owner, uri):
            return True
        for each in marked:
            await self._store.holdings.restore(each)
        return False

"""Removes what nobody needs: media by age and by the size of all, and what crashes leave behind."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from media_mcp.errors import StorageFailed
from media_mcp.job import Caller
from media_mcp.queue.folder import remove_folder
from media_mcp.queue.holdings import MISSING, RETENTION, START, Holding, Holdings
from media_mcp.queue.store import Store

if TYPE_CHECKING:
    from media_mcp.media import MediaStore
    from media_mcp.media.leftovers import Leftover
    from media_mcp.settings import Settings

log = logging.getLogger(__name__)

OWNER = Caller().owner
GRACE_SECONDS = 600.0  # in which bytes that were taken in once more find who needs them
ORPHAN_SECONDS = 7 * 86_400.0  # after which files that no row names belong to nobody
WORK_SECONDS = 86_400.0  # as do work folders
FIRST_SECONDS = 60.0  # after a start
EVERY_SECONDS = 3600.0
SWEEP_SECONDS = 86_400.0  # looking at every file takes its time
BATCH = 50  # assets that are removed in one go
PAGE = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is removed: what was last used `age` seconds ago, and what is over `size` bytes."""

    age: float | None = None
    size: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        return cls(settings.retention.age, settings.retention.size)

    def __bool__(self) -> bool:
        return self.age is not None or self.size is not None


class Collector:
    """Collects garbage. Any number may do so at once, in one process or several.

    First the row says that a file is removed, unless something needs it by then; then the file
    goes. What a crash leaves between the two, `mend` finishes.
    """

    def __init__(
        self,
        store: Store,
        media: MediaStore,
        work_dir: Path,
        bounds: Bounds,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._holdings = store.holdings
        self._media = media
        self._work_dir = work_dir
        self.bounds = bounds
        self._clock = clock

    async def run(self) -> None:
        """Collect, for ever, when it is this server's turn."""
        await anyio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self._turn()
            except StorageFailed as error:
                log.warning("Collecting garbage has to wait: %s", error)
            except Exception:  # a bug in one turn must not end all of them
                log.exception("Garbage could not be collected")
            await anyio.sleep(EVERY_SECONDS)

    async def _turn(self) -> None:
        if self.bounds and await self._holdings.my_turn("retention", EVERY_SECONDS / 2):
            sizes = [held.size async for held in self.collect(self.bounds)]
            if sizes:
                log.info("Retention removed %d assets, %d bytes", len(sizes), sum(sizes))
        if await self._holdings.my_turn("leftovers", SWEEP_SECONDS):
            await self.mend()
            async for left in self.leftovers(orphans=bool(self.bounds)):
                log.info("Removed %s: %s", left.what, left.path)

    # Assets

    async def collect(self, bounds: Bounds, *, dry: bool = False) -> AsyncIterator[Holding]:
        """Remove what is over the bounds, longest unused first, and yield it; `dry`: only yield."""
        cutoff = -math.inf if bounds.age is None else self._clock() - bounds.age
        over = 0 if bounds.size is None else await self._holdings.held_bytes() - bounds.size
        after = START
        while True:
            before = math.inf if over > 0 else cutoff
            batch = await self._holdings.spare(after, before, BATCH)
            chosen: list[Holding] = []
            for held in batch:
                if held.used_at > cutoff and over <= 0:
                    break
                chosen.append(held)
                over -= held.size
            for held in chosen if dry else await self._remove(chosen):
                yield held
            if not batch or len(chosen) < len(batch):
                return
            after = (batch[-1].used_at, batch[-1].n)

    async def _remove(self, chosen: list[Holding]) -> list[Holding]:
        """Remove holdings that nothing needs by now; return those that went."""
        return [
            held
            for held in (await self._holdings.retire(chosen, RETENTION) if chosen else ())
            if await self.finish(held)
        ]

    async def finish(self, held: Holding) -> bool:
        """Remove the file of a holding that is marked removed; False where its bytes came again."""
        if await remove_copy(self._media, self._holdings, held.owner, held.uri):
            return True
        await self._holdings.restore(held)
        return False

    # After crashes

    async def mend(self) -> None:
        """Bring rows and files together: what a crash left half removed, what is missing or back.

        Sizes that are not known yet are written.
        """
        if not await to_thread.run_sync(self._media.folder.is_dir):
            return  # nothing was ever stored, or the disk is not there
        async for held, size in self._measured(removed=False):
            if size is None:
                await self._holdings.gone([held], MISSING)
            elif size != held.size:
                await self._holdings.sized([replace(held, size=size)])
        async for held, size in self._measured(removed=True):
            if size is None:
                continue
            if held.removed_by == MISSING:
                await self._holdings.restore(held)
            else:
                await self.finish(held)

    async def _measured(self, *, removed: bool) -> AsyncIterator[tuple[Holding, int | None]]:
        from media_mcp.media.leftovers import measure

        after = 0
        while page := await self._holdings.page(after, PAGE, removed=removed):
            names = [(held.owner, held.uri) for held in page]
            sizes = await to_thread.run_sync(measure, self._media, names)
            for pair in zip(page, sizes, strict=True):
                yield pair
            after = page[-1].n

    async def leftovers(
        self, *, orphans: bool = True, dry: bool = False
    ) -> AsyncIterator[Leftover]:
        """Remove what belongs to nothing and yield it; `dry`: only yield.

        `orphans` are media that no row names: files older than the table of rows are never taken
        for that, nor are those of the last week.
        """
        async for left in self._found(orphans):
            if not dry:
                await to_thread.run_sync(left.remove)
            yield left
        async for folder in self._work_folders():
            if not dry:
                await to_thread.run_sync(remove_folder, folder.path)
            yield folder

    async def _found(self, orphans: bool) -> AsyncIterator[Leftover]:
        from media_mcp.media import leftovers as media

        now, since = time.time(), await self._holdings.born()
        names = {self._media.of(owner).folder: owner for owner in await self._holdings.owners()}
        for folder in await to_thread.run_sync(media.folders, self._media):
            for left in await to_thread.run_sync(_all, media.passing(folder, now)):
                yield left
            if not orphans:
                continue
            before = now - ORPHAN_SECONDS
            for left in await to_thread.run_sync(_all, media.nameless(folder, since, before)):
                yield left
            owner = OWNER if folder == self._media.folder else names.get(folder, "")
            async for left in self._orphans(folder, owner, since, before):
                yield left

    async def _orphans(
        self, folder: Path, owner: str, since: float, before: float
    ) -> AsyncIterator[Leftover]:
        from media_mcp.media.leftovers import orphan, records

        pages = records(folder)
        while (page := await to_thread.run_sync(next, pages, None)) is not None:
            old = [record for record in page if since < record.written_at < before]
            alive = await self._holdings.alive(owner, [record.sha256 for record in old])
            for record in old:
                if record.sha256 not in alive:
                    yield await to_thread.run_sync(orphan, folder, record)

    async def _work_folders(self) -> AsyncIterator[Leftover]:
        """Yield work folders of jobs that are over, or that nobody knows."""
        from media_mcp.media.leftovers import Leftover

        before = time.time() - WORK_SECONDS
        for folder in await to_thread.run_sync(_old_folders, self._work_dir, before):
            job = await self._store.get(folder.name.rpartition("-")[0])
            if job is None or job.state.terminal:
                yield Leftover("a work folder", folder, await to_thread.run_sync(_bytes_in, folder))


async def remove_copy(media: MediaStore, holdings: Holdings, owner: str, uri: str) -> bool:
    """Remove an owner's copy of an asset, and one that was everybody's if nobody leans on it.

    False where bytes were taken in again lately.
    """
    gone = owner == OWNER or await media.of(owner).remove(uri, GRACE_SECONDS)
    if await media.leans_on(uri, await holdings.others(owner, uri)):
        return gone
    return await media.remove(uri, GRACE_SECONDS) and gone


def _all(found: Iterator[Leftover]) -> list[Leftover]:
    return list(found)


def _old_folders(folder: Path, before: float) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _is_old(path, before)]


def _is_old(path: Path, before: float) -> bool:
    try:
        return path.lstat().st_mtime < before and path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def _bytes_in(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())

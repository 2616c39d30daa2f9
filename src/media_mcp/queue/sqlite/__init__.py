"""The store in one SQLite file: the embedded default, shared by every server on the data folder."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from media_mcp.backends.base import Report
from media_mcp.errors import StorageFailed
from media_mcp.job import Asset, Caller, Event, Job, JobState
from media_mcp.queue.budget import Limit, Need
from media_mcp.queue.holdings import Holdings
from media_mcp.queue.sqlite import (
    claims,
    ledger,
    lifetimes,
    reads,
    records,
    turns,
    webhooks,
    writes,
)
from media_mcp.queue.sqlite.connection import connect, storage_failed
from media_mcp.queue.sqlite.holdings import SqliteHoldings
from media_mcp.queue.sqlite.migrations import MIGRATIONS
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.sqlite.records import Checker, Where, Which
from media_mcp.queue.sqlite.writer import Writer
from media_mcp.queue.store import (
    ANY,
    Added,
    Again,
    Cancelling,
    Change,
    Claim,
    Delivery,
    Detour,
    Ending,
    Instance,
    Join,
    Tally,
    Told,
    Upload,
    Wish,
)
from media_mcp.queue.terms import FREE, Terms

T = TypeVar("T")
Clock = Callable[[], float]


class SqliteStore:
    """Implements `Store` with a connection that writes and one that reads, each a thread's at a
    time: readers never wait for the disk.
    """

    def __init__(
        self,
        path: Path,
        instance: Instance,
        *,
        clock: Clock = time.time,
        busy_seconds: float = 5.0,
        migrations: Sequence[str] = MIGRATIONS,
        terms: Terms = FREE,
    ) -> None:
        self.path = path
        self.instance = instance
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._migrations = migrations
        self._terms = terms
        self._writing, self._reading = _Lane(path), _Lane(path)
        self._writer = Writer(self._writing.run)
        self._pen: Pen | None = None
        self._reader: sqlite3.Connection | None = None
        self.holdings: Holdings = SqliteHoldings(self._write, self._read, clock)
        self._seen = 0
        self._version = -1

    async def open(self) -> None:
        await self._writing.run(self._open)

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"The data folder {self.path.parent} cannot be made: {error.strerror}.",
                "Point data_dir at a folder that this user may write.",
            ) from None
        db = connect(self.path, self._busy_seconds, self._migrations)
        pen = Pen(db, self.instance, self._clock, self._terms)
        try:
            claims.beat(pen)
            turns.mend(db)
        except BaseException:
            db.close()
            raise
        self._seen, _ = reads.changed_by_others(db, self.instance.id, 2**62)
        self._reader = connect(self.path, self._busy_seconds, self._migrations)
        self._pen = pen

    async def aclose(self) -> None:
        if self._pen is not None and self._reader is not None:
            await self._reading.run(self._reader.close)
            await self._writing.run(self._pen.db.close)

    async def _write(self, work: Callable[..., T], *args: Any) -> T:
        assert self._pen is not None, "the store is not open"  # noqa: S101
        try:
            return await self._writer.write(self._pen.db, partial(work, self._pen, *args))
        except sqlite3.Error as error:
            raise storage_failed(error, self.path) or error from error

    async def _read(self, work: Callable[..., T], *args: Any) -> T:
        return await self._reading.run(partial(work, self._reader, *args))

    async def add(
        self,
        job: Job,
        inputs: Sequence[Asset],
        join: Join | None,
        *,
        take: bool = False,
        need: Need | None = None,
    ) -> Added:
        return await self._write(writes.add, job, inputs, join, take, need or Need(job.quoted or 0))

    async def find(self, caller: Caller, join: Join) -> Job | None:
        return await self._write(writes.find, caller, join)

    async def get(self, job_id: str, owner: str | None = None) -> Job | None:
        return await self._read(reads.get, job_id, owner)

    async def jobs(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        model: str | None = None,
        limit: int = 20,
        before: str | None = None,
    ) -> list[Job]:
        return await self._read(reads.jobs, owner, state, model, limit, before)

    async def events(self, job_id: str, after: int = 0) -> list[Event]:
        return await self._read(reads.events, job_id, after)

    async def position(self, job_id: str) -> int | None:
        return await self._read(reads.position, job_id, self._terms)

    async def waiting(self) -> dict[tuple[str, str], int]:
        return await self._read(reads.waiting)

    async def queued_count(self, model: str) -> int:
        return await self._read(reads.queued_count, model)

    async def claim(self, backend: str, wish: Wish = ANY, most: int = 1) -> list[Claim]:
        return await self._write(claims.claim, backend, wish, most)

    async def report(self, claim: Claim, reports: Sequence[Report]) -> Job:
        return await self._write(writes.report, claim, reports)

    async def end(self, claim: Claim, ending: Ending) -> Job:
        return await self._write(writes.end, claim, ending)

    async def retry(
        self,
        claim: Claim,
        why: str,
        reports: Sequence[Report],
        gpu_seconds: float = 0.0,
        need: Need | None = None,
    ) -> Job:
        return await self._write(writes.retry, claim, why, reports, gpu_seconds, need)

    async def reroute(
        self, claim: Claim, detour: Detour, reports: Sequence[Report], gpu_seconds: float = 0.0
    ) -> Job:
        return await self._write(writes.reroute, claim, detour, reports, gpu_seconds)

    async def again(self, claim: Claim, again: Again) -> Job:
        return await self._write(writes.again, claim, again)

    async def cancel(self, job_id: str, owner: str, reason: str) -> Cancelling | None:
        return await self._write(writes.cancel, job_id, owner, reason)

    async def answered(self, job_id: str) -> None:
        await self._write(writes.answered, job_id)

    async def time_out(self) -> list[Job]:
        return await self._write(writes.time_out)

    async def owns(self, owner: str, uri: str) -> bool:
        return await self._read(lifetimes.needed, uri, owner, self._clock())

    async def holders(self, uri: str) -> list[str]:
        return await self._read(lifetimes.holders, uri, self._clock())

    async def keep_upload(self, upload: Upload) -> str:
        return await self._write(lifetimes.keep_upload, upload)

    async def upload(self, name: str) -> Upload | None:
        return await self._read(lifetimes.upload, name, self._clock())

    async def expiring(self) -> list[tuple[str, str]]:
        return await self._read(lifetimes.expiring, self._clock())

    async def checked(self, owner: str, uri: str, again: float | None = None) -> None:
        await self._write(lifetimes.checked, owner, uri, again)

    async def next_due(self) -> float | None:
        return await self._read(reads.next_due)

    async def take_webhooks(self, most: int, hold: float) -> list[Delivery]:
        return await self._write(webhooks.take, most, hold)

    async def told(self, delivery: Delivery, how: Told) -> None:
        await self._write(webhooks.told, delivery, how)

    async def next_webhook(self) -> float | None:
        return await self._read(webhooks.next_at, self._clock())

    async def assets(
        self, owner: str, *, limit: int = 50, before: str | None = None
    ) -> list[Asset]:
        return await self._read(reads.assets, owner, limit, before, self._clock())

    async def spend(self, owner: str) -> dict[str, Any]:
        return await self._read(ledger.spend, owner)

    async def left(self, limits: Sequence[Limit]) -> dict[str, float]:
        return await self._read(ledger.left, limits)

    async def tally(self) -> Tally:
        return await self._read(ledger.tally)

    def dump(self, which: Which) -> Iterator[dict[str, Any]]:
        """Yield what travels, as it is at one moment, by a connection of its own. Blocking."""
        with closing(connect(self.path, self._busy_seconds, self._migrations)) as db:
            db.execute("BEGIN")
            yield from records.dump(db, which)

    def checker(self) -> Checker:
        """Return who tells whether records are sound."""
        assert self._pen is not None, "the store is not open"  # noqa: S101
        return Checker(self._pen)

    async def take_in(self, given: Iterable[dict[str, Any]], where: Where) -> int:
        """Write records, all of them or none; return how many jobs were not there."""
        return await self._write(records.put_all, given, where)

    async def unbalanced(self) -> list[str]:
        return await self._read(ledger.unbalanced)

    async def durations(self, model: str, backend: str, limit: int = 20) -> list[float]:
        return await self._read(reads.durations, model, backend, limit)

    async def beat(self) -> None:
        await self._write(claims.beat)

    async def leave(self) -> list[Job]:
        return await self._write(writes.leave)

    async def recover(self, dead: Callable[[Instance], bool], attempts: int) -> list[Job]:
        return await self._write(writes.recover, dead, attempts)

    async def changes(self) -> list[Change]:
        return await self._writing.run(self._changes)

    def _changes(self) -> list[Change]:
        """`data_version` moves only when another connection commits: a look costs microseconds."""
        assert self._pen is not None, "the store is not open"  # noqa: S101
        db = self._pen.db
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return []
        self._seen, rows = reads.changed_by_others(db, self.instance.id, self._seen)
        self._version = version
        return [self._change(db, row, state) for row, state in rows]

    def _change(self, db: sqlite3.Connection, row: sqlite3.Row, state: bool) -> Change:
        ours = row["claimed_by"] == self.instance.id
        return Change(reads.read_job(db, row), state, row["cancel_requested"] if ours else None)


class _Lane:
    """Where one thread at a time works on a connection. Raises `StorageFailed` in our words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._limiter = CapacityLimiter(1)
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(self._guarded, work, limiter=self._limiter)

    def _guarded(self, work: Callable[[], T]) -> T:
        # The lock holds where the limiter does not: a raw asyncio cancel leaves the thread at work.
        with self._lock:
            try:
                return work()
            except sqlite3.Error as error:
                raise storage_failed(error, self._path) or error from error

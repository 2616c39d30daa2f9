"""Group commit: writes that wait at the same time share one transaction and one sync."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import anyio

from media_mcp.queue.sqlite.connection import transaction

T = TypeVar("T")
InThread = Callable[[Callable[[], None]], Any]


class _Work(Generic[T]):
    """A write that waits, and then what came of it."""

    def __init__(self, write: Callable[[], T]) -> None:
        self._write = write
        self._results: list[T] = []
        self.error: Exception | None = None
        self.done = False

    def run(self) -> None:
        try:
            self._results = [self._write()]
        except Exception as error:
            self.error = error

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self._results[0]


class Writer:
    """Runs writes in the order they come, all that wait in one transaction.

    Each of them is a part that can fail alone. None returns before it is on disk. One whose caller
    is cancelled is carried out all the same once its thread has taken it, and else not at all.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._waiting: deque[_Work[Any]] = deque()
        self._turn = anyio.Lock(fast_acquire=True)

    async def write(self, db: sqlite3.Connection, write: Callable[[], T]) -> T:
        """Return what `write` returns, or raise what it or the disk raises."""
        work = _Work(write)
        self._waiting.append(work)
        try:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    if not work.done:  # an earlier turn may have taken it along
                        await self._in_thread(lambda: commit(db, self._taken()))
        except BaseException:  # asyncio's own cancellation heeds no shield
            with suppress(ValueError):
                self._waiting.remove(work)
            raise
        return work.result()

    def _taken(self) -> list[_Work[Any]]:
        """Take all that wait; it is the thread that does, for one that never begins takes none."""
        taken: list[_Work[Any]] = []
        with suppress(IndexError):
            while True:
                taken.append(self._waiting.popleft())
        return taken


def commit(db: sqlite3.Connection, batch: Sequence[_Work[Any]]) -> None:
    """Carry out a batch; where the disk refuses it, every part of it has that error."""
    try:
        if len(batch) == 1:
            batch[0].run()
        else:
            _commit_together(db, batch)
    except Exception as error:
        for work in batch:
            work.error = error
    finally:
        for work in batch:
            work.done = True


def _commit_together(db: sqlite3.Connection, batch: Sequence[_Work[Any]]) -> None:
    with transaction(db):
        for work in batch:
            work.run()
            if not db.in_transaction:
                raise work.error or sqlite3.OperationalError("the transaction ended early")

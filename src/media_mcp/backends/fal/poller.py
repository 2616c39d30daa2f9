"""Asks where requests are: one task for all of them, quick at first and ever slower."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic

import anyio
from anyio.abc import TaskGroup

from media_mcp.backends.fal.wire import Status

AT_ONCE = 8
SLOWER = 0.2  # a request is asked about again after this part of the time that it has run


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to ask: first and most seconds between two looks, and looks a second in all."""

    first: float
    most: float
    rate: float

    def after(self, age: float, watched: int) -> float:
        """Return the seconds to the next look at a request of an age, among so many."""
        seconds = min(max(age * SLOWER, self.first), self.most)
        return max(seconds, watched / self.rate) * random.uniform(0.85, 1.15)  # noqa: S311


class Watch:
    """One request that is looked at; `ask` returns its status, or None if that cannot be had now.

    What `ask` raises ends the watch and reaches whoever waits for its next status.
    """

    def __init__(self, ask: Callable[[], Awaitable[Status | None]]) -> None:
        self.ask = ask
        self.since = monotonic()
        self.due = 0.0
        self.looking = False
        self._latest: Status | None = None
        self._error: Exception | None = None
        self._news = anyio.Event()

    async def next(self) -> Status:
        """Return the next status; only the latest, if several came meanwhile."""
        while self._latest is None:
            await self._news.wait()
            self._news = anyio.Event()
            if self._error is not None:
                raise self._error
        status, self._latest = self._latest, None
        return status

    def tell(self, told: Status | Exception | None) -> None:
        if isinstance(told, Exception):
            self._error = told
        elif told is not None:
            self._latest = told
        if told is not None:
            self._news.set()


class Poller:
    """Looks at every watched request when it is due, a few at once. Idle while there are none."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._watches: set[Watch] = set()
        self._bell = anyio.Event()
        self._task: asyncio.Task[None] | None = None
        self._running = False

    @contextmanager
    def watching(self, ask: Callable[[], Awaitable[Status | None]]) -> Iterator[Watch]:
        watch = Watch(ask)
        watch.due = monotonic() + self._pace.after(0.0, len(self._watches))
        self._watches.add(watch)
        self._bell.set()
        if not self._running:
            self._running = True
            self._task = asyncio.create_task(self._run())
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            self._bell.set()

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        async with anyio.create_task_group() as group:
            try:
                await self._look_after_all(group)
            finally:
                self._running = False  # whoever comes from here on starts another task
            group.cancel_scope.cancel()

    async def _look_after_all(self, group: TaskGroup) -> None:
        slots = anyio.Semaphore(AT_ONCE)
        while self._watches:
            await slots.acquire()
            watch = await self._due()
            if watch is not None:
                watch.looking = True
                group.start_soon(self._look, watch, slots)

    async def _due(self) -> Watch | None:
        """Wait for a request to be due and return it; None if there is none left."""
        while self._watches:
            self._bell = bell = anyio.Event()
            waiting = [watch for watch in self._watches if not watch.looking]
            first = min(waiting, key=lambda watch: watch.due, default=None)
            left = first.due - monotonic() if first else None
            if left is not None and left <= 0:
                return first
            with anyio.move_on_after(left):
                await bell.wait()
        return None

    async def _look(self, watch: Watch, slots: anyio.Semaphore) -> None:
        try:
            watch.tell(await watch.ask())
        except Exception as error:
            self._watches.discard(watch)
            watch.tell(error)
        finally:
            now = monotonic()
            watch.due = now + self._pace.after(now - watch.since, len(self._watches))
            watch.looking = False
            slots.release()
            self._bell.set()

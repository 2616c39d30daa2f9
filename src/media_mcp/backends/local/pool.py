"""The seats of one place: each has a device, one job at a time, and a worker while it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from media_mcp.backends.local.process import WorkerProcess

Start = Callable[[str], Awaitable[WorkerProcess]]


class Seat:
    """A worker's place on `device`; the worker is started when it is first asked for."""

    def __init__(self, device: str, start: Start) -> None:
        self.device = device
        self.taken = False
        self.model = ""  # of its job, as long as there is one
        self.letting_go: asyncio.Task[None] | None = None
        self._start = start
        self._worker: WorkerProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the worker that lives, if one does."""
        return self._worker.pid if self._worker and self._worker.alive else None

    @property
    def resident(self) -> frozenset[str]:
        """The ids of the models that its worker has loaded."""
        return self._worker.resident if self._worker else frozenset()

    @property
    def pinned(self) -> bool:
        """Whether its worker has loaded what is to stay."""
        return self._worker is not None and self._worker.pinned

    async def worker(self) -> WorkerProcess:
        """Return the worker, a fresh one if there is none. Raises what starting one may."""
        if self._worker is None or not self._worker.alive:
            self._worker = await self._start(self.device)
        return self._worker

    def stay(self) -> None:
        """Keep the worker though it was to be let go."""
        if self.letting_go is not None:
            self.letting_go.cancel()
            self.letting_go = None

    async def aclose(self) -> None:
        """Ask the worker to leave, and end it if it does not."""
        self.stay()
        if (worker := self._worker) is not None:
            await worker.close()
            if self._worker is worker:
                self._worker = None


class Pool:
    """Gives seats to jobs: one whose worker has the model loaded, else the emptiest free one.

    When none is free a job waits; a seat that becomes free goes to whoever's model it has loaded,
    else to who has waited longest. A worker without a job for `idle_seconds` is let go (0: never),
    unless it holds what is pinned.
    """

    def __init__(self, devices: Sequence[str], start: Start, idle_seconds: float) -> None:
        self.seats = [Seat(device, start) for device in devices]
        self._idle_seconds = idle_seconds
        self._waiting: list[tuple[str, asyncio.Future[Seat]]] = []

    def warm(self) -> frozenset[str]:
        """Return the models that are loaded where nothing runs, or at all if all seats are taken.

        A job for one of these need not load anything.
        """
        free = [seat for seat in self.seats if not seat.taken] or self.seats
        return frozenset().union(*(seat.resident for seat in free))

    def busy(self) -> frozenset[str]:
        """Return the models that are loaded, or being loaded, only where a job runs."""
        taken = [seat for seat in self.seats if seat.taken]
        return frozenset().union(*(seat.resident | {seat.model} for seat in taken)) - self.warm()

    @asynccontextmanager
    async def seat(self, model: str) -> AsyncIterator[Seat]:
        """Give a seat for the time of one job."""
        seat = await self._take(model)
        seat.stay()
        seat.model = model
        try:
            yield seat
        finally:
            seat.model = ""
            self._hand_on(seat)

    async def _take(self, model: str) -> Seat:
        free = [seat for seat in self.seats if not seat.taken]
        if free:
            seat = min(free, key=lambda seat: _fitness(seat, model))
            seat.taken = True
            return seat
        turn: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        self._waiting.append((model, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            self._waiting = [one for one in self._waiting if one[1] is not turn]
            if turn.done() and not turn.cancelled():
                self._hand_on(turn.result())
            raise

    def _hand_on(self, seat: Seat) -> None:
        """Give the seat to one who waits, else free it."""
        waiting = [one for one in self._waiting if not one[1].done()]
        warm = next((one for one in waiting if one[0] in seat.resident), None)
        found = warm or next(iter(waiting), None)
        seat.taken = found is not None
        if found is not None:
            self._waiting.remove(found)
            found[1].set_result(seat)
        elif self._idle_seconds and seat.pid is not None and not seat.pinned:
            seat.letting_go = asyncio.create_task(self._let_go(seat))

    async def _let_go(self, seat: Seat) -> None:
        await asyncio.sleep(self._idle_seconds)
        seat.letting_go = None
        seat.taken = True  # a job that comes now waits until the memory is free
        try:
            await seat.aclose()
        finally:
            self._hand_on(seat)

    async def aclose(self) -> None:
        await asyncio.gather(*(seat.aclose() for seat in self.seats))


def _fitness(seat: Seat, model: str) -> tuple[bool, int, bool]:
    """What seats are chosen by, the least first: the model is loaded, little is, a worker lives."""
    return model not in seat.resident, len(seat.resident), seat.pid is None

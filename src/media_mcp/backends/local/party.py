"""Runs that one worker does together: most often a single one, else those of a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter

import anyio

from media_mcp import faultpoints
from media_mcp.backends.base import Report, Run, Together
from media_mcp.backends.local.pool import Pool, Seat
from media_mcp.backends.local.process import WorkerProcess
from media_mcp.faultpoints import Point
from media_mcp.worker import protocol
from media_mcp.worker.protocol import ProtocolError

STARTING = "Starting a worker, which takes some seconds."


class Party:
    """Holds a seat from when the last of its runs has come until the last of them has left.

    `orders` are the runs in the worker's words. `started` is when they were sent.
    """

    def __init__(self, pool: Pool, model: str, together: Together) -> None:
        self.orders: dict[str, protocol.Run] = {}
        self.started = 0.0
        self._pool = pool
        self._model = model
        self.together = together
        loop = asyncio.get_running_loop()
        self._seat: asyncio.Future[Seat] = loop.create_future()
        self._worker: asyncio.Future[WorkerProcess] = loop.create_future()
        self._holding = asyncio.create_task(self._hold())

    @property
    def count(self) -> int:
        """How many runs have not left."""
        return len(self.orders)

    def join(self, order: protocol.Run) -> None:
        """Come along; the party begins once every run has come or said that it does not."""
        self.orders[order.job_id] = order
        self.together.decide(order.job_id)

    async def leave(self, job_id: str) -> None:
        """Be done with it; the last to leave gives the seat back."""
        self.orders.pop(job_id, None)
        if not self.orders:
            self._holding.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._holding])

    async def worker(self, run: Run) -> WorkerProcess:
        """Wait for the worker that does it. Raises what starting one may."""
        seat = await asyncio.shield(self._seat)
        if seat.pid is None:
            await run.report(Report("log", message=STARTING))
        return await asyncio.shield(self._worker)

    async def _hold(self) -> None:
        try:
            await self.together.decided()
            async with self._pool.seat(self._model) as seat:
                self._seat.set_result(seat)
                worker = await seat.worker()
                self.started = perf_counter()
                faultpoints.reached(Point.WORKER_STARTED)
                _send(worker, self.orders)
                faultpoints.reached(Point.ORDER_SENT)
                self._worker.set_result(worker)
                await asyncio.get_running_loop().create_future()  # until the last has left
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        for future in (self._seat, self._worker):
            if future.done():
                continue
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # seen, though everybody may have left
            else:
                future.cancel()


def _send(worker: WorkerProcess, orders: Mapping[str, protocol.Run]) -> None:
    """Send them as one message; one after the other if that would be too long."""
    runs = tuple(orders.values())
    for run in runs:
        worker.open(run.job_id, run.request)
    try:
        worker.send(protocol.Batch(runs) if len(runs) > 1 else runs[0])
    except ProtocolError:
        for run in runs:
            worker.send(run)

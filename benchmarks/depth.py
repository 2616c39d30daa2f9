"""How long it takes to take the next job, when ten wait and when ten thousand do."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio

from bench import Row
from media_mcp.job import Caller, Job, JobState, Route
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance, Wish
from media_mcp.queue.submission import new_id

FEW, MANY, CLAIMS, MODELS = 10, 10_000, 200, 8
MOST = 5.0  # times as long as with few; a look that reads the whole queue takes a hundred times


def _job(rolls: random.Random, callers: int, now: float) -> Job:
    caller = Caller(f"c{rolls.randrange(callers)}")
    model = f"m{rolls.randrange(MODELS)}"
    route = Route("local", {"pipeline": "diffusers"})
    return Job(new_id(now), model, JobState.QUEUED, caller, {}, route, 1, "mcp", now)


async def _claims(folder: Path, depth: int, callers: int) -> float:
    """Return the median seconds of a claim where so many wait, disk writes left out."""
    rolls, now = random.Random(7), time.time()
    store = SqliteStore(folder / "jobs.sqlite", Instance("bench", 1, "here", ""))
    await store.open()
    try:
        pen = store._pen
        assert pen is not None
        await store._writing.run(lambda: pen.db.execute("PRAGMA synchronous = OFF"))
        for _ in range(depth):
            await store.add(_job(rolls, callers, now), (), None)
        taken = []
        for _ in range(CLAIMS):
            began = time.perf_counter()
            (claim,) = await store.claim("local", Wish(frozenset(["m1"]), overdue=now - 60))
            taken.append(time.perf_counter() - began)
            await store.end(claim, Ending(JobState.SUCCEEDED))
            await store.add(_job(rolls, callers, now), (), None)
        return statistics.median(taken)
    finally:
        await store.aclose()


def claims(folder: Path) -> Iterator[Row]:
    """Time claims for one caller and for 200, of `MODELS` models."""
    for callers in (1, 200):
        few, many = (
            anyio.run(partial(_claims, folder / f"depth-{callers}-{depth}", depth, callers))
            for depth in (FEW, MANY)
        )
        yield Row(
            f"a claim where {MANY:,} jobs wait, of {callers} caller{'s' if callers > 1 else ''}",
            "ms",
            many * 1e3,
            few * 1e3,
            f"where {FEW} wait",
            f"≤ {MOST:g} times",
            many <= MOST * few,
            f"median of {CLAIMS}, {MODELS} models of which one is loaded, without waiting for the "
            "disk",
        )

"""How often models are loaded when the jobs of several compete for memory that holds a few of them.

Model k of a stream is asked for in proportion to 1/k (zipf); so many jobs are kept in flight, as by
callers who each wait for their last. `simulate` runs our store and our rule on a virtual clock,
`real` a real server's queue with a worker and pipelines; each beside plain order of arrival.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from bench import Bench, Row
from media_mcp.job import Caller, Job, JobState, Route
from media_mcp.queue.ageing import Ageing
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance, Wish
from media_mcp.queue.submission import new_id

JOBS, IN_FLIGHT, BOUND = 200, 20, 60.0
JOB_SECONDS, LOAD_SECONDS = 0.5, 1.0
START = 1_800_000_000.0
# Models, how many of them fit, jobs in flight, and the share of plain order's loads to stay below.
STREAMS = ((6, 2, IN_FLIGHT, 0.2), (8, 3, IN_FLIGHT, 0.25), (8, 3, JOBS, 0.2))


@dataclass(frozen=True, slots=True)
class Tally:
    """What a stream took: loads, the most seconds that a job waited for its turn, all seconds."""

    loads: int
    oldest: float
    seconds: float


def zipf(models: int, jobs: int = JOBS, seed: int = 7) -> list[str]:
    """Return the model of each job."""
    chance = [1 / (rank + 1) for rank in range(models)]
    names = [f"m{rank}" for rank in range(models)]
    return random.Random(seed).choices(names, chance, k=jobs)


class Memory:
    """Holds so many models and drops the one that was used longest ago, as a worker does."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._held: OrderedDict[str, None] = OrderedDict()
        self.loads = 0

    @property
    def warm(self) -> frozenset[str]:
        return frozenset(self._held)

    def use(self, model: str) -> float:
        """Return the seconds that loading it takes now."""
        known = model in self._held
        if not known:
            self.loads += 1
            while len(self._held) >= self._slots:
                self._held.popitem(last=False)
        self._held[model] = None
        self._held.move_to_end(model)
        return 0.0 if known else LOAD_SECONDS


class Stream:
    """One worker, one store, a virtual clock: jobs come as others end."""

    def __init__(self, folder: Path, models: Sequence[str], slots: int, *, plain: bool) -> None:
        self.now = START
        self._models = list(models)
        self._memory = Memory(slots)
        self._plain = plain
        self._ageing = Ageing(BOUND, lambda: self.now)
        me = Instance("bench", 1, "here", "")
        self._store = SqliteStore(folder / "jobs.sqlite", me, clock=lambda: self.now)
        self._oldest = 0.0

    async def run(self, in_flight: int) -> Tally:
        await self._store.open()
        try:
            for _ in range(in_flight):
                await self._submit()
            while await self._one():
                await self._submit()
        finally:
            await self._store.aclose()
        return Tally(self._memory.loads, self._oldest, self.now - START)

    async def _submit(self) -> None:
        if self._models:
            await self._store.add(_job(self._models.pop(0), self.now), (), None)

    async def _one(self) -> bool:
        wish = Wish() if self._plain else Wish(self._memory.warm, overdue=self._ageing.overdue())
        claims = await self._store.claim("local", wish)
        for claim in claims:
            self._oldest = max(self._oldest, self.now - claim.job.created_at)
            load = self._memory.use(claim.job.model)
            self.now += load + JOB_SECONDS
            self._ageing.loaded(load)
            await self._store.end(claim, Ending(JobState.SUCCEEDED))
        return bool(claims)


def _job(model: str, now: float) -> Job:
    route = Route("local", {"pipeline": "diffusers"})
    return Job(new_id(now), model, JobState.QUEUED, Caller(), {}, route, 1, "mcp", now)


def simulate(
    folder: Path, models: int, slots: int, *, plain: bool, in_flight: int = IN_FLIGHT
) -> Tally:
    """Run a stream on a virtual clock; `plain` takes jobs in their order of arrival."""
    folder.mkdir(parents=True)
    stream = Stream(folder, zipf(models), slots, plain=plain)
    return anyio.run(stream.run, in_flight)


def loads(bench: Bench) -> Iterator[Row]:
    """Count the loads of each stream on a virtual clock."""
    for models, slots, in_flight, most in STREAMS:
        ours, plain = (
            simulate(
                bench.folder / f"affinity-{models}-{in_flight}-{plain}",
                models,
                slots,
                plain=plain,
                in_flight=in_flight,
            )
            for plain in (False, True)
        )
        all_at_once = in_flight == JOBS
        yield Row(
            f"model loads for {JOBS} jobs of {models} models of which {slots} fit, "
            f"{'all queued at once' if all_at_once else f'{in_flight} in flight'}",
            "loads",
            ours.loads,
            plain.loads,
            "in order of arrival",
            f"≤ {most}" if all_at_once else f"≤ {most}, none waits over {BOUND:.0f} s",
            ours.loads <= most * plain.loads and (all_at_once or ours.oldest <= BOUND),
            f"zipf stream on a virtual clock, {JOB_SECONDS} s a job and {LOAD_SECONDS} s a load; "
            f"the longest wait was {ours.oldest:.0f} s (in order of arrival {plain.oldest:.0f} s), "
            f"all took {ours.seconds:.0f} s ({plain.seconds:.0f} s)",
        )

"""How often models are loaded when the jobs of several compete for memory that holds a few of them.

Model k of a stream is asked for in proportion to 1/k (zipf); so many jobs are kept in flight, as by
callers who each wait for their last. `simulate` runs our store and our rule on a virtual clock,
`real` a real server's queue with a worker and pipelines; each beside plain order of arrival.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from pydantic import ByteSize

import media_mcp
from bench import Row
from media_mcp.backends.instances import Instance as Place
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import configuration
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.job import Caller, Job, JobState, Route
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.queue.ageing import Ageing
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance, Wish
from media_mcp.queue.submission import new_id
from media_mcp.settings import Settings

JOBS, IN_FLIGHT, BOUND = 200, 20, 60.0
JOB_SECONDS, LOAD_SECONDS = 0.5, 1.0
SKETCH_BYTES = 15_600_000  # the embedded model's weights, as floats of 32 bits
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


class Plain(Local):
    """Has its jobs taken in order of arrival: it never says what is loaded."""

    def warm(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Size:
    """How large a real run is: models, how many fit, jobs, and how many are in flight."""

    models: int = 8
    slots: int = 3
    jobs: int = JOBS
    in_flight: int = JOBS


def real(folder: Path, size: Size, *, plain: bool) -> Tally:
    """Run a stream through a queue and a worker that loads real weights, on this machine's CPU."""
    return anyio.run(partial(_real, folder, size, plain=plain))


async def _real(folder: Path, size: Size, *, plain: bool) -> Tally:
    models = {f"m{n}": _sketch(folder, f"m{n}") for n in range(size.models)}
    budget = int((size.slots + 0.5) * SKETCH_BYTES)
    settings = Settings(
        data_dir=folder / "data",
        overdue_seconds=BOUND,
        device="cpu",
        memory_budget=ByteSize(budget),
    )
    backend = (Plain if plain else Local)(configuration(Place("local"), settings))
    media = MediaStore(folder / "data" / "assets")
    queue = Queue(settings, {"local": backend}, media, models.__getitem__)
    began, ended = time.perf_counter(), []
    flying = anyio.Semaphore(size.in_flight)

    async def wait(job_id: str) -> None:
        ended.append(await queue.wait(job_id, Caller(), 600))
        flying.release()

    try:
        async with queue, anyio.create_task_group() as group:
            for number, name in enumerate(zipf(size.models, size.jobs)):
                await flying.acquire()
                call = {"prompt": f"a red circle {number}", "steps": 2, "size": 64, "guidance": 1}
                submission = Submission(models[name], call, Caller(), "bench", seed=number)
                group.start_soon(wait, (await queue.submit(submission)).job.id)
    finally:
        await backend.aclose()
    if failed := [job.failure for job in ended if job.state is not JobState.SUCCEEDED]:
        raise RuntimeError(failed[0])
    return Tally(
        sum(job.facts["load_seconds"] > 0 for job in ended),
        max((job.started_at or 0) - job.created_at for job in ended),
        time.perf_counter() - began,
    )


def _sketch(folder: Path, name: str) -> Model:
    """Return the embedded model under a name and a path of its own, so that it is loaded anew."""
    known = Catalog.load().get("sketch")
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path(media_mcp.__file__).parent / "worker" / "sketch")
    route = known.routes[0]
    spec = {**route.spec, "weights": str(link)}
    return replace(known, id=name, tool=name, routes=(replace(route, spec=spec),))


def real_loads(folder: Path) -> Row:
    """Count the loads of a real worker, and the time that all jobs take."""
    size = Size()
    ours, plain = (real(folder / f"real-{p}", size, plain=p) for p in (False, True))
    return Row(
        f"{size.jobs} jobs of {size.models} models through a real worker that holds {size.slots}",
        "s",
        ours.seconds,
        plain.seconds,
        "in order of arrival",
        "≤ 0.2 of its loads",
        ours.loads <= 0.2 * plain.loads,
        f"zipf stream, all queued at once, the embedded model's weights in {size.models} places on "
        f"the CPU, 2 steps a picture: {ours.loads} loads instead of {plain.loads}",
    )


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


def loads(folder: Path) -> Iterator[Row]:
    """Count the loads of each stream on a virtual clock."""
    for models, slots, in_flight, most in STREAMS:
        ours, plain = (
            simulate(
                folder / f"affinity-{models}-{in_flight}-{plain}",
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

"""What it gains that queued jobs which ask for the same, in other words, are drawn as one."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from bench import Row
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import configuration
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.job import Caller, JobState
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.settings import Settings

JOBS, TOGETHER, ROUNDS = 32, 8, 3


def together(folder: Path) -> Row:
    """Draw the same pictures in batches and one by one, by turns; medians of seconds."""
    ours, alone = anyio.run(partial(_seconds, folder / "batching"))
    return Row(
        f"{JOBS} queued pictures of `sketch`, {TOGETHER} drawn as one",
        "s",
        ours,
        alone,
        "one by one",
        "≤ 1",
        ours <= alone,
        f"the embedded model in a warm worker on the CPU, 12 steps, through queue and store; "
        f"medians of {ROUNDS} rounds by turns",
    )


async def _seconds(folder: Path) -> tuple[float, float]:
    settings = Settings(data_dir=folder, device="cpu")
    backend = Local(configuration(Instance("local"), settings))
    models = {name: _sketch(name, most) for name, most in (("as-one", TOGETHER), ("alone", 1))}
    media = MediaStore(folder / "assets")
    took: dict[str, list[float]] = {name: [] for name in models}
    try:
        async with Queue(settings, {"local": backend}, media, models.__getitem__) as queue:
            for number in range(ROUNDS + 1):  # the first one loads
                for name, model in models.items():
                    took[name].append(await _round(queue, model, number))
    finally:
        await backend.aclose()
    ours, alone = (sorted(times[1:])[ROUNDS // 2] for times in took.values())
    return ours, alone


async def _round(queue: Queue, model: Model, number: int) -> float:
    began = time.perf_counter()
    jobs = []
    for seed in range(JOBS):
        call = {"prompt": f"a red circle {number}", "steps": 12, "size": 64, "guidance": 1}
        submission = Submission(model, call, Caller(), "bench", seed=seed)
        jobs.append((await queue.submit(submission)).job.id)
    ended = [await queue.wait(job, Caller(), 600) for job in jobs]
    if failed := [job.failure for job in ended if job.state is not JobState.SUCCEEDED]:
        raise RuntimeError(failed[0])
    return time.perf_counter() - began


def _sketch(name: str, most: int) -> Model:
    known = Catalog.load().get("sketch")
    route = known.routes[0]
    route = replace(route, spec={**route.spec, "batch": most})
    return replace(known, id=name, tool=name.replace("-", "_"), routes=(route,))

"""Does several jobs as one call: a list of prompts, with a generator for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from media_mcp.worker.pipelines.diffusers.calling import Call, plan_call, readable_refusals
from media_mcp.worker.pipelines.diffusers.outputs import Result, read
from media_mcp.worker.pipelines.diffusers.run import Ready, count_of, finished, held, ours, run
from media_mcp.worker.pipelines.steps import view
from media_mcp.worker.work import Cancelled, Product, Work

# Classes that pad every prompt to one length, so that what stands beside it changes nothing. Others
# fail on lists (PRXPixel with guidance) or let a longer prompt in the batch move the rest.
TOGETHER = ("Flux", "StableDiffusion")
PROMPTS = ("prompt", "negative_prompt")


def run_batch(works: Sequence[Work]) -> list[Product | Exception]:
    """Do jobs that differ in prompts and seeds alone; return the product, or the error, of each.

    What cannot be done as one is done one by one. Raises what ends all of them.
    """
    if not all(_fits(work) for work in works):
        return [_alone(work) for work in works]
    with held(works[0], batch=sum(map(count_of, works))) as ready:
        if type(ready.pipe).__name__.startswith(TOGETHER):
            return _done(works, ready)
    return [_alone(work) for work in works]


def _done(works: Sequence[Work], ready: Ready) -> list[Product | Exception]:
    calls = [plan_call(work, ready.pipe) for work in works]
    started = perf_counter()
    results = together(works, ready.pipe, calls)
    seconds = (perf_counter() - started) / len(works)
    warm = replace(ready, load_seconds=0.0, evicted=0)
    told = [ready, *(warm for _ in works[1:])]
    return [
        one if isinstance(one, Cancelled) else finished(work, mine, call, one, seconds)
        for work, mine, call, one in zip(works, told, calls, results, strict=True)
    ]


def _fits(work: Work) -> bool:
    """Whether a job makes pictures of words alone, and they are one text."""
    return not work.run.inputs and isinstance(work.run.call.get("prompt"), str)


def _alone(work: Work) -> Product | Exception:
    try:
        work.check()
        return run(work)
    except Exception as error:
        return error


def together(
    works: Sequence[Work], pipe: Any, calls: Sequence[Call], **more: Any
) -> list[list[Result] | Cancelled]:
    """Return the results of each job, out of one call; `more` goes into it as it is."""
    counts = [count_of(work) for work in works]
    seeds = [
        work.run.seed + index
        for work, count in zip(works, counts, strict=True)
        for index in range(count)
    ]
    gone: set[int] = set()
    own = view(pipe, _told(works, gone))
    kwargs = calls[0].kwargs | _lists(calls, counts) | ours(pipe, seeds) | more
    with readable_refusals(works[0]):
        made = read(pipe, own(**kwargs))
    return [
        Cancelled() if index in gone else list(mine)
        for index, mine in enumerate(_shared_out(made, counts))
    ]


def _lists(calls: Sequence[Call], counts: Sequence[int]) -> dict[str, list[Any]]:
    """Return the words of every picture, those of a job as often as it makes pictures."""
    return {
        name: [
            call.kwargs.get(name) or ""
            for call, n in zip(calls, counts, strict=True)
            for _ in range(n)
        ]
        for name in PROMPTS
        if any(call.kwargs.get(name) for call in calls)
    }


def _told(works: Sequence[Work], gone: set[int]) -> Any:
    """Return a hook that tells every job of the steps; it ends the call once all are cancelled."""

    def step(done: int, total: int) -> None:
        for index, work in enumerate(works):
            try:
                if index not in gone:
                    work.step(done, total)
            except Cancelled:
                gone.add(index)
        if len(gone) == len(works):
            raise Cancelled

    return step


def _shared_out(made: Result, counts: Sequence[int]) -> list[list[Result]]:
    pictures = iter(made.pictures)
    return [[Result(pictures=(next(pictures),)) for _ in range(count)] for count in counts]

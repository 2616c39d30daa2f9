"""Clients come, wait, are cut off and come again: nothing of them stays in the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from media_mcp.job import Caller
from media_mcp.queue import Submission
from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app
from storagekit import listening
from support import Opened

pytestmark = pytest.mark.anyio

ROUNDS, STREAMS = 3, 8
ME = Caller()


def slow(app: App) -> Submission:
    return Submission(app.catalog.get("test/slow"), {"prompt": "x"}, ME, "queue")


async def wait_by_every_way(url: str, job: str) -> None:
    """Wait for a job that will not end: by status streams, by `run`, and as an agent does."""
    path = f"{url}/queue/test/slow/requests/{job}/status/stream"
    async with httpx2.AsyncClient(timeout=60) as http, anyio.create_task_group() as group:

        async def stream() -> None:
            async with http.stream("GET", path) as answer:
                async for _ in answer.aiter_lines():
                    pass

        for _ in range(STREAMS):
            group.start_soon(stream)
        group.start_soon(lambda: http.post(f"{url}/run/test/slow", json={"prompt": "run"}))
        group.start_soon(agent, url, job, "2026-07-28", 60)


async def agent(url: str, job: str, era: str, seconds: int) -> None:
    """Come, wait for a job and leave."""
    async with Client(streamable_http_client(f"{url}/mcp"), mode=era) as client:
        await client.call_tool("get_job", {"job_id": job, "wait": seconds})


def held(app: App) -> dict[str, int]:
    """Count what a client may leave behind: open files, tasks, followers of jobs."""
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
        "followers": sum(map(len, app.queue.news._followers.values())),
    }


async def cut_off(app: App, url: str, job: str) -> None:
    """Have clients wait by every way and vanish, and one that says goodbye."""
    await agent(url, job, "legacy", 0)
    awaited = held(app)["followers"] + STREAMS + 2
    async with anyio.create_task_group() as group:
        group.start_soon(wait_by_every_way, url, job)
        while held(app)["followers"] < awaited:  # noqa: ASYNC110
            await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    await agent(url, job, "legacy", 0)


async def at_rest(app: App) -> dict[str, int]:
    """Return what is held once that has been the same for half a second."""
    seen = [held(app)]
    while len(seen) < 10 or any(one != seen[-1] for one in seen[-10:]):
        await anyio.sleep(0.05)
        seen.append(held(app))
    return seen[-1]


async def settled(app: App, before: dict[str, int]) -> dict[str, int]:
    """Return what is held once that is no more than before, or else after a while."""
    with anyio.move_on_after(15):
        while any(number > before[name] for name, number in held(app).items()):  # noqa: ASYNC110
            await anyio.sleep(0.05)
    return held(app)


async def test_whoever_is_cut_off_while_waiting_leaves_nothing_behind(opened: Opened) -> None:
    async with (
        opened() as (app, server),
        listening(http_app(server, app, Gate.of(app.settings))) as url,
    ):
        job = (await app.queue.submit(slow(app))).job.id
        await cut_off(app, url, job)  # what is begun once, at the first of its kind, stays
        before = await at_rest(app)
        for _ in range(ROUNDS):
            await cut_off(app, url, job)
            after = await settled(app, before)
            assert all(after[name] <= before[name] for name in before), (before, after)
        await app.queue.cancel(job, ME)

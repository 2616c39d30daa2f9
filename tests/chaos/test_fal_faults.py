"""Five hundred jobs from one server to another through a wire that breaks in every way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from faultproxy import ODDS, FaultProxy, faulty, seeded
from media_mcp.job import Caller, Job, JobState
from media_mcp.media import MediaStore
from media_mcp.queue import Queue
from media_mcp.server.app import App, open_app
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app, listen, web_server
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import Settings, load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

JOBS = 500
KILLED_AT = 150  # jobs at the far server when the near one is killed
NEAR = Path(__file__).with_name("near_server.py")


@asynccontextmanager
async def far_server(folder: Path) -> AsyncIterator[tuple[App, str]]:
    """Run the whole HTTP server; it has the rehearsal models."""
    async with open_app(load_settings(data_dir=folder, catalog_dirs=[])) as app:
        server = McpServer(surface_of(app))
        async with server.running(app):
            web = web_server(http_app(server, app, Gate(None)))
            with listen("127.0.0.1", 0) as listener:
                async with anyio.create_task_group() as group:
                    group.start_soon(lambda: web.serve(sockets=[listener]))
                    yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
                    web.should_exit = True


@asynccontextmanager
async def near_server(folder: Path, url: str, count: int) -> AsyncIterator[Process]:
    command = [sys.executable, str(NEAR), str(folder), url, str(count)]
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


async def said(process: Process) -> list[str]:
    """Return the lines that a process prints until it ends."""
    assert process.stdout is not None
    return "".join([text async for text in TextReceiveStream(process.stdout)]).splitlines()


async def all_jobs(folder: Path) -> list[Job]:
    """Read the near server's jobs without running any."""
    media = MediaStore(folder / "media")
    async with Queue(Settings(data_dir=folder), {}, media, lambda _: None) as queue:  # type: ignore[arg-type, return-value]
        return await queue.jobs(Caller("ann"), limit=1000)


async def several_arrived(app: App, count: int) -> None:
    """Return once so many jobs are at a server."""
    seen: set[str] = set()
    enough = anyio.Event()

    def note(job: Job) -> None:
        seen.add(job.id)
        if len(seen) >= count:
            enough.set()

    stop = app.queue.subscribe(note)
    await enough.wait()
    stop()


async def test_no_job_is_lost_or_doubled_though_everything_breaks_and_the_server_is_killed(
    tmp_path: Path,
) -> None:
    near = tmp_path / "near"
    async with far_server(tmp_path / "far") as (far, url), faulty(url, seeded(7)) as proxy:
        async with near_server(near, proxy.url, JOBS) as first:
            await several_arrived(far, KILLED_AT)
            first.kill()
            await first.wait()
        before = {job.id: job for job in await all_jobs(near)}
        assert Counter(job.state for job in before.values())[JobState.SUCCEEDED] < JOBS
        async with near_server(near, proxy.url, JOBS - len(before)) as second:
            assert json.loads((await said(second))[-1]) == {"succeeded": JOBS}

        mine, theirs = await all_jobs(near), await far.queue.jobs(Caller(), limit=1000)
        check_every_fault_came(proxy)
        check_one_for_one(mine, theirs)
        check_taken_up_again(before, mine)


def check_every_fault_came(proxy: FaultProxy) -> None:
    assert set(proxy.met) == set(ODDS)


def check_one_for_one(mine: list[Job], theirs: list[Job]) -> None:
    """Each job of ours ran there once, and what we have is what that one made."""
    assert len(mine) == len(theirs) == JOBS
    assert {job.state for job in theirs} == {JobState.SUCCEEDED}
    there = {job.id: job for job in theirs}
    assert len({job.remote_id for job in mine}) == JOBS
    for job in mine:
        other = there[job.remote_id or ""]
        assert other.arguments["prompt"] == job.arguments["prompt"]
        assert [a.uri for a in job.assets] == [a.uri for a in other.assets]
        assert job.facts["seed"] == other.seed == job.seed


def check_taken_up_again(before: dict[str, Job], mine: list[Job]) -> None:
    """What ran at the far server when the near one was killed is still the same request."""
    after = {job.id: job for job in mine}
    running = [job for job in before.values() if job.remote_id and not job.state.terminal]
    assert running
    assert all(after[job.id].remote_id == job.remote_id for job in running)
    assert all(after[job.id].attempt > job.attempt for job in running)

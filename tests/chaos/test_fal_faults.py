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

import near
from falplace import Place, open_place
from faultproxy import ODDS, FaultProxy, faulty, seeded
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.configuration import configuration
from media_mcp.backends.instances import Instance
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
async def near_server(folder: Path, url: str, count: int, *words: str) -> AsyncIterator[Process]:
    command = [sys.executable, near.__file__, str(folder), url, str(count), *words]
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
    folder = tmp_path / "near"
    async with far_server(tmp_path / "far") as (far, url), faulty(url, seeded(7)) as proxy:
        async with near_server(folder, proxy.url, JOBS) as first:
            await several_arrived(far, KILLED_AT)
            first.kill()
            await first.wait()
        before = {job.id: job for job in await all_jobs(folder)}
        assert Counter(job.state for job in before.values())[JobState.SUCCEEDED] < JOBS
        async with near_server(folder, proxy.url, JOBS - len(before)) as second:
            assert json.loads((await said(second))[-1]) == {"succeeded": JOBS}

        mine, theirs = await all_jobs(folder), await far.queue.jobs(Caller(), limit=1000)
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


async def test_a_server_that_is_killed_on_the_way_to_a_paid_place_does_not_pay_twice(
    tmp_path: Path,
) -> None:
    async with open_place() as place:
        place.gate = anyio.Event()
        async with near_server(tmp_path, place.base, 1, "paid") as first:
            await place.until(lambda p: p.count("submit") == 1)
            first.kill()
            await first.wait()
        place.gate.set()
        async with near_server(tmp_path, place.base, 0, "paid") as second:
            assert json.loads((await said(second))[-1]) == {"failed": 1}

        assert place.count("submit") == 1
    (job,) = await all_jobs(tmp_path)
    assert job.failure is not None and job.failure.code == "maybe_spent"


@asynccontextmanager
async def queue_at(folder: Path, place: Place) -> AsyncIterator[Queue]:
    """Run a queue whose jobs go to a place that must be paid."""
    lines = near.PLACE | {"url": place.base, "poll_first_seconds": 0.01}
    fal = Fal(configuration(Instance("far", lines)), None, folder / "far")
    media = MediaStore(folder / "media")
    async with Queue(Settings(data_dir=folder), {"far": fal}, media, lambda _: near.MODEL) as queue:
        yield queue
    await fal.aclose()


async def test_a_server_that_leaves_takes_its_requests_up_when_it_is_back(tmp_path: Path) -> None:
    async with open_place() as place:
        place.state = "IN_PROGRESS"
        async with queue_at(tmp_path, place) as queue:
            job = (await queue.submit(near.call(1))).job
            await place.until(lambda p: p.count("status") > 0)
        assert not place.only.cancelled
        place.only.state = "COMPLETED"
        async with queue_at(tmp_path, place) as queue:
            job = await queue.wait(job.id, near.ANN, 20)

        assert (job.state, job.attempt, len(job.assets)) == (JobState.SUCCEEDED, 2, 1)
        assert job.remote_id == place.only.id
        assert place.count("submit") == 1


async def test_a_job_that_is_cancelled_stops_its_request(tmp_path: Path) -> None:
    async with open_place() as place:
        place.state = "IN_PROGRESS"
        async with queue_at(tmp_path, place) as queue:
            job = (await queue.submit(near.call(1))).job
            await place.until(lambda p: p.count("status") > 0)
            job = await queue.cancel(job.id, near.ANN)

        assert job.state is JobState.CANCELLED
        assert place.only.cancelled

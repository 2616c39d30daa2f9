"""Two real processes on one data folder: killed, stopped and racing."""

import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from media_mcp.job import JobState

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("server_process.py")


class Server:
    def __init__(self, process):
        self.process = process
        self._text = TextReceiveStream(process.stdout)
        self._rest = ""

    async def started(self):
        """Return the next job that the process starts."""
        while "\n" not in self._rest:
            self._rest += await self._text.receive()
        line, _, self._rest = self._rest.partition("\n")
        return json.loads(line)

    async def kill(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def server(folder, mode, count):
    command = [sys.executable, str(SCRIPT), str(folder), mode, str(count)]
    async with await anyio.open_process(command, stdin=subprocess.PIPE, stderr=None) as process:
        try:
            yield Server(process)
        finally:
            if process.returncode is None:
                process.kill()


async def test_the_next_start_finishes_the_job_of_a_killed_server(house, ann):
    async with server(house.folder, "hang", 1) as other:
        started = await other.started()
        await other.kill()
    backend = house.backend()
    async with house.queue(backend) as queue:
        job = await queue.wait(started["job"], ann, 20)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert backend.runs[0].remote_id == f"remote {job.id}"
    assert list((house.folder / "work").iterdir()) == []


async def test_the_survivor_finishes_the_job_of_a_killed_server(house, ann):
    backend = house.backend()
    async with house.queue(backend) as queue, server(house.folder, "hang", 1) as other:
        started = await other.started()
        with anyio.move_on_after(0):
            await queue.wait(started["job"], ann, 0)
        assert (await queue.get(started["job"], ann)).state is JobState.RUNNING
        await other.kill()
        job = await queue.wait(started["job"], ann, 20)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


async def test_a_server_that_is_stopped_hands_its_job_over(house, ann):
    backend = house.backend()
    async with house.queue(backend) as queue, server(house.folder, "hang", 1) as other:
        started = await other.started()
        await other.process.stdin.aclose()
        job = await queue.wait(started["job"], ann, 20)
        assert await other.process.wait() == 0
        events = [event.message for event in await queue.events(job.id, ann)]
    assert job.state is JobState.SUCCEEDED
    assert "queued again: the server that ran it was stopped" in events


async def test_a_job_of_another_process_is_followed_and_cancelled(house, ann):
    told = []

    async def on_event(job):
        told.append(job.step)
        if job.step == 3:
            seen.set()

    seen = anyio.Event()
    async with house.queue() as queue, server(house.folder, "hang", 1) as other:
        started = await other.started()
        async with anyio.create_task_group() as group:
            group.start_soon(queue.wait, started["job"], ann, 20, on_event)
            if (await queue.get(started["job"], ann)).step != 3:
                await seen.wait()
            job = await queue.cancel(started["job"], ann)
    assert (job.state, job.step) == (JobState.CANCELLED, 3)


async def test_two_servers_never_run_a_job_twice(house, tools, ann):
    backend = house.backend()
    count = 25
    async with house.queue(backend) as queue, server(house.folder, "work", count) as other:
        theirs = await other.started()
        mine = [(await queue.submit(tools.call(f"mine {n}"))).job.id for n in range(count)]
        for job_id in mine:
            job = await queue.wait(job_id, ann, 30)
            assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        jobs = await queue.jobs(ann, limit=100)
        for job in jobs:
            job = await queue.wait(job.id, ann, 30)
            assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        events = {job.id: await queue.events(job.id, ann) for job in jobs}
    assert theirs["attempt"] == 1
    assert len(jobs) >= count
    for told in events.values():
        assert len([event for event in told if event.message.startswith("running")]) == 1

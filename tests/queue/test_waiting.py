"""Waiting for a job: how long, what is told meanwhile, and who wakes whom."""

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Report
from media_mcp.job import JobState

pytestmark = pytest.mark.anyio


async def test_waiting_ends_after_its_seconds_with_the_job_as_it_is(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await backend.started()
        for seconds in (0, 0.01):
            job = await queue.wait(submitted.job.id, ann, seconds)
            assert job.state is JobState.RUNNING


async def test_a_job_that_has_ended_is_returned_at_once_however_short_the_wait(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
        job = await queue.wait(submitted.job.id, ann, 0)
        assert job.state is JobState.SUCCEEDED


async def test_many_wait_for_one_job_and_all_are_woken(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    ended = []
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())

        async def wait():
            ended.append(await queue.wait(submitted.job.id, ann, 10))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(wait)
            await backend.started()
            gate.set()
    assert [job.state for job in ended] == [JobState.SUCCEEDED] * 10


async def test_each_change_is_told_and_the_last_report_is_never_lost(house, tools, ann):
    backend = house.backend()

    async def steps(run):
        for step in range(1, 51):
            await run.report(Report("progress", step, 50, f"step {step}"))

    backend.script = steps
    told = []

    async def on_event(job):
        told.append((job.state, job.step))

    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10, on_event)
        events = await queue.events(job.id, ann)
    progress = [event.step for event in events if event.kind == "progress"]
    assert (job.step, job.total, job.message) == (50, 50, "step 50")
    assert progress[-1] == 50
    assert len(progress) < 10
    assert told[-1] == (JobState.SUCCEEDED, 50)


async def test_the_first_report_is_told_at_once_and_log_lines_are_all_kept(house, tools, ann):
    backend = house.backend()
    heard = anyio.Event()

    async def steps(run):
        await run.report(Report("progress", 1, 9))
        await heard.wait()
        for n in range(5):
            await run.report(Report("log", message=f"line {n}"))
            await run.report(Report("progress", n + 2, 9))

    async def on_event(job):
        if job.step == 1:
            heard.set()

    backend.script = steps
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10, on_event)
        events = await queue.events(job.id, ann, after=2)
    assert [e.message for e in events if e.kind == "log"] == [f"line {n}" for n in range(5)]
    assert (job.step, job.message) == (6, "line 4")


async def test_while_a_listener_is_busy_only_the_latest_change_is_kept(house, tools, ann):
    backend = house.backend()
    first_told, go_on = anyio.Event(), anyio.Event()
    busy, told = [], []

    async def on_event(job):
        busy.append(job)
        assert len(busy) == 1
        told.append(job.state)
        first_told.set()
        await go_on.wait()
        busy.pop()

    gate = anyio.Event()
    backend.script = lambda run: tools.gone(gate)
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call("first"))
        await backend.started()
        second = await queue.submit(tools.call("second"))
        ended = anyio.Event()
        queue.subscribe(
            lambda job: ended.set() if job.id == second.job.id and job.state.terminal else None
        )

        async with anyio.create_task_group() as group:
            group.start_soon(queue.wait, second.job.id, ann, 10, on_event)
            gate.set()
            await first_told.wait()
            await ended.wait()
            go_on.set()
        assert (await queue.get(submitted.job.id, ann)).state is JobState.SUCCEEDED
    assert told == [JobState.RUNNING, JobState.SUCCEEDED]


async def test_a_remote_id_is_on_disk_when_the_report_returns(house, tools, ann):
    backend = house.backend()
    async with house.queue(backend) as queue:

        async def script(run):
            await run.report(Report("progress", 1, 2))
            await run.report(Report("remote", message="req-1"))
            job = await queue.get(run.job_id, ann)
            assert job.remote_id == "req-1"

        backend.script = script
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        events = await queue.events(job.id, ann)
    assert (job.state, job.remote_id) == (JobState.SUCCEEDED, "req-1")
    assert [event.message for event in events if event.kind == "remote"] == ["req-1"]


async def test_a_chatty_backend_keeps_its_last_lines(house, tools, ann):
    backend = house.backend()

    async def chat(run):
        for n in range(1000):
            await run.report(Report("log", message=f"line {n} " + "x" * 5000))
        await run.report(Report("log", message="half a pair \ud800"))

    backend.script = chat
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        events = [e for e in await queue.events(job.id, ann) if e.kind == "log"]
    assert job.message == "half a pair ?"
    assert 256 <= len(events) < 1000
    assert max(len(event.message) for event in events) == 2000


async def test_nobody_waits_for_a_job_of_somebody_else(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        theirs = await queue.submit(tools.call(owner="bob"))
        with pytest.raises(errors.NotFound):
            await queue.wait(theirs.job.id, ann, 10)

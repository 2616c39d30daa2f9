"""What a job looks like without a look into the store, and how soon a cancel answers."""

from __future__ import annotations

import anyio
import pytest

from media_mcp.errors import WorkerDied
from media_mcp.job import Caller, JobState
from media_mcp.queue import news

pytestmark = pytest.mark.anyio


async def test_a_job_is_seen_as_it_was_last_told_by_its_caller_alone(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        job_id = (await queue.submit(tools.call())).job.id
        assert queue.peek(job_id, ann).state is JobState.QUEUED
        await backend.started()
        assert queue.peek(job_id, ann).state is JobState.RUNNING
        assert queue.peek(job_id, Caller("eve")) is None
        assert queue.peek("0" * 18, ann) is None
        await queue.cancel(job_id, ann)
        assert queue.peek(job_id, ann).state is JobState.CANCELLED


async def test_a_job_of_long_ago_is_no_longer_at_hand(house, tools, ann, monkeypatch):
    monkeypatch.setattr(news, "REMEMBERED", 1)
    async with house.queue(house.backend()) as queue:
        first, second = [(await queue.submit(tools.call(p))).job.id for p in "ab"]
        for job_id in (first, second):
            await queue.wait(job_id, ann, 10)
        last = await queue.submit(tools.call("c"))
        await queue.wait(last.job.id, ann, 10)
        assert queue.peek(first, ann) is None
        assert (await queue.get(first, ann)).state is JobState.SUCCEEDED


async def test_what_another_server_does_is_seen_by_who_peeks(house, tools, ann):
    done = anyio.Event()
    backend = house.backend(script=lambda run: done.wait())
    async with house.queue(backend) as busy, house.queue() as idle:
        job_id = (await busy.submit(tools.call())).job.id
        await backend.started()
        with anyio.fail_after(10):
            while idle.peek(job_id, ann) is None:
                await idle.wait(job_id, ann, 0.05)
            assert idle.peek(job_id, ann).state is JobState.RUNNING
            done.set()
            while not idle.peek(job_id, ann).state.terminal:
                await anyio.lowlevel.checkpoint()


async def test_a_cancel_need_not_wait_for_the_backend(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        job_id = (await queue.submit(tools.call())).job.id
        await backend.started()
        asked = await queue.cancel(job_id, ann, seconds=0)
        assert asked.state is JobState.RUNNING
        assert (await queue.wait(job_id, ann, 10)).state is JobState.CANCELLED


async def test_a_job_that_may_run_once_is_not_tried_again(house, tools, ann):
    def dies(run):
        raise WorkerDied("It died.", "Look.")

    async with house.queue(house.backend(script=dies)) as queue:
        job_id = (await queue.submit(tools.call(once=True))).job.id
        job = await queue.wait(job_id, ann, 10)
        assert (job.state, job.attempt, job.failure.code) == (JobState.FAILED, 1, "worker_died")


async def test_nor_after_its_server_died(shelf, store):
    await shelf.claimed(await shelf.open("victim"), once=True)
    (job,) = await store.recover(lambda instance: True, 3)
    assert (job.state, job.once) == (JobState.LOST, True)
    assert await store.get(job.id) == job

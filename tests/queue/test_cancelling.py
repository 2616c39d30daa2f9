"""Cancel, in every state that a job can be in."""

import anyio
import pytest

from media_mcp import errors
from media_mcp.job import JobState
from media_mcp.media import MediaStore
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def test_a_queued_job_is_cancelled_at_once_and_never_runs(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    async with house.queue(backend) as queue:
        first = await queue.submit(tools.call("first"))
        await backend.started()
        second = await queue.submit(tools.call("second"))
        heard = []
        queue.subscribe(heard.append)
        job = await queue.cancel(second.job.id, ann, "changed my mind")
        events = await queue.events(job.id, ann)
        spend = await queue.books.spend(ann)
        gate.set()
        await queue.wait(first.job.id, ann, 10)
    assert (job.state, job.message) == (JobState.CANCELLED, "changed my mind")
    assert job.ended_at is not None
    assert events[-1].message == "cancelled: changed my mind"
    assert heard[0].state is JobState.CANCELLED
    assert spend["reserved"] == 0.5
    assert [run.arguments["prompt"] for run in backend.runs] == ["first"]


async def test_a_running_job_is_stopped_and_then_cancelled(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        run = await backend.started()
        job = await queue.cancel(submitted.job.id, ann)
        events = await queue.events(job.id, ann)
    assert backend.cancelled == [run]
    assert (job.state, job.message) == (JobState.CANCELLED, "cancelled by the caller")
    assert job.failure is None
    assert [event.message for event in events[-2:]] == [
        "Asked to stop: cancelled by the caller",
        "cancelled: cancelled by the caller",
    ]
    assert not run.folder.exists()


async def test_cancelling_twice_is_cancelling_once(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await backend.started()
        async with anyio.create_task_group() as group:
            group.start_soon(queue.cancel, submitted.job.id, ann)
            group.start_soon(queue.cancel, submitted.job.id, ann)
        events = await queue.events(submitted.job.id, ann)
    assert [event.message for event in events].count("cancelled: cancelled by the caller") == 1
    assert len([event for event in events if event.message.startswith("Asked")]) == 1


async def test_a_job_that_has_ended_is_returned_as_it_is(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call())
        done = await queue.wait(submitted.job.id, ann, 10)
        assert await queue.cancel(submitted.job.id, ann) == done
    assert done.state is JobState.SUCCEEDED


async def test_the_slot_of_a_cancelled_job_is_free_again(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call("first"))
        await backend.started()
        await queue.cancel(submitted.job.id, ann)
        backend.script = None
        second = await queue.submit(tools.call("second"))
        assert (await queue.wait(second.job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_backend_that_fails_while_it_is_stopped_leaves_the_job_cancelled(house, tools, ann):
    backend = house.backend()

    async def dies(run):
        try:
            await anyio.sleep_forever()
        finally:
            raise errors.WorkerDied("The worker was killed.")

    backend.script = dies
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await backend.started()
        job = await queue.cancel(submitted.job.id, ann)
    assert (job.state, job.failure, job.attempt) == (JobState.CANCELLED, None, 1)


async def test_a_result_that_is_there_already_wins_over_a_cancel(house, tools, ann):
    storing, go_on = anyio.Event(), anyio.Event()

    class SlowMedia(MediaStore):
        async def draft(self, *args, **facts):
            storing.set()
            await go_on.wait()
            return await super().draft(*args, **facts)

    media = SlowMedia(house.folder / "media")
    async with house.queue(house.backend(), media=media) as queue:
        submitted = await queue.submit(tools.call())
        await storing.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(queue.cancel, submitted.job.id, ann)
            while not (await queue.events(submitted.job.id, ann))[-1].message.startswith("Asked"):
                await anyio.lowlevel.checkpoint()
            go_on.set()
        job = await queue.get(submitted.job.id, ann)
    assert job.state is JobState.SUCCEEDED


async def test_a_cancel_between_claim_and_start_is_not_missed(house, tools, ann):
    """The row is claimed in a thread; the attempt starts a moment later, on the event loop."""
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        for n in range(20):
            submitted = await queue.submit(tools.call(f"{n}"))
            job = await queue.cancel(submitted.job.id, ann)
            assert job.state is JobState.CANCELLED


async def test_a_stop_that_comes_before_the_attempt_is_kept_for_it(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    store = SqliteStore(house.folder / "jobs.sqlite", this_instance())
    async with house.queue(backend, store=store) as queue:
        call = tools.call()
        job = call.job(call.model.routes[0], 1, "", None, 1.0)
        await store.add(job, (), None)
        queue._dispatcher.stop(job.id, "early")
        queue._dispatcher.ring("local")
        job = await queue.wait(job.id, ann, 10)
    assert (job.state, job.message) == (JobState.CANCELLED, "early")


async def test_a_retry_that_was_cancelled_meanwhile_is_not_queued_again(house, tools, ann):
    backend = house.backend()
    asked = anyio.Event()

    async def stubborn(run):
        with anyio.CancelScope(shield=True):
            await asked.wait()
        raise errors.WorkerDied("The worker crashed.")

    backend.script = stubborn
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await backend.started()
        async with anyio.create_task_group() as group:
            group.start_soon(queue.cancel, submitted.job.id, ann)
            while not (await queue.events(submitted.job.id, ann))[-1].message.startswith("Asked"):
                await anyio.lowlevel.checkpoint()
            asked.set()
        job = await queue.get(submitted.job.id, ann)
    assert job.state is JobState.CANCELLED
    assert len(backend.runs) == 1


async def test_a_job_of_nobody_or_of_somebody_else_cannot_be_cancelled(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        theirs = await queue.submit(tools.call(owner="bob"))
        for job_id in (theirs.job.id, "0" * 18, "", "\ud800", "x" * 10_000):
            with pytest.raises(errors.NotFound, match="There is no job"):
                await queue.cancel(job_id, ann)

"""A queue that is full takes no more: it says how many wait, and when there will be room."""

import anyio
import pytest

from media_mcp.errors import QueueFull, WorkerDied
from media_mcp.job import JobState
from media_mcp.queue.forecast import words

pytestmark = pytest.mark.anyio


@pytest.fixture
def busy(house, tools):
    """A backend of one slot that holds every job until the test opens the gate."""
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    backend.gate = gate
    return backend


async def filled(queue, tools, busy, count, **more):
    """Have one job run and so many wait; return all of them."""
    first = await queue.submit(tools.call("runs"))
    await busy.started()
    return [first, *[await queue.submit(tools.call(f"{n}", **more)) for n in range(count)]]


async def test_one_more_is_refused_and_nothing_of_it_is_written(house, tools, ann, busy):
    async with house.queue(busy, max_queued=3) as queue:
        jobs = await filled(queue, tools, busy, 3)
        before = await queue.books.spend(ann)
        with pytest.raises(QueueFull) as caught:
            await queue.submit(tools.call("too many"))
        assert caught.value.message.startswith("3 jobs wait, and no more may (max_queued = 3).")
        assert "Nobody knows for how long" in caught.value.message
        assert caught.value.hint == "Try again later, or cancel some of yours."
        assert len(await queue.jobs(ann)) == 4
        assert await queue.books.spend(ann) == before
        await queue.cancel(jobs[-1].job.id, ann)
        assert (await queue.submit(tools.call("fits"))).ahead == 2


async def test_a_call_that_joins_a_job_is_not_refused(house, tools, busy):
    async with house.queue(busy, max_queued=1) as queue:
        (_, waits) = await filled(queue, tools, busy, 1)
        again = await queue.submit(tools.call("0"))
        assert (again.joined, again.job.id) == (True, waits.job.id)


async def test_a_full_queue_does_not_refuse_what_can_start_at_once(house, tools, ann, busy):
    free = house.backend(name="free")
    async with house.queue(busy, free, max_queued=1) as queue:
        await filled(queue, tools, busy, 1)
        job = (await queue.submit(tools.call("goes", of=tools.model("song", "free")))).job
        assert (await queue.wait(job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_jobs_that_are_tried_again_find_a_place_whatever_waits(house, tools, ann):
    backend = house.backend()
    gate = anyio.Event()

    async def fail_once(run):
        await gate.wait()
        if run.attempt == 1 and run.arguments["prompt"] == "runs":
            raise WorkerDied("The worker crashed.")

    backend.script = fail_once
    async with house.queue(backend, max_queued=1) as queue:
        jobs = await filled(queue, tools, backend, 1)
        gate.set()
        ended = [await queue.wait(one.job.id, ann, 10) for one in jobs]
    assert [(job.state, job.attempt) for job in ended] == [("succeeded", 2), ("succeeded", 1)]


async def test_one_caller_alone_leaves_places_for_others(house, tools, busy):
    async with house.queue(busy, max_queued=20) as queue:
        await filled(queue, tools, busy, 18)
        with pytest.raises(QueueFull) as caught:
            await queue.submit(tools.call("too many"))
        assert caught.value.message.startswith(
            "18 jobs wait, 18 of them yours; the places that are left are for other callers "
            "(max_queued = 20)."
        )
        assert (await queue.submit(tools.call("bob's", owner="bob"))).ahead <= 1


async def test_a_backend_can_have_a_bound_of_its_own(house, tools, busy):
    other = house.backend(name="other", script=busy.script)
    rules = {"local": {"max_queued": 1}}
    async with house.queue(busy, other, backends=rules) as queue:
        await filled(queue, tools, busy, 1)
        with pytest.raises(QueueFull, match=r"1 jobs wait for local, and no more may \(backends"):
            await queue.submit(tools.call("too many"))
        for n in range(3):
            await queue.submit(tools.call(f"{n}", of=tools.model("song", "other")))


async def test_it_says_when_there_will_be_room_from_what_jobs_took_of_late(house, tools, ann):
    now = [1_800_000_000.0]
    gate = anyio.Event()
    backend = house.backend()

    async def takes_ten_seconds(run):
        now[0] += 10

    backend.script = takes_ten_seconds
    async with house.queue(backend, clock=lambda: now[0], max_queued=6) as queue:
        done = await queue.submit(tools.call("done"))
        await queue.wait(done.job.id, ann, 10)
        await backend.started()
        backend.script = lambda run: tools.gone(gate)
        await filled(queue, tools, backend, 5)
        await queue.submit(tools.call("bob's", owner="bob"))
        with pytest.raises(QueueFull) as caught:
            await queue.submit(tools.call("too many", owner="bob"))
    assert "A place should be free in about 10 s, all of them in about 60 s." in str(caught.value)
    assert caught.value.retry_after == 10
    assert caught.value.hint == "Try again then, or cancel some of yours."


def test_times_are_told_as_people_tell_them():
    told = {words(seconds) for seconds in (0.2, 12.1, 99, 300, 5999, 12_600)}
    assert told == {"1 s", "13 s", "99 s", "5 min", "100 min", "3.5 h"}

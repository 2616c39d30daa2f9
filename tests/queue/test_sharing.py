"""Several queues on one data folder, in one process: each has its own connection and instance."""

import sqlite3
from contextlib import closing

import anyio
import pytest

from media_mcp.backends.base import Report
from media_mcp.job import JobState
from media_mcp.queue.liveness import this_host
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Instance
from support import first_claim

pytestmark = pytest.mark.anyio

NOBODY = 2**22 + 1  # beyond the largest pid that Linux gives


def store_of_dead_process(house, clock):
    return SqliteStore(
        house.folder / "jobs.sqlite", Instance("dead", NOBODY, this_host(), ""), clock=clock
    )


async def test_two_queues_share_the_work_and_no_job_runs_twice(house, tools, ann):
    backends = [house.backend(), house.backend()]
    gate = anyio.Event()
    for backend in backends:
        backend.script = lambda run: tools.gone(gate)
    async with house.queue(backends[0]) as one, house.queue(backends[1]) as two:
        first = [await one.submit(tools.call(f"{n}")) for n in range(20)]
        await backends[0].started()
        await two.submit(tools.call("a call at the other door"))
        await backends[1].started()
        gate.set()
        for submitted in first:
            job = await two.wait(submitted.job.id, ann, 20)
            assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    ran = [run.job_id for backend in backends for run in backend.runs]
    assert len(ran) == len(set(ran)) == 21
    assert all(backend.runs for backend in backends)


async def test_a_call_joins_the_job_that_another_queue_runs(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    async with house.queue(backend) as one, house.queue() as two:
        first = await one.submit(tools.call())
        await backend.started()
        two._backends = {"local": backend}
        second = await two.submit(tools.call())
        assert (second.joined, second.job.id) == (True, first.job.id)
        gate.set()
        assert (await two.wait(second.job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_new_job_is_told_of_those_that_wait_at_another_queue(house, tools):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    async with house.queue(backend) as one, house.queue() as two:
        first = await one.submit(tools.call("runs"))
        await backend.started()
        two._router._backends = {"local": backend}
        asked = [await queue.submit(tools.call(f"{n}")) for n, queue in enumerate([one, one, two])]
        hasty = await two.submit(tools.call("hasty", priority=1))
        assert [first.ahead, *(submitted.ahead for submitted in asked), hasty.ahead] == [
            *(0, 0, 1, 2),
            0,
        ]
        gate.set()


async def test_who_waits_at_one_queue_hears_what_another_does(house, tools, ann):
    backend = house.backend()
    heard = anyio.Event()
    told, states = [], []

    async def script(run):
        await run.report(Report("progress", 3, 9, "step 3"))
        await heard.wait()

    async def on_event(job):
        told.append(job.step)
        if job.step == 3:
            heard.set()

    backend.script = script
    async with house.queue(backend) as one, house.queue() as two:
        two.subscribe(lambda job: states.append(job.state))
        submitted = await one.submit(tools.call())
        job = await two.wait(submitted.job.id, ann, 10, on_event)
    assert job.state is JobState.SUCCEEDED
    assert job.assets
    assert 3 in told
    assert states[-1] is JobState.SUCCEEDED


async def test_a_job_that_another_queue_runs_can_be_cancelled(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as one, house.queue() as two:
        submitted = await one.submit(tools.call())
        run = await backend.started()
        job = await two.cancel(submitted.job.id, ann, "from the other door")
    assert (job.state, job.message) == (JobState.CANCELLED, "from the other door")
    assert backend.cancelled == [run]


async def test_a_queue_that_leaves_hands_its_jobs_to_the_other(house, tools, ann):
    stuck = house.backend(script=lambda run: anyio.sleep_forever())
    free = house.backend()
    async with house.queue(free) as two:
        async with house.queue(stuck) as one:
            submitted = await one.submit(tools.call(of=tools.model("poem")))
            await stuck.started()
        job = await two.wait(submitted.job.id, ann, 10)
    assert job.state is JobState.SUCCEEDED


@pytest.fixture
def wall():
    """A clock that the test moves."""
    return [1_800_000_000.0]


async def leave_running(house, tools, clock, **facts):
    """Leave a job in the store as a process that was killed leaves it: claimed, and no more."""
    store = store_of_dead_process(house, clock)
    await store.open()
    call = tools.call(**facts)
    job = call.job(call.model.routes[0], 7, "", 0.5, clock())
    await store.add(job, (), call.join())
    claim = await first_claim(store, "local", frozenset(), 0.0)
    await store.report(claim, [Report("progress", 4, 20), Report("remote", message="req-9")])
    await store.aclose()
    return job.id


async def test_the_next_start_finishes_what_a_killed_process_left(house, tools, ann, wall):
    job_id = await leave_running(house, tools, lambda: wall[0])
    left = house.folder / "work" / f"{job_id}-1"
    left.mkdir(parents=True)
    backend = house.backend()
    async with house.queue(backend, clock=lambda: wall[0]) as queue:
        job = await queue.wait(job_id, ann, 10)
        events = await queue.events(job_id, ann)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert backend.runs[0].remote_id == "req-9"
    assert backend.runs[0].seed == 7
    assert not left.exists()
    assert "queued again: the server that ran it died (its request there is taken up)" in [
        event.message for event in events
    ]


async def test_when_no_attempt_is_left_the_job_is_lost_with_what_is_known(house, tools, ann, wall):
    job_id = await leave_running(house, tools, lambda: wall[0])
    with closing(sqlite3.connect(house.folder / "jobs.sqlite")) as db, db:
        db.execute("UPDATE jobs SET attempt = 20")  # it was taken up as often as may be
    backend = house.backend()
    async with house.queue(backend, attempts=1, clock=lambda: wall[0]) as queue:
        job = await queue.get(job_id, ann)
        spend = await queue.books.spend(ann)
        again = await queue.submit(tools.call())
    assert job.state is JobState.LOST
    assert job.failure.code == "lost"
    assert job.failure.message == (
        "The server that ran it on local died at step 4 of 20, in attempt 1 of 1. "
        "Its id at the backend is req-9."
    )
    assert job.ended_at is not None
    assert spend["reserved"] == 0.0
    assert not again.joined


async def test_a_job_whose_cancel_the_dead_process_did_not_live_to_see_is_cancelled(
    house, tools, ann, wall
):
    job_id = await leave_running(house, tools, lambda: wall[0])
    store = store_of_dead_process(house, lambda: wall[0])
    await store.open()
    await store.cancel(job_id, "ann", "too slow")
    await store.aclose()
    async with house.queue(house.backend(), clock=lambda: wall[0]) as queue:
        job = await queue.get(job_id, ann)
    assert (job.state, job.message) == (JobState.CANCELLED, "too slow")


async def test_a_start_removes_the_work_folders_of_attempts_that_are_over(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend()
    async with house.queue(backend) as one:
        done = await one.submit(tools.call("done"))
        await one.wait(done.job.id, ann, 10)
        backend.script = lambda run: tools.gone(gate)
        await one.submit(tools.call("running"))
        running = None
        while running is None or running.job_id == done.job.id:
            running = await backend.started()
        over = running.folder.with_name(f"{done.job.id}-1")
        unknown = running.folder.with_name("somebody-elses")
        for folder in (over, unknown):
            folder.mkdir()
        async with house.queue():
            assert not over.exists()
            assert unknown.exists()
            assert running.folder.exists()
        gate.set()


async def test_after_a_suspend_the_others_may_beat_before_they_count_as_dead(
    house, tools, ann, wall
):
    backend = house.backend()
    async with house.queue(backend, clock=lambda: wall[0]) as queue:
        job_id = await leave_running(house, tools, lambda: wall[0])
        wall[0] += 3600
        await queue._watch.beat()
        assert (await queue.get(job_id, ann)).state is JobState.RUNNING
        await queue._watch.beat()
        assert (await queue.wait(job_id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_queue_that_was_taken_for_dead_cannot_write_and_drops_the_job(
    house, tools, ann, wall, caplog, monkeypatch
):
    """The first queue's heartbeat is old for the second one, which takes its job over."""
    monkeypatch.setattr("media_mcp.queue.watch.STALE_SECONDS", 0.0)  # at once
    first, second = house.backend(), house.backend()
    gate = anyio.Event()
    first.script = lambda run: tools.gone(gate)
    async with house.queue(first, clock=lambda: wall[0]) as one:
        submitted = await one.submit(tools.call())
        await first.started()
        wall[0] += 16
        async with house.queue(second, clock=lambda: wall[0]) as two:
            job = await two.wait(submitted.job.id, ann, 10)
            gate.set()
            assert (await one.wait(job.id, ann, 10)).attempt == 2
        later = await one.submit(tools.call("later"))
        assert (await one.wait(later.job.id, ann, 10)).state is JobState.SUCCEEDED
        events = await one.events(job.id, ann)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert [event.message for event in events].count("succeeded") == 1
    assert events[-1].message == "succeeded"


async def test_a_report_of_an_attempt_that_lost_its_claim_stops_it(house, tools, ann, wall):
    first = house.backend()
    gate = anyio.Event()

    async def script(run):
        await gate.wait()
        await run.report(Report("remote", message="too late"))
        await anyio.sleep_forever()

    first.script = script
    async with house.queue(first, clock=lambda: wall[0]) as one:
        submitted = await one.submit(tools.call())
        run = await first.started()
        thief = SqliteStore(
            house.folder / "jobs.sqlite", Instance("thief", NOBODY, "elsewhere", "")
        )
        await thief.open()
        (job,) = await thief.recover(lambda other: True, 3)
        assert job.state is JobState.QUEUED
        await first_claim(thief, "local", frozenset(), 0.0)
        gate.set()
        assert await first.stopped() is run
        held = await one.get(submitted.job.id, ann)
        await thief.aclose()
    assert (held.attempt, held.remote_id) == (2, None)

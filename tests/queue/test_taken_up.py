"""Requests at a place outlive servers: they are taken up as often as those die, or stopped."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from media_mcp.backends.base import Report
from media_mcp.errors import BackendFailed, MaybeSpent
from media_mcp.job import JobState
from media_mcp.queue.sqlite.writes import TAKEN_UP
from media_mcp.queue.store import ANY
from media_mcp.queue.strays import Strays
from stores import START

pytestmark = pytest.mark.anyio
ATTEMPTS = 3


def of(name):
    return lambda instance: instance.id == name


async def test_a_request_that_is_known_is_taken_up_however_often_servers_die(shelf, store):
    claim = await shelf.claimed(store)
    await store.report(claim, [Report("remote", message="r1")])
    died = 1
    for number in range(2, 10):
        other = await shelf.open(f"server {number}")
        (job,) = await other.recover(of("one" if number == 2 else f"server {number - 1}"), ATTEMPTS)
        assert (job.state, job.remote_id) == (JobState.QUEUED, "r1")
        assert "its request there is taken up" in job.message
        (claim,) = await other.claim(job.route.backend, ANY)
        died += 1
    assert (claim.job.attempt, claim.spent) == (died, 0)


async def test_what_kills_one_server_after_the_other_ends_as_lost_in_the_end(shelf, store):
    claim = await shelf.claimed(store)
    await store.report(claim, [Report("remote", message="r1")])
    name, died, state = "one", 0, JobState.RUNNING
    while state is not JobState.LOST:
        died += 1
        other = await shelf.open(f"server {died}")
        (job,) = await other.recover(of(name), ATTEMPTS)
        name, state = f"server {died}", job.state
        if state is JobState.QUEUED:
            await other.claim(job.route.backend, ANY)
    assert died == TAKEN_UP - 1 + ATTEMPTS
    assert "Its id at the backend is r1." in job.failure.message
    assert await other.unbalanced() == []


async def test_one_that_is_to_run_once_is_taken_up_where_its_request_is_known(shelf, store):
    claim = await shelf.claimed(store, once=True)
    await store.report(claim, [Report("remote", message="r1")])
    other = await shelf.open("two")
    (job,) = await other.recover(of("one"), ATTEMPTS)
    assert job.state is JobState.QUEUED


async def test_without_a_request_the_death_of_a_server_is_a_failed_attempt(shelf, store):
    await shelf.claimed(store)
    other = await shelf.open("two")
    (job,) = await other.recover(of("one"), 1)
    assert job.state is JobState.LOST


class Far:
    """Hears which requests are to be stopped."""

    def __init__(self, house, **facts):
        self.heard, self.told = anyio.Event(), []
        self.backend = house.backend(**facts)
        self.backend.stop = self.stop

    async def stop(self, model, route, remote_id):
        self.told.append((model.id, route.backend, remote_id))
        self.heard.set()


async def test_a_cancelled_job_whose_server_died_has_its_request_stopped_at_the_next_start(
    house, shelf, ann
):
    store = await shelf.open("one")
    claim = await shelf.claimed(store)
    await store.report(claim, [Report("remote", message="r1")])
    await store.cancel(claim.job.id, claim.job.caller.owner, "enough")
    far = Far(house)
    async with house.queue(far.backend, clock=lambda: START + 60) as queue:
        await far.heard.wait()
        job = await queue.get(claim.job.id, ann)
        spent = await queue.books.spend(ann)
    assert far.told == [("poem", "local", "r1")]
    assert (job.state, far.backend.runs) == (JobState.CANCELLED, [])
    assert (spent["cost"], spent["unsure"]) == (0.5, 0.5)


async def test_one_that_waits_to_be_taken_up_and_is_cancelled_has_its_request_stopped(
    house, tools, ann
):
    async def leave(run):
        if run.arguments["prompt"] == "second":
            await anyio.sleep_forever()
        await run.report(Report("remote", message="r1"))
        await gate.wait()
        raise MaybeSpent("The disk is full.", "Free some.", retryable=True)

    gate, far = anyio.Event(), Far(house, script=leave)
    async with house.queue(far.backend) as queue:
        first = (await queue.submit(tools.call("first"))).job
        await far.backend.started()
        await queue.submit(tools.call("second", priority=1))
        gate.set()
        await far.backend.started()
        job = await queue.cancel(first.id, ann)
        await far.heard.wait()
    assert (job.state, job.attempt) == (JobState.CANCELLED, 1)
    assert far.told == [("poem", "local", "r1")]


async def test_a_place_that_will_not_stop_a_request_holds_up_no_other(house, tools, ann, caplog):
    strays = Strays({"local": Deaf()}, house.model_of)
    job = tools.call().job(tools.model().routes[0], 1, "", 0.5, START)
    strays.add(replace(job, state=JobState.FAILED, remote_id="not this one"))
    for name in ("gone", "bug", "last"):
        strays.add(replace(job, state=JobState.CANCELLED, remote_id=name))
    async with anyio.create_task_group() as group:
        group.start_soon(strays.run)
        await Deaf.done.wait()
        group.cancel_scope.cancel()
    assert "may go on at its place: It is gone." in caplog.text
    assert "could not be stopped" in caplog.text and "not this one" not in caplog.text


class Deaf:
    """Fails as the id says, but for the last."""

    done = anyio.Event()

    async def stop(self, model, route, remote_id):
        if remote_id == "last":
            return Deaf.done.set()
        raise BackendFailed("It is gone.") if remote_id == "gone" else RuntimeError(remote_id)

"""Jobs that ask for the same in other words run as one, and each ends for itself."""

from dataclasses import dataclass, field

import anyio
import pytest

from media_mcp import errors
from media_mcp.job import JobState
from media_mcp.queue import lane

pytestmark = pytest.mark.anyio


@dataclass
class Together:
    """What a backend's script makes of batches: `most` at once; `met` are the jobs of each."""

    most: int = 4
    met: list = field(default_factory=list)

    def batch(self, model, route, arguments):
        return self.most


@pytest.fixture
def batching(house):
    """A backend that takes four at once, and holds the first job until the gate opens."""
    backend, facts = house.backend(), Together()
    backend.batch = facts.batch
    backend.gate = anyio.Event()
    backend.met = facts.met

    async def script(run):
        if run.together is not None:
            run.together.decide(run.job_id)
            await run.together.decided()
        jobs = run.together.jobs if run.together else frozenset([run.job_id])
        if jobs not in backend.met:
            backend.met.append(jobs)
        await backend.gate.wait()

    backend.script = script
    return backend


async def submitted(queue, tools, *prompts, **more):
    return [
        await queue.submit(tools.call(prompt, seed=n, **more)) for n, prompt in enumerate(prompts)
    ]


async def ended(queue, ann, jobs):
    return [(await queue.wait(one.job.id, ann, 20)).state for one in jobs]


async def test_what_waits_for_the_same_model_goes_as_one_as_far_as_it_takes(
    house, tools, ann, batching
):
    async with house.queue(batching) as queue:
        first = await queue.submit(tools.call("holds the slot"))
        await batching.started()
        rest = await submitted(queue, tools, *"abcdef")
        batching.gate.set()
        assert set(await ended(queue, ann, [first, *rest])) == {JobState.SUCCEEDED}
    ids = [one.job.id for one in rest]
    assert batching.met == [{first.job.id}, set(ids[:4]), set(ids[4:])]


async def test_only_prompts_and_seeds_may_differ(house, tools, ann, batching):
    async with house.queue(batching) as queue:
        await queue.submit(tools.call("holds the slot"))
        await batching.started()
        small = {"prompt": "a", "negative_prompt": "x", "width": 64}
        jobs = [
            await queue.submit(tools.call(arguments=small | change, **more))
            for change, more in [
                ({}, {}),
                ({"prompt": "b", "negative_prompt": "y", "seed": 3}, {}),
                ({"width": 128}, {}),
                ({}, {"of": tools.model("other")}),
                ({}, {"project": "films"}),
                ({"prompt": "c"}, {"priority": 1}),
            ]
        ]
        batching.gate.set()
        await ended(queue, ann, jobs)
    ids = [one.job.id for one in jobs]
    assert {frozenset(ids[:2])} == {jobs for jobs in batching.met if len(jobs) > 1}


async def test_what_failed_in_a_batch_is_tried_again_alone_lest_it_fell_another(
    house, tools, ann, batching
):
    usual = batching.script

    async def script(run):
        await usual(run)
        if run.arguments["prompt"] in "bc" and run.attempt == 1:
            raise errors.WorkerDied("The worker crashed.")

    batching.script = script
    async with house.queue(batching) as queue:
        await queue.submit(tools.call("holds the slot"))
        await batching.started()
        jobs = await submitted(queue, tools, *"abc")
        batching.gate.set()
        assert set(await ended(queue, ann, jobs)) == {JobState.SUCCEEDED}
        attempts = [(await queue.get(one.job.id, ann)).attempt for one in jobs]
    assert attempts == [1, 2, 2]
    again = [run for run in batching.runs if run.attempt == 2]
    assert [run.together for run in again] == [None, None]


async def test_a_job_of_a_batch_that_is_cancelled_leaves_the_others(house, tools, ann, batching):
    async with house.queue(batching) as queue:
        await queue.submit(tools.call("holds the slot"))
        await batching.started()
        jobs = await submitted(queue, tools, *"abc")
        batching.gate.set()
        batching.gate = anyio.Event()
        for _ in jobs:
            await batching.started()
        assert (await queue.cancel(jobs[1].job.id, ann)).state is JobState.CANCELLED
        batching.gate.set()
        states = await ended(queue, ann, jobs)
    assert states == [JobState.SUCCEEDED, JobState.CANCELLED, JobState.SUCCEEDED]


async def test_a_job_waits_a_moment_for_others_like_it_where_that_is_set(
    house, tools, ann, batching, monkeypatch
):
    """The wait lasts until the test says so: how long it is by the clock is the setting's."""
    over, asked = anyio.Event(), []

    async def sleep(seconds):
        asked.append(seconds)
        await over.wait()

    monkeypatch.setattr(lane, "sleep", sleep)
    batching.gate.set()
    async with house.queue(batching, batch_wait_ms=5) as queue:
        jobs = await submitted(queue, tools, *"ab")
        over.set()
        await ended(queue, ann, jobs)
    assert asked[0] == 0.005
    assert batching.met == [{one.job.id for one in jobs}]


async def test_a_backend_that_takes_one_at_a_time_gets_no_batch(house, tools, ann, batching):
    batching.batch = lambda model, route, arguments: 1
    async with house.queue(batching) as queue:
        await queue.submit(tools.call("holds the slot"))
        await batching.started()
        jobs = await submitted(queue, tools, *"ab")
        assert [one.job.batch for one in jobs] == [None, None]
        batching.gate.set()
        await ended(queue, ann, jobs)
    assert all(run.together is None for run in batching.runs)

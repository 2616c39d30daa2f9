"""When a call is a new job, and when it is one that is known already."""

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Readiness
from media_mcp.job import JobState

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gate():
    return anyio.Event()


@pytest.fixture
async def held(house, tools, gate):
    """A backend whose jobs run until the gate opens."""
    return house.backend(script=lambda run: tools.gone(gate))


async def test_the_same_call_joins_a_queued_or_running_job(house, tools, held, gate, ann):
    async with house.queue(held) as queue:
        first = await queue.submit(tools.call())
        at_once = await queue.submit(tools.call())
        await held.started()
        later = await queue.submit(tools.call(door="cli"))
        gate.set()
        await queue.wait(first.job.id, ann, 10)
    assert [s.joined for s in (first, at_once, later)] == [False, True, True]
    assert {s.job.id for s in (first, at_once, later)} == {first.job.id}
    assert later.job.state is JobState.RUNNING
    assert len(held.runs) == 1


async def test_the_order_of_arguments_does_not_matter(house, tools):
    backend = house.backend()
    async with house.queue(backend) as queue:
        first = await queue.submit(tools.call(arguments={"prompt": "a", "width": 64}))
        second = await queue.submit(tools.call(arguments={"width": 64, "prompt": "a"}))
    assert second.job.id == first.job.id


async def test_an_answer_that_never_arrived_is_joined_and_one_that_did_is_not(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        first = await queue.submit(tools.call())
        await queue.wait(first.job.id, ann, 10)
        again = await queue.submit(tools.call())
        await queue.mark_answered(first.job.id)
        new = await queue.submit(tools.call())
    assert (again.joined, again.job.id, again.job.state) == (True, first.job.id, "succeeded")
    assert again.job.assets
    assert (new.joined, new.job.id != first.job.id) == (False, True)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 7},
        {"prompt": "a blue boat"},
        {"owner": "bob"},
        {"project": "another"},
        {"fresh": True},
        {"backend": "local"},
        {"joinable": False},
        {"door": "queue"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_call_is_a_new_job(house, tools, held, gate, other):
    async with house.queue(held) as queue:
        first = await queue.submit(tools.call())
        second = await queue.submit(tools.call(**other))
        gate.set()
    assert second.joined is False
    assert second.job.id != first.job.id


async def test_the_same_call_to_the_same_backend_joins_and_to_another_does_not(
    house, tools, held, gate
):
    cloud = house.backend(name="cloud", script=lambda run: tools.gone(gate))
    model = tools.model("poem", "local", "cloud")
    async with house.queue(held, cloud) as queue:
        jobs = [
            (await queue.submit(tools.call(of=model, backend=backend))).job.id
            for backend in ("local", "cloud", None, "cloud", "local", None)
        ]
        gate.set()
    assert jobs[:3] == [jobs[4], jobs[3], jobs[5]]
    assert len(set(jobs)) == 3


async def test_a_key_that_comes_back_for_another_backend_is_refused(house, tools):
    async with house.queue(house.backend(), house.backend(name="cloud")) as queue:
        call = tools.call(of=tools.model("poem", "local", "cloud"), door="queue", key="k1")
        await queue.submit(call)
        with pytest.raises(errors.BadInput, match="was used for another request"):
            await queue.submit(tools.replace(call, backend="cloud"))


async def test_another_model_is_a_new_job(house, tools, held):
    async with house.queue(held) as queue:
        await queue.submit(tools.call())
        assert not (await queue.submit(tools.call(of=tools.model("song")))).joined


async def test_a_fresh_job_is_the_one_that_the_next_call_joins(house, tools, held):
    async with house.queue(held) as queue:
        await queue.submit(tools.call())
        fresh = await queue.submit(tools.call(fresh=True))
        assert (await queue.submit(tools.call())).job.id == fresh.job.id


async def test_a_failed_or_cancelled_job_is_not_joined(house, tools, ann):
    backend = house.backend()

    async def fail(run):
        raise errors.BackendFailed("No.")

    backend.script = fail
    async with house.queue(backend) as queue:
        failed = await queue.submit(tools.call())
        await queue.wait(failed.job.id, ann, 10)
        backend.script = lambda run: anyio.sleep_forever()
        second = await queue.submit(tools.call())
        await queue.cancel(second.job.id, ann)
        third = await queue.submit(tools.call())
    assert len({failed.job.id, second.job.id, third.job.id}) == 3


async def test_a_key_joins_whatever_became_of_the_job(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        first = await queue.submit(tools.call(door="queue", key="k1"))
        await queue.wait(first.job.id, ann, 10)
        await queue.mark_answered(first.job.id)
        again = await queue.submit(tools.call(door="queue", key="k1", fresh=True))
        other_key = await queue.submit(tools.call(door="queue", key="k2"))
        other_owner = await queue.submit(tools.call(door="queue", key="k1", owner="bob"))
    assert (again.joined, again.job.id) == (True, first.job.id)
    assert not other_key.joined
    assert not other_owner.joined


async def test_a_key_is_forgotten_after_a_day(house, tools, ann):
    now = [1_800_000_000.0]
    async with house.queue(house.backend(), clock=lambda: now[0]) as queue:
        first = await queue.submit(tools.call(door="queue", key="k1"))
        await queue.wait(first.job.id, ann, 10)
        now[0] += 24 * 3600 - 1
        assert (await queue.submit(tools.call(door="queue", key="k1"))).joined
        now[0] += 2
        assert not (await queue.submit(tools.call(door="queue", key="k1"))).joined


async def test_a_key_is_not_forgotten_while_its_job_is_under_way(house, tools):
    """The clock may jump, and a queue be long: the same key never runs beside itself."""
    now = [1_800_000_000.0]
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, clock=lambda: now[0]) as queue:
        first = await queue.submit(tools.call(door="queue", key="k1"))
        now[0] += 3 * 24 * 3600
        again = await queue.submit(tools.call(door="queue", key="k1"))
    assert again.joined and again.job.id == first.job.id


async def test_a_key_that_comes_back_with_another_request_is_refused(house, tools):
    async with house.queue(house.backend()) as queue:
        first = await queue.submit(tools.call("a red boat", door="queue", key="k1"))
        with pytest.raises(errors.BadInput) as caught:
            await queue.submit(tools.call("a blue boat", door="queue", key="k1"))
    assert caught.value.message == (
        f"This idempotency key was used for another request (job {first.job.id})."
    )
    assert "Send a new key" in caught.value.hint


async def test_a_key_may_hold_any_text(house, tools):
    async with house.queue(house.backend()) as queue:
        for key in ("\ud800", "é" * 5000, "'; DROP TABLE jobs; --", "\0"):
            first = await queue.submit(tools.call(door="queue", key=key))
            assert (await queue.submit(tools.call(door="queue", key=key))).job.id == first.job.id


async def test_a_job_can_be_joined_though_its_backend_is_no_longer_ready(house, tools, ann):
    backend = house.backend()
    async with house.queue(backend) as queue:
        first = await queue.submit(tools.call())
        await queue.wait(first.job.id, ann, 10)
        backend.ready = Readiness(False, "the GPU is gone", "Plug it in.")
        assert (await queue.submit(tools.call())).job.id == first.job.id
        with pytest.raises(errors.NotConfigured, match="the GPU is gone"):
            await queue.submit(tools.call("another"))

"""What a store writes of a second try: one transaction, and books that add up whatever follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media_mcp.backends.base import Report
from media_mcp.errors import OverBudget
from media_mcp.job import JobState
from media_mcp.queue.budget import Limit, Need
from media_mcp.queue.store import Again, Detour, Stale
from stores import ANN, SUCCEEDED

pytestmark = pytest.mark.anyio
LIMIT = Limit("usd", 1.0, "budget.usd")
SECOND = Again(7, Need(0.5, limits=(LIMIT,)), 0.25)


@pytest.fixture
async def claim(shelf, store):
    claim = await shelf.claimed(store)
    await store.report(claim, [Report("remote", message="first")])
    return claim


async def left(store):
    assert await store.unbalanced() == []
    return (await store.left([LIMIT]))["budget.usd"]


async def test_the_row_tells_of_the_second_try_from_then_on(store, claim):
    job = await store.again(claim, SECOND)
    assert (job.seed, job.cost, job.remote_id) == (7, 0.25, None)
    assert job == await store.get(job.id)
    assert await left(store) == 0.25


async def test_what_the_first_cost_is_what_was_set_aside_where_nobody_tells(store, claim):
    wide = replace(SECOND, need=Need(0.5), cost=None)
    assert (await store.again(claim, wide)).cost == 0.5
    assert await left(store) == 0.0


async def test_where_too_little_is_left_nothing_is_written(shelf, store, claim):
    await store.add(shelf.job("another"), (), None, need=Need(0.4))
    before = await store.get(claim.job.id)
    with pytest.raises(OverBudget, match=r"may cost \$0\.75, and \$0\.60 of budget\.usd"):
        await store.again(claim, SECOND)
    assert await store.get(claim.job.id) == before
    assert await left(store) == pytest.approx(0.1)


async def test_seconds_on_a_device_are_set_aside_on_top_of_those_that_passed(shelf, store):
    claim = await shelf.claimed(store, gpu_quoted=20.0)
    device = Limit("gpu_seconds", 60.0, "budget.gpu_seconds")
    await store.again(claim, Again(7, Need(0.0, 20.0, (device,)), 0.0, 15.0))
    assert await store.left([device]) == {"budget.gpu_seconds": 25.0}
    with pytest.raises(OverBudget):
        await store.again(claim, Again(7, Need(0.0, 30.0, (device,)), 0.0, 35.0))
    assert await store.unbalanced() == []


async def test_a_claim_that_was_taken_away_sets_nothing_aside(store, claim):
    await store.end(claim, SUCCEEDED)
    with pytest.raises(Stale):
        await store.again(claim, SECOND)
    assert await store.unbalanced() == []


async def test_a_server_that_dies_leaves_both_set_aside_for_the_next(shelf, store, claim):
    await store.again(claim, SECOND)
    other = await shelf.open("two")
    (queued,) = await other.recover(lambda instance: instance.id == "one", 3)
    assert (queued.state, queued.seed, queued.cost) == (JobState.QUEUED, 7, 0.25)
    assert await left(other) == 0.25
    (next_one,) = await other.claim("local")
    await other.end(next_one, replace(SUCCEEDED, cost=0.6))
    assert await left(other) == pytest.approx(0.4)


@pytest.mark.parametrize(("told", "counts"), [(None, 0.25), ("second", 0.75)])
async def test_lost_or_stopped_the_first_is_paid_and_the_second_if_it_was_sent(
    shelf, store, claim, told, counts
):
    await store.again(claim, SECOND)
    if told:
        await store.report(claim, [Report("remote", message=told)])
    other = await shelf.open("two")
    (over,) = await other.recover(lambda instance: instance.id == "one", 1)
    assert (over.state, over.cost) == (JobState.QUEUED if told else JobState.LOST, 0.25)
    if told:  # its request can be taken up, but is not
        over = (await other.cancel(over.id, ANN.owner, "enough")).job
        assert (over.state, over.cost) == (JobState.CANCELLED, None)
    assert await left(other) == pytest.approx(1 - counts)
    assert (await other.spend("ann"))["unsure"] == (counts if told else 0.0)


async def test_one_that_waits_again_and_is_cancelled_or_too_late_counts_the_same(shelf, store):
    for end in ("cancel", "time out"):
        claim = await shelf.claimed(store, start_by=shelf.now + 5)
        await store.again(claim, replace(SECOND, need=Need(0.5)))
        await store.report(claim, [Report("remote", message="second")])
        await store.retry(claim, "it fell over", ())
        shelf.now += 10
        if end == "cancel":
            await store.cancel(claim.job.id, ANN.owner, "enough")
        else:
            assert [job.id for job in await store.time_out()] == [claim.job.id]
        assert await store.unbalanced() == []
        assert (await store.get(claim.job.id)).cost is None
    assert (await store.spend(ANN.owner))["unsure"] == 1.5


async def test_another_route_is_set_aside_on_top_of_what_the_first_try_cost(store, claim):
    await store.again(claim, SECOND)
    route = replace(claim.job.route, backend="elsewhere")
    detour = Detour(route, 0.3, "elsewhere", "local failed", "local", Need(0.3, limits=(LIMIT,)))
    job = await store.reroute(claim, detour, ())
    assert (job.state, job.cost) == (JobState.QUEUED, 0.25)
    assert await left(store) == pytest.approx(0.45)

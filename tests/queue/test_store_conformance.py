"""What every store must do. A new one adds its factory to `stores` and passes all of this."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Report
from media_mcp.job import Caller, Failure, JobState, Price, PriceCase, Route
from media_mcp.queue.store import Added, Detour, Ending, Join, Stale
from stores import ANN, START, SUCCEEDED, asset
from support import first_claim

pytestmark = pytest.mark.anyio


async def test_a_job_is_read_as_it_was_written(shelf, store):
    job = shelf.job(priority=3, parents=("media://x",))
    assert await store.add(job, (), None) == Added(job)
    assert await store.get(job.id) == job
    assert await store.get(job.id, "ann") == job
    assert await store.get(job.id, "bob") is None
    assert await store.get("nothing") is None


async def test_a_route_is_read_as_it_was_written(shelf, store):
    cases = (PriceCase({"resolution": ["720p"], "seconds": {"min": 5}}, 0.1), PriceCase({}, 1, 2))
    price = Price(0.5, "second", "estimated", "2026-09", 0.7, cases, "for 720p")
    for route in (Route("fal", {"a": 1}, price, "MIT"), Route("fal", {}, None, "MIT"), Route("x")):
        job = shelf.job(route=route)
        await store.add(job, (), None)
        assert (await store.get(job.id)).route == route


async def test_a_whole_life_is_read_as_it_was_written(shelf, store):
    shelf.now += 1
    claim = await shelf.claimed(store)
    assert (claim.job.state, claim.job.attempt, claim.spent) == (JobState.RUNNING, 1, 0)
    await store.report(claim, [Report("progress", 1, 4, "drawing"), Report("remote", message="r1")])
    shelf.now += 2
    ending = Ending(
        JobState.SUCCEEDED,
        assets=(asset("a"), asset("b")),
        facts={"seed": 1, "text": "é"},
        findings=("The image is all black.",),
        cost=0.25,
        reports=(Report("progress", 4, 4),),
    )
    job = await store.end(claim, ending)
    assert job == await store.get(job.id)
    assert job.assets == ending.assets
    assert (job.facts, job.findings, job.cost) == (ending.facts, ending.findings, 0.25)
    assert (job.step, job.total, job.message, job.remote_id) == (4, 4, "drawing", "r1")
    assert (job.started_at, job.ended_at) == (START + 1, START + 3)
    told = [(e.seq, e.kind, e.step, e.message) for e in await store.events(job.id)]
    assert told == [
        (1, "state", None, "queued for local"),
        (2, "state", None, "running on local, attempt 1"),
        (3, "progress", 1, "drawing"),
        (4, "remote", None, "r1"),
        (5, "progress", 4, ""),
        (6, "state", None, "succeeded"),
    ]
    assert [e.seq for e in await store.events(job.id, after=4)] == [5, 6]


async def test_a_remote_id_can_be_replaced_and_forgotten(shelf, store):
    claim = await shelf.claimed(store)
    known = [
        (await store.report(claim, [Report("remote", message=message)])).remote_id
        for message in ("r1", "r2", "")
    ]
    assert known == ["r1", "r2", None]


async def test_a_failure_is_read_as_it_was_written(shelf, store):
    claim = await shelf.claimed(store)
    failure = Failure("bug", "It broke.", "Mend it.")
    job = await store.end(claim, Ending(JobState.FAILED, failure=failure))
    assert (await store.get(job.id)).failure == failure


async def test_inputs_come_with_the_claim_in_their_order(shelf, store):
    inputs = (asset("b"), asset("a"))
    uris = tuple(each.uri for each in inputs)
    await store.add(shelf.job(parents=uris), inputs, None)
    claim = await first_claim(store, "local", frozenset(), 0.0)
    assert list(claim.inputs.items()) == list(zip(uris, inputs, strict=True))
    assert await store.owns("ann", uris[0])
    assert not await store.owns("bob", uris[0])
    assert await store.assets("ann") == []


async def test_a_claim_takes_only_queued_jobs_of_its_backend(shelf, store):
    job = shelf.job()
    await store.add(job, (), None)
    assert await first_claim(store, "cloud", frozenset(), 0.0) is None
    assert (await first_claim(store, "local", frozenset(), 0.0)).job.id == job.id
    assert await first_claim(store, "local", frozenset(), 0.0) is None


async def test_a_job_that_would_be_next_is_claimed_as_it_is_added(shelf, store):
    added = await store.add(shelf.job(parents=("x",)), (asset("a"),), None, take=True)
    assert (added.job.state, added.claim.job.state) == (JobState.QUEUED, JobState.RUNNING)
    assert added.claim.inputs == {asset("a").uri: asset("a")}
    assert await store.get(added.job.id) == added.claim.job
    told = [event.message for event in await store.events(added.job.id)]
    assert told == ["queued for local", "running on local, attempt 1"]
    await store.end(added.claim, SUCCEEDED)


async def test_a_job_that_others_go_before_is_not_claimed_as_it_is_added(shelf, store):
    first = await store.add(shelf.job("first"), (), None)
    assert (await store.add(shelf.job("urgent", priority=9), (), None, take=True)).claim is None
    elsewhere = shelf.job(route=Route("cloud"))
    assert (await store.add(elsewhere, (), None, take=True)).claim.job.id == elsewhere.id
    await first_claim(store, "local", frozenset(), 0.0)
    assert (await first_claim(store, "local", frozenset(), 0.0)).job.id == first.job.id


async def test_a_join_claims_nothing(shelf, store):
    first = await store.add(shelf.job(), (), Join("k", "f"))
    second = await store.add(shelf.job(), (), Join("k", "f"), take=True)
    assert (second.job, second.joined, second.claim) == (first.job, True, None)


async def test_the_claim_orders_by_priority_then_overdue_then_warm_then_arrival(shelf, store):
    for prompt, model, priority, age in [
        ("overdue", "m1", 0, 61),
        ("cold", "m1", 0, 0),
        ("cold too", "m1", 0, 0),
        ("warm", "m2", 0, 0),
        ("urgent", "m1", 9, 0),
    ]:
        job = shelf.job(prompt, model=model, priority=priority, created_at=START - age)
        await store.add(job, (), None)
    order = []
    while claim := await first_claim(store, "local", frozenset(["m2", 'm"3']), START - 60):
        order.append(claim.job.arguments["prompt"])
    assert order == ["urgent", "overdue", "warm", "cold", "cold too"]


async def test_many_claim_at_once_and_each_job_goes_to_one(shelf):
    stores = [await shelf.open(f"instance {n}") for n in range(3)]
    for n in range(30):
        await stores[0].add(shelf.job(f"{n}"), (), None)
    claims = []

    async def take(store):
        while claim := await first_claim(store, "local", frozenset(), 0.0):
            claims.append(claim)

    async with anyio.create_task_group() as group:
        for store in stores:
            group.start_soon(take, store)
    assert len({claim.job.id for claim in claims}) == len(claims) == 30


async def test_a_stale_claim_can_write_nothing(shelf, store):
    other = await shelf.open("two")
    old = await shelf.claimed(store)
    await other.recover(lambda instance: True, 3)
    new = await first_claim(other, "local", frozenset(), 0.0)
    for write in (
        lambda: store.report(old, [Report("progress", 9, 9)]),
        lambda: store.end(old, replace(SUCCEEDED, assets=(asset("a"),))),
        lambda: store.retry(old, "why", ()),
    ):
        with pytest.raises(Stale):
            await write()
    held = await store.get(old.job.id)
    assert (held.state, held.attempt, held.step) == (JobState.RUNNING, 2, None)
    assert await store.assets("ann") == []
    await other.end(new, SUCCEEDED)
    with pytest.raises(Stale):
        await other.end(new, SUCCEEDED)


async def test_an_older_attempt_of_the_same_instance_is_stale_too(shelf, store):
    old = await shelf.claimed(store)
    await store.retry(old, "it crashed", [Report("progress", 2, 4)])
    new = await first_claim(store, "local", frozenset(), 0.0)
    assert (new.job.attempt, new.spent, new.job.step) == (2, 1, None)
    with pytest.raises(Stale):
        await store.end(old, SUCCEEDED)
    await store.end(new, SUCCEEDED)


DETOUR = Detour(
    Route("cloud", {"endpoint": "y"}, Price(2.0, "image"), "MIT"),
    2.5,
    "cloud: local failed (it broke); next by prefer=card",
    "local failed (it broke badly); next by prefer=card",
    "local 123",
)


async def test_a_job_is_queued_again_on_another_route(shelf, store):
    claim = await shelf.claimed(store)
    await store.retry(claim, "it broke", [Report("remote", message="r1"), Report("progress", 1, 4)])
    claim = await first_claim(store, "local")
    job = await store.reroute(claim, DETOUR, [Report("log", message="a last word")])
    assert job == await store.get(job.id)
    assert (job.state, job.route, job.why_route) == ("queued", DETOUR.route, DETOUR.why_route)
    assert (job.quoted, job.message, job.attempt) == (2.5, DETOUR.why, 2)
    assert (job.remote_id, job.step, job.tried) == (None, None, ("local 123",))
    assert (await store.spend("ann"))["reserved"] == 2.5
    assert [e.message for e in await store.events(job.id)][-2:] == [
        "a last word",
        "queued for cloud: local failed (it broke badly); next by prefer=card",
    ]
    assert await first_claim(store, "local") is None
    again = await first_claim(store, "cloud")
    assert (again.job.attempt, again.spent) == (3, 0)
    unpriced = replace(DETOUR, route=Route("mars"), quoted=None, tried="cloud 456")
    job = await store.reroute(again, unpriced, ())
    assert (job.quoted, job.tried) == (None, ("local 123", "cloud 456"))
    assert (await store.spend("ann"))["reserved"] == 0.0


async def test_only_the_claim_that_holds_can_change_the_route(shelf, store):
    other = await shelf.open("two")
    old = await shelf.claimed(store)
    await other.recover(lambda instance: True, 3)
    with pytest.raises(Stale):
        await store.reroute(old, DETOUR, ())
    assert (await store.get(old.job.id)).route.backend == "local"


async def test_a_change_of_route_that_meets_a_cancellation_is_one(shelf, store):
    claim = await shelf.claimed(store)
    await store.cancel(claim.job.id, "ann", "stop")
    job = await store.reroute(claim, DETOUR, ())
    assert (job.state, job.message, job.route.backend) == (JobState.CANCELLED, "stop", "local")
    assert (await store.spend("ann"))["reserved"] == 0.0


async def test_others_hear_of_a_change_of_route(shelf, store):
    other = await shelf.open("two")
    claim = await shelf.claimed(store)
    await other.changes()
    await store.reroute(claim, DETOUR, ())
    (change,) = await other.changes()
    assert (change.job.route.backend, change.job.state, change.state) == ("cloud", "queued", True)


async def test_on_another_route_a_job_must_start_in_time_as_well(shelf, store):
    claim = await shelf.claimed(store, start_by=START + 5)
    await store.reroute(claim, DETOUR, ())
    assert await store.next_due() == START + 5
    shelf.now += 5
    assert await first_claim(store, "cloud") is None
    assert [job.id for job in await store.time_out()] == [claim.job.id]


async def test_who_named_the_backend_and_what_was_tried_is_read_as_it_was_written(shelf, store):
    job = shelf.job(pinned=True, tried=("local 1", "cloud 2"))
    await store.add(job, (), None)
    assert await store.get(job.id) == job


async def test_durations_leave_out_jobs_that_changed_their_route(shelf, store):
    await store.reroute(await shelf.claimed(store), DETOUR, ())
    await store.end(await first_claim(store, "cloud"), SUCCEEDED)
    assert await store.durations("poem", "cloud") == []


async def test_a_same_call_joins_and_a_fresh_one_does_not(shelf, store):
    join = Join("k", "f")
    first = (await store.add(shelf.job(), (), join)).job
    assert await store.add(shelf.job(), (), join) == Added(first, joined=True)
    assert await store.find(ANN, join) == first
    fresh = await store.add(shelf.job(), (), replace(join, fresh=True))
    assert not fresh.joined
    assert (await store.find(ANN, join)).id == fresh.job.id
    assert await store.find(Caller("ann", "other"), join) is None
    assert await store.find(Caller("bob", "films"), join) is None


async def test_an_answered_job_is_joined_by_its_exact_key_only(shelf, store):
    loose, exact = Join("k", "f"), Join("own", "f", exact=True)
    for join, found in ((loose, False), (exact, True)):
        job = (await store.add(shelf.job(), (), join)).job
        await store.end(await first_claim(store, "local", frozenset(), 0.0), SUCCEEDED)
        assert await store.find(ANN, join) is not None
        await store.answered(job.id)
        assert (await store.find(ANN, join) is not None) is found
    with pytest.raises(errors.BadInput, match="was used for another request"):
        await store.add(shelf.job(), (), replace(exact, fingerprint="g"))
    shelf.now += 24 * 3600
    assert await store.find(ANN, exact) is None


async def test_cancel_by_state(shelf, store):
    other = await shelf.open("two")
    assert await store.cancel("nothing", "ann", "why") is None
    queued = (await store.add(shelf.job(), (), None)).job
    assert await store.cancel(queued.id, "bob", "why") is None
    met = await store.cancel(queued.id, "ann", "why")
    assert (met.job.state, met.changed, met.here) == (JobState.CANCELLED, True, False)
    met = await store.cancel(queued.id, "ann", "again")
    assert (met.job.message, met.changed) == ("why", False)
    claim = await shelf.claimed(store)
    assert (await store.cancel(claim.job.id, "ann", "stop")).here
    assert not (await other.cancel(claim.job.id, "ann", "stop too")).here
    job = await store.retry(claim, "it crashed", ())
    assert (job.state, job.message) == (JobState.CANCELLED, "stop")


async def test_leaving_queues_what_was_held_and_spends_no_attempt(shelf, store):
    claim = await shelf.claimed(store)
    (job,) = await store.leave()
    assert (job.id, job.state) == (claim.job.id, JobState.QUEUED)
    again = await first_claim(store, "local", frozenset(), 0.0)
    assert (again.job.attempt, again.spent) == (2, 0)


async def test_recovery_spares_the_living_and_its_own(shelf, store):
    other = await shelf.open("two")
    await shelf.claimed(store)
    await shelf.claimed(other)
    asked = []
    assert await store.recover(lambda i: asked.append(i) or False, 3) == []
    assert [instance.id for instance in asked] == ["two"]
    assert asked[0].heartbeat == START


async def test_a_claim_and_a_beat_are_signs_of_life(shelf, store):
    other = await shelf.open("two")
    seen = []
    for sign in (lambda: shelf.claimed(store), store.beat):
        shelf.now += 10
        await sign()
        await other.recover(lambda i: seen.append(i.heartbeat) or False, 3)
    assert seen == [START + 10, START + 20]


async def test_recovery_queues_again_until_the_attempts_are_spent(shelf, store):
    for attempt in (1, 2, 3):
        victim = await shelf.open(f"victim {attempt}")
        claim = await (
            shelf.claimed(victim)
            if attempt == 1
            else first_claim(victim, "local", frozenset(), 0.0)
        )
        assert (claim.job.attempt, claim.spent) == (attempt, attempt - 1)
        (job,) = await store.recover(lambda instance: True, 3)
    assert job.state is JobState.LOST
    assert "in attempt 3 of 3" in job.failure.message
    assert (await store.spend("ann"))["reserved"] == 0.0
    assert await store.recover(lambda instance: True, 3) == []


async def test_changes_are_those_of_others_and_come_once(shelf, store):
    other = await shelf.open("two")
    mine = shelf.job("mine")
    await store.add(mine, (), None)
    assert await store.changes() == []
    await other.add(shelf.job("theirs"), (), None)
    (change,) = await store.changes()
    assert (change.job.arguments["prompt"], change.state, change.cancel) == ("theirs", True, None)
    assert await store.changes() == []
    claim = await first_claim(store, "local", frozenset(), 0.0)
    await other.cancel(claim.job.id, "ann", "stop")
    (change,) = await store.changes()
    assert (change.job.id, change.state, change.cancel) == (claim.job.id, False, "stop")


async def test_position_counts_who_goes_first_on_the_same_backend(shelf, store):
    first, second, urgent = shelf.job("1"), shelf.job("2"), shelf.job("3", priority=1)
    elsewhere = shelf.job("4", route=Route("cloud"))
    for job in (first, second, urgent, elsewhere):
        await store.add(job, (), None)
    places = [await store.position(job.id) for job in (first, second, urgent, elsewhere)]
    assert places == [1, 2, 0, 0]
    assert await store.position("nothing") is None


async def test_lists_page_and_spend_adds_up(shelf, store):
    for n in range(3):
        claim = await shelf.claimed(store, prompt=f"{n}", model=f"m{n}")
        shelf.now += 2
        made = replace(SUCCEEDED, cost=0.5, assets=(asset(f"{n}"), asset("f")))
        await store.end(claim, made)
    jobs = await store.jobs("ann", limit=2)
    assert [job.model for job in jobs] == ["m2", "m1"]
    assert [j.model for j in await store.jobs("ann", before=jobs[-1].id)] == ["m0"]
    assert [j.model for j in await store.jobs("ann", model="m1")] == ["m1"]
    assert await store.jobs("ann", state=JobState.QUEUED) == []
    assets = await store.assets("ann", limit=3)
    assert [each.sha256[0] for each in assets] == ["f", "2", "1"]
    assert [a.sha256[0] for a in await store.assets("ann", before=assets[-1].uri)] == ["0"]
    spend = await store.spend("ann")
    assert (spend["cost"], spend["seconds"], spend["jobs"]) == (1.5, 6.0, 3)
    assert spend["by_model"]["m1"] == {
        "cost": 0.5,
        "gpu_seconds": 0.0,
        "seconds": 2.0,
        "jobs": 1,
    }
    assert spend["by_day"] == {
        "2027-01-15": {"cost": 1.5, "gpu_seconds": 0.0, "seconds": 6.0, "jobs": 3}
    }


async def test_durations_are_those_of_the_latest_successes_of_a_model_on_a_backend(shelf, store):
    for seconds in (9, 2, 4):
        claim = await shelf.claimed(store)
        shelf.now += seconds
        await store.end(claim, SUCCEEDED)
    for changes, ending in (
        ({"model": "song"}, SUCCEEDED),
        ({}, Ending(JobState.FAILED, failure=Failure("bug", "It broke."))),
    ):
        claim = await shelf.claimed(store, **changes)
        shelf.now += 1
        await store.end(claim, ending)
    await shelf.claimed(store)
    assert await store.durations("poem", "local") == [4.0, 2.0, 9.0]
    assert await store.durations("poem", "local", limit=2) == [4.0, 2.0]
    assert await store.durations("poem", "cloud") == await store.durations("none", "local") == []
